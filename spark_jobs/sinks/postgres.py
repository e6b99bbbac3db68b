"""Records in PostgreSQL or Supabase, by COPY, each micro-batch in one transaction.

What: the stored records of a micro-batch, into each table that the pipeline names.
Key: the table's primary key, all of it taken from the record.
Replay: the transaction begins by entering the batch into `millrace_batches`; if it is there
    already, so are all its rows, and nothing is done. A second writer of the same batch waits for
    the first to end. So each batch takes effect exactly once. `millrace replay` writes a batch that
    is there again: its rows may have been deleted, or a table was added since.
Nulls: written as NULL. U+0000, which PostgreSQL's text cannot hold, becomes U+FFFD.
Options: rows go to a temporary table by COPY and from there into the table, where they replace
    rows with the same key. It is all one transaction, so a pooler in transaction mode will do.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from math import ceil
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from psycopg.sql import SQL, Identifier
from pymongo.database import Database
from pyspark.sql import DataFrame, SparkSession

from errors import SinkRejected
from settings import Settings
from spark_jobs.pipeline import SQL_FILE, Pipeline
from spark_jobs.planned import planned
from spark_jobs.sinks.base import Batch, Sink, StoredTable
from spark_jobs.sinks.copy_text import REPLACEMENT, copy_lines, stream_blocks
from spark_jobs.state.fault_points import fault_point
from spark_jobs.targets import SqlTable
from sql.client import Transaction, apply_tables, connect, login, transaction
from sql.declared import declared
from sql.tables import count_rows, faults, truncate

LEDGER = "millrace_batches"
CLAIM = """
INSERT INTO millrace_batches (query_id, batch_id, pipeline, rows, written_at)
VALUES (%s, %s, %s, 0, now()) ON CONFLICT DO NOTHING
"""
HAS = "SELECT 1 FROM millrace_batches WHERE query_id = %s AND batch_id = %s"
LAST = "SELECT max(batch_id) FROM millrace_batches WHERE query_id = %s"
CLOSE = "UPDATE millrace_batches SET rows = %s WHERE query_id = %s AND batch_id = %s"
# Not LIKE: it takes over that a user's own column may not be null, and not that column's default.
INCOMING = """
CREATE TEMPORARY TABLE {incoming} ON COMMIT DROP AS SELECT {columns} FROM {table} WITH NO DATA
"""
# In key order, two writers cannot deadlock. Ids that differ only in U+0000 are the same id here:
# the first arrival stays, as with every duplicate.
UPSERT = """
INSERT INTO {table} ({columns})
SELECT DISTINCT ON ({key}) {columns} FROM {incoming}
ORDER BY {key}, kafka_timestamp, kafka_partition, kafka_offset
ON CONFLICT ({key}) DO UPDATE SET {changes}
"""
JDBC_DRIVER = "org.postgresql.Driver"
ROWS_PER_PARTITION = 250_000
MOST_PARTITIONS = 64
FETCH_ROWS = 5_000
GREETING_SECONDS = 2
LAST_OFFSET = 2**63 - 1
# Covers the times and days of all records; any outside reads as one that no record has.
READABLE = "'1000-01-01Z' AND '20000-01-01Z'"
UNREADABLE = "'20000-01-01Z'"


@dataclass(frozen=True)
class PostgresSink(Sink):
    """Writes each batch to every table, all in one transaction."""

    settings: Settings
    pipeline: Pipeline
    tables: tuple[SqlTable, ...]
    # A user's file of tables; None for the platform's own.
    file: Path | None = None
    name = "postgres"
    store = "PostgreSQL"
    unreadable = "Compare PostgreSQL's tables with `sql/` (`make up` creates what is missing)"

    def check(self) -> None:
        """Check the tables against `sql/`; fails within ten seconds without a server.

        Raises:
            SinkError: the database is down, or a table is missing or differs.
        """
        shapes = {table.name: table.declared for table in self.tables}
        found = faults(self.settings, shapes | {LEDGER: declared()[LEDGER]})
        if found:
            raise SinkRejected(
                f"PostgreSQL at `{self.settings.postgres_address}` cannot take the records:"
                f" {'; '.join(found)}. `make up` creates what is missing (or `psql -f` with the"
                " files in `sql/`); a table that differs must be altered to match them, or dropped"
                " first."
            )

    def write_batch(self, batch: Batch, batch_id: int) -> None:
        """Upsert the batch's records into every table, once unless it is replayed."""
        name = (batch.query_id, batch_id)
        with transaction(self.settings, f"take batch {batch_id}") as work:
            is_new = bool(work.execute(CLAIM, [*name, self.pipeline.name]).rowcount)
            if not (is_new or batch.is_replay):
                return
            rows = sum(_write(work, table, batch.records) for table in self.tables)
            fault_point("in-postgres-transaction")
            work.execute(CLOSE, [rows, *name])

    def prepare(self) -> None:
        """Create the tables."""
        apply_tables(self.settings, *([self.file] if self.file else []))

    def answer(self) -> None:
        """Connect once."""
        connect(self.settings).close()

    def greet(self) -> None:
        """Connect, within the driver's shortest time-out."""
        connect(self.settings, GREETING_SECONDS).close()

    def count(self) -> dict[str, int | None]:
        """Rows of each table."""
        return {table.name: count_rows(self.settings, table.name) for table in self.tables}

    def rows(self) -> Iterator[StoredTable]:
        """Every table, read over JDBC."""
        for t in self.tables:
            read = partial(read_rows, settings=self.settings, table=t)
            key = self.pipeline.key_sql(t.key)
            yield StoredTable(t.name, key, read, t.name, REPLACEMENT, t.takes)

    def remembers(self, query_id: str) -> tuple[str, int] | None:
        """The last batch of its ledger."""
        with transaction(self.settings, f"read {LEDGER}") as work:
            [last] = work.execute(LAST, [query_id]).fetchone() or [None]
        return None if last is None else (LEDGER, last)

    def has_taken(self, query_id: str, batch_id: int) -> bool:
        """Whether the batch is in its ledger."""
        return self.lacks(query_id, batch_id) is None

    def lacks(self, query_id: str, batch_id: int) -> str | None:
        """That the database's ledger has no such batch."""
        with transaction(self.settings, f"read {LEDGER}") as work:
            if work.execute(HAS, [query_id, batch_id]).fetchone():
                return None
        return (
            f"POSTGRES_DSN leads to `{self.settings.postgres_address}`, where `{LEDGER}` lacks"
            f" batch {batch_id} of the ledger: the job wrote to another database, this one was set"
            " back, or a replay to it was not completed. Set POSTGRES_DSN to where the rows are"
        )

    def describe(self) -> str:
        """Where the rows are."""
        return f"rows: PostgreSQL {self.settings.postgres_address}"

    def delete(self) -> None:
        """Empty the tables, and forget the batches that are in them."""
        truncate(self.settings, [table.name for table in self.tables], [self.pipeline.name])


