"""Records in Cassandra, by the spark-cassandra-connector.

What: the valid records of a micro-batch, into each table of the pipeline's keyspace.
Key: the table's primary key, all of it taken from the record.
Replay: an upsert with the same values; the batch's rows are the same when it is repeated.
Nulls: not written (`ignoreNulls`), so that absent values leave no tombstones.
Options: statements are grouped into unlogged batches of up to 8 KiB whatever their partition
    (`batch.grouping.key=none`), five in flight for each task. Cassandra counts about 190 bytes
    more per row than the connector does and refuses batches over 50 KiB: with nearly empty rows,
    16 KiB is too much and 8 KiB is not. If the batch's rows fall into few partitions of a table,
    they are sorted by its key and grouped by partition: Cassandra applies such a batch as one
    write, appends row after row, and limits the size only of batches with several partitions.
Writer: `CASSANDRA_WRITER` chooses it. Both write the same rows through the connector's session.
    `direct` (`jvm/CassandraWriter.java`) sorts a task's rows in Cassandra's order, skips the
    connector's conversions, and counts a batch's bytes as Cassandra does, so its batches can be
    larger. Small batches are written directly in any case, as the connector plans each write.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from cassandra.cluster import Session
from pymongo.database import Database
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from cql.client import apply_tables, close, connect, greet
from cql.division import setting_of
from cql.rows import table_metadata
from cql.scan import count_rows
from cql.tables import present, shard_difference
from errors import SinkRejected, SinkUnavailable
from settings import Settings
from spark_jobs.changes import BatchSummary
from spark_jobs.pipeline import CQL_FILE, Pipeline
from spark_jobs.planned import planned
from spark_jobs.session.jvm_classes import own_classes
from spark_jobs.sinks.base import Batch, Sink, StoredTable
from spark_jobs.sinks.cassandra_log import NodeLog
from spark_jobs.sinks.cassandra_watchdog import connector, forget_sessions, freed_when_blocked
from spark_jobs.sources.cassandra import read_table
from spark_jobs.state.fault_points import fault_point
from spark_jobs.state.ledger import Entry
from spark_jobs.state.store_errors import sink_error
from spark_jobs.targets import Table

BATCH_BYTES = "spark.cassandra.output.batch.size.bytes"
CONCURRENT_WRITES = "spark.cassandra.output.concurrent.writes"
WRITE_OPTIONS = {
    "spark.cassandra.output.ignoreNulls": "true",
    "spark.cassandra.output.batch.grouping.key": "none",
    BATCH_BYTES: "8192",
    CONCURRENT_WRITES: "5",
}
BY_PARTITION = {
    "spark.cassandra.output.batch.grouping.key": "partition",
    BATCH_BYTES: "16384",
}
# A table with any other type is written by the connector.
DIRECT_TYPES = frozenset({"text", "int", "bigint", "timestamp", "uuid"})
# Counted as Cassandra counts; it refuses more than 51,200.
DIRECT_BATCH_BYTES = 28_000
# With fewer rows per partition the batches would be small; with more partitions than the connector
# keeps open batches for (1,000), they would be sent before they are full.
ROWS_FOR_A_PARTITION, MOST_PARTITIONS = 20, 500
# So many rows show that a table holds records.
COUNTED_ROWS = 10_000


@dataclass(frozen=True)
class CassandraSink(Sink):
    """Writes each batch to every table, one after the other."""

    settings: Settings
    tables: tuple[Table, ...]
    id_sql: str
    # A user's file of tables; None for the platform's own.
    file: Path | None = None
    # Spark's types of the pipeline's columns.
    types: Mapping[str, str] = field(default_factory=dict, hash=False)
    pipeline: str = ""
    name = "cassandra"
    store = "Cassandra"
    is_source = True
    takes_parts = True
    unreadable = "Compare Cassandra's tables with `cql/` (`make up` creates what is missing)"

    def check(self) -> None:
        """Check that every table exists, in the shards of the settings; ten seconds at most."""
        with self._session() as session:
            missing = [t.place for t in self.tables if not _is_there(session, t)]
            self._refuse_other_shards(session)
        if missing:
            raise SinkRejected(
                f"Cassandra lacks {', '.join(missing)}. Create the tables with `make up`, or run"
                " the files in `cql/` with `cqlsh -f`."
            )

    def prepare(self) -> None:
        """Create keyspaces, tables and indexes; first of all check the shards of what is there."""
        with self._session(30) as session:
            self._refuse_other_shards(session)
            apply_tables(session, self.settings, *([self.file] if self.file else []))

    def answer(self) -> None:
        """Connect once."""
        with self._session():
            pass

    def greet(self) -> None:
        """Ask for the protocol's options, for which no session is needed."""
        greet(self.settings)

    def count(self) -> dict[str, int | None]:
        """Rows of each table."""
        with self._session() as session:
            return {t.place: count_rows(session, t.keyspace, t.name) for t in self.tables}

    def has_data(self) -> str | None:
        """Number of rows in the largest table; counting stops at `COUNTED_ROWS`."""
        with self._session() as session:
            rows = max(_count_rows(session, table, COUNTED_ROWS) for table in self.tables)
        number = f"{rows} or more" if rows == COUNTED_ROWS else str(rows)
        return f"Cassandra holds records ({number} in a table)" if rows else None

    def rows(self) -> Iterator[StoredTable]:
        """Every table, read by token ranges."""
        for t in self.tables:
            read = partial(read_table, keyspace=t.keyspace, table=t.name, types=self.types)
            yield StoredTable(t.name, self.id_sql, read, t.place)

    def describe(self) -> str:
        """Where the rows are."""
        points = self.settings.cassandra_contact_points
        return f"rows: Cassandra {points}:{self.settings.cassandra_port}"

    def delete(self) -> None:
        """Empty every table that is there."""
        with self._session(30) as session:
            for table in self.tables:
                if _is_there(session, table):
                    session.execute(f"TRUNCATE {table.place}", timeout=60)

    def misplaced(
        self, confirmed: Sequence[Entry], latest: Callable[[], Mapping[str, int]]
    ) -> list[str]:
        """Tables that were made with another number of shards."""
        with self._session() as session:
            return self._other_shards(session)

    def _other_shards(self, session: Session) -> list[str]:
        # Only these can differ; to ask what is there reads the schema once more.
        tables = [table for table in self.tables if setting_of(table.name)]
        found = present(session, [table.place for table in tables]) if tables else {}
        compared = (
            shard_difference(t.place, t.declared, found[t.place], self.pipeline, self.settings)
            for t in tables
            if t.place in found
        )
        return [text for text in compared if text]

    def _refuse_other_shards(self, session: Session) -> None:
        if differing := self._other_shards(session):
            raise SinkRejected(f"Cassandra: {'; '.join(differing)}.")

    @contextmanager
    def _session(self, timeout_seconds: float = 10) -> Iterator[Session]:
        session = connect(self.settings, timeout_seconds=timeout_seconds)
        try:
            yield session
        finally:
            close(session)

    def holds_any_of(self, ranges: Mapping[int, tuple[int, int]]) -> bool:
        """Whether a table holds a row from a message in these offset ranges.

        It reads the coordinates of all rows, because no table's key begins with them.
        """
        with self._session() as session:
            return any(
                start <= row["kafka_offset"] < end
                for table in self.tables
                for row in session.execute(_coordinates(table), timeout=60)
                for start, end in [ranges.get(row["kafka_partition"], (0, 0))]
            )

    def write_batch(self, batch: Batch, batch_id: int) -> None:
        """Upsert the batch's records into every table."""
        spark = batch.records.sparkSession
        with self._kept(spark, batch_id):
            for position, table in enumerate(self.tables):
                if position:
                    fault_point("between-tables")
                rows = planned(batch.records, table, table.rows)
                with _refused(spark, _taking(batch_id, table)):
                    if self._writes_directly(table, batch):
                        self._write_directly(rows, table)
                    else:
                        _write_by_connector(rows, table, batch.summary)

    @contextmanager
    def _kept(self, spark: SparkSession, batch_id: int) -> Iterator[None]:
        """Where only one node has the rows: wait until a crash of it can lose none of them."""
        if self.settings.cassandra_replication_factor > 1:
            yield
            return
        with _refused(spark, _taking(batch_id, self.tables[0])):
            java = own_classes(spark).CassandraLog
            log = NodeLog(java, connector(spark))
            started = log.started()
        yield
        with _refused(spark, f"sync its log after batch {batch_id}"):
            log.sync(self.tables[0])
            is_the_same = log.started() == started
        if not is_the_same:
            raise SinkUnavailable(
                f"Cassandra was started again while it took batch {batch_id}, and may have lost"
                " confirmed rows of it. Nothing is lost: the batch is repeated."
            )

    def rehearse(self, batch: Batch) -> None:
        """Plan each table's rows, connect, and prepare the statements."""
        with freed_when_blocked(batch.records.sparkSession):
            for table in self.tables:
                if self._writes_directly(table, batch):
                    self._write_directly(planned(batch.records, table, table.rows), table)

    def _writes_directly(self, table: Table, batch: Batch) -> bool:
        is_chosen = batch.is_small or self.settings.cassandra_writer == "direct"
        return is_chosen and {*table.declared.columns.values()} <= DIRECT_TYPES

    def _write_directly(self, rows: DataFrame, table: Table) -> None:
        spark = rows.sparkSession
        writer = own_classes(spark).CassandraWriter(
            connector(spark),
            table.keyspace,
            table.name,
            ",".join(rows.columns),
            self.settings.cassandra_consistency,
            int(WRITE_OPTIONS[CONCURRENT_WRITES]),
            DIRECT_BATCH_BYTES,
        )
        rows._jdf.queryExecution().toRdd().toJavaRDD().foreachPartition(writer)  # noqa: SLF001