def sink(pipeline: Pipeline, settings: Settings, database: Database[Any]) -> Sink | None:
    """The sink for a pipeline's tables; None if it has none."""
    if not pipeline.sql_tables:
        return None
    file = pipeline.folder / SQL_FILE if pipeline.folder else None
    return PostgresSink(settings, pipeline, pipeline.sql_tables, file)


def read_rows(spark: SparkSession, settings: Settings, table: SqlTable) -> DataFrame:
    """All rows of a table, read over JDBC by ranges of `kafka_offset`.

    Columns out: the table's; uuid as string, timestamptz as timestamp, text[] as array<string>.
        A time or day that no record can have (`infinity`) becomes one in the year 20000.
    Grain: one row.
    Nulls: as stored.
    """
    query = SQL("SELECT count(*), min(kafka_offset), max(kafka_offset) FROM {}")
    with transaction(settings, f"read the offsets of {table.name}") as work:
        found = work.execute(query.format(Identifier(table.name))).fetchone() or (0, None, None)
    count, first, last = found
    options = jdbc_options(settings) | {"dbtable": _readable(table), "fetchsize": str(FETCH_ROWS)}
    if first is not None:
        options |= {"partitionColumn": "kafka_offset", "lowerBound": str(first)}
        options |= {"upperBound": str(min(last + 1, LAST_OFFSET))}
        options["numPartitions"] = str(min(ceil(count / ROWS_PER_PARTITION), MOST_PARTITIONS))
    return spark.read.format("jdbc").options(**options).load()


def _readable(table: SqlTable) -> str:
    """The table as a subquery in which every time and day is one that Spark can hold."""
    columns = ", ".join(
        f"CASE WHEN {name} NOT BETWEEN {READABLE} THEN {UNREADABLE} ELSE {name} END AS {name}"
        if kind.startswith(("timestamp", "date")) and not kind.endswith("[]")
        else name
        for name, kind in table.declared.columns.items()
    )
    return f"(SELECT {columns} FROM {table.name}) AS readable"  # noqa: S608 - names of our files


def jdbc_options(settings: Settings) -> dict[str, str]:
    """Spark's options for the database; may include a password, which plans redact."""
    access = login(settings)
    host = f"[{access.host}]" if ":" in access.host else access.host
    # No prepared statements: a pooler in transaction mode does not keep them.
    parameters = {"prepareThreshold": "0", "ApplicationName": "millrace"} | access.jdbc_parameters
    place = f"{host}:{access.port}/{quote(access.database, safe='')}"
    options = {"url": f"jdbc:postgresql://{place}?{urlencode(parameters, quote_via=quote)}"}
    options |= {"driver": JDBC_DRIVER, "user": access.user}
    return options if access.password is None else options | {"password": access.password}


def _write(work: Transaction, table: SqlTable, records: DataFrame) -> int:
    """Write the batch's rows into one table; returns how many."""
    rows = planned(records, table, table.rows)
    names = {
        "table": Identifier(table.name),
        "incoming": Identifier(f"incoming_{table.name}"),
        "columns": SQL(", ").join(map(Identifier, rows.columns)),
        "key": SQL(", ").join(map(Identifier, table.key)),
        "changes": SQL(", ").join(
            SQL("{0} = EXCLUDED.{0}").format(Identifier(column)) for column in rows.columns
        ),
    }
    work.execute(SQL(INCOMING).format(**names))
    with work.cursor.copy(SQL("COPY {incoming} ({columns}) FROM STDIN").format(**names)) as copy:
        for block in stream_blocks(planned(rows, "lines", copy_lines)):
            copy.write(block)
            work.alive()
    arrived = work.cursor.rowcount
    work.execute(SQL(UPSERT).format(**names))
    return arrived