def _taking(batch_id: int, table: Table) -> str:
    return f"take batch {batch_id} into {table.place}"


@contextmanager
def _refused(spark: SparkSession, action: str) -> Iterator[None]:
    """Turn what goes wrong inside into a sink's error, of a Cassandra that did not do this."""
    try:
        with freed_when_blocked(spark):
            yield
    except Exception as error:
        forget_sessions(spark)
        raise sink_error("Cassandra", action, error) from error


def connector_options(table: Table, summary: BatchSummary) -> dict[str, str]:
    """The connector's options for a batch of a table."""
    return WRITE_OPTIONS | (BY_PARTITION if _has_few_partitions(table, summary) else {})


def in_table_order(table: Table, rows: DataFrame) -> DataFrame:
    """A task's rows sorted by partition, and within it in Cassandra's order."""
    return rows.sortWithinPartitions(
        *(F.desc(n) if order == "desc" else F.asc(n) for n, _, order in table.declared.key)
    )


def _has_few_partitions(table: Table, summary: BatchSummary) -> bool:
    """Whether each partition gets many of the batch's rows."""
    most = table.partitions(summary) * table.shards if table.partitions else 0
    return 0 < most <= min(MOST_PARTITIONS, summary.stored // ROWS_FOR_A_PARTITION)


def _write_by_connector(rows: DataFrame, table: Table, summary: BatchSummary) -> None:
    options = connector_options(table, summary)
    if _has_few_partitions(table, summary):
        rows = in_table_order(table, rows)
    (
        rows.write.format("org.apache.spark.sql.cassandra")
        .mode("append")
        .options(keyspace=table.keyspace, table=table.name, **options)
        .save()
    )


def sink(pipeline: Pipeline, settings: Settings, database: Database[Any]) -> Sink | None:
    """The sink for a pipeline's tables; None if it has none."""
    if not pipeline.tables:
        return None
    file = pipeline.folder / CQL_FILE if pipeline.folder else None
    types = pipeline.column_types
    return CassandraSink(settings, pipeline.tables, pipeline.id_sql, file, types, pipeline.family)


def _is_there(session: Session, table: Table) -> bool:
    return table_metadata(session, table.keyspace, table.name) is not None


def _coordinates(table: Table) -> str:
    # The names come from pipelines' declarations, not from input.
    return f"SELECT kafka_partition, kafka_offset FROM {table.place}"  # noqa: S608


def _count_rows(session: Session, table: Table, at_most: int) -> int:
    return sum(1 for _ in session.execute(f"{_coordinates(table)} LIMIT {at_most}", timeout=60))
