"""What a pipeline declares about each target that it writes to.

Tables of Cassandra (`Table`) and PostgreSQL (`SqlTable`) are written in CQL and SQL, and a
declaration only names them: their columns are filled by name. File sets and topics list their
columns, by default those of the first table without the lineage.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final, Literal

from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import StructType

from cql import declared as cql
from cql.declared import CassandraShape
from spark_jobs.aggregates import Aggregate
from spark_jobs.changes import BatchSummary
from sql import declared as sql
from sql.declared import PostgresShape

# Where on its topic a record came from, and when: columns of every table of records.
PLACE = ("kafka_partition", "kafka_offset")
LINEAGE = (*PLACE, "kafka_timestamp")
# The column of a partition key that divides what would be one partition.
SHARD: Final = cql.SHARD

Outcome = Literal["valid", "alert"]


@dataclass(frozen=True)
class Takes:
    """Which stored records belong in a target; `make verify` compares with these.

    Attributes:
        outcome: Only records with this outcome; None: all.
        where: Only records that meet this SQL condition; None: all.
    """

    outcome: Outcome | None = None
    where: str | None = None

    def of(self, records: DataFrame) -> DataFrame:
        """Those of the stored records that belong there."""
        if self.outcome:
            records = records.filter(F.col("outcome") == self.outcome)
        return records.filter(self.where) if self.where else records


EVERYTHING: Final = Takes()


@dataclass(frozen=True)
class Table:
    """One table of Cassandra; it holds every stored record.

    Attributes:
        place: Its keyspace and name, `orders.orders_by_day`.
        partitions: The most partitions that a batch's rows can have, computed from its summary, as
            if there were no shards; None if every row has its own.
        derived: Column of this table alone -> SQL that gives it from the columns of all tables.
        stand_ins: Key column -> its value where the record has null.
        shards: Into how many partitions the rows of one key are divided; above 1 the partition key
            has a column `shard int`, which follows from the id, and whoever reads a key asks all.
        spread: Column of the partition key -> how many values it has, for the sizes of partitions
            that `millrace check` prints; those of an enumeration are known.
        shape: Its columns and key; by default as the platform's own CQL files declare them.
    """

    place: str
    partitions: Callable[[BatchSummary], int] | None = None
    derived: Mapping[str, str] = field(default_factory=dict, hash=False)
    stand_ins: Mapping[str, str] = field(default_factory=dict, hash=False)
    shards: int = 1
    spread: Mapping[str, int] = field(default_factory=dict, hash=False)
    shape: CassandraShape | None = field(default=None, compare=False)

    @property
    def keyspace(self) -> str:
        """The keyspace alone."""
        return self.place.partition(".")[0]

    @property
    def name(self) -> str:
        """The name without the keyspace."""
        return self.place.rpartition(".")[2]

    @property
    def declared(self) -> CassandraShape:
        """Its columns and key as the CQL file says."""
        return self.shape or cql.declared()[self.place]

    def divided(self, shards: int) -> Table:
        """The table with shards that its file does not declare; 1 leaves it as it is."""
        return (
            self
            if shards == 1
            else replace(self, shards=shards, shape=self.declared.divided(shards))
        )

    def rows(self, records: DataFrame) -> DataFrame:
        """The rows of stored records.

        Columns out: the table's.
        Grain: one stored record.
        """
        values = [
            F.coalesce(name, F.lit(self.stand_ins[name])).alias(name)
            if name in self.stand_ins
            else F.col(name)
            for name in self.declared.columns
        ]
        return records.select(*values)


@dataclass(frozen=True)
class SqlTable:
    """One table of PostgreSQL.

    Attributes:
        name: Its name.
        outcome: Only records with this outcome; None: all.
        where: Only records that meet this SQL condition; None: all.
        shape: Its columns and primary key; by default as the platform's own SQL files declare them.
    """

    name: str
    outcome: Outcome | None = None
    where: str | None = None
    shape: PostgresShape | None = field(default=None, compare=False)

    @property
    def declared(self) -> PostgresShape:
        """Its columns and key as the SQL file says."""
        return self.shape or sql.declared()[self.name]

    @property
    def key(self) -> tuple[str, ...]:
        """Its primary key."""
        return self.declared.key

    @property
    def takes(self) -> Takes:
        """Which stored records its rows are."""
        return Takes(self.outcome, self.where)

    def rows(self, records: DataFrame) -> DataFrame:
        """The rows of stored records; columns as in the table, grain one record."""
        return self.takes.of(records).select(*self.declared.columns)


@dataclass(frozen=True)
class FileSet:
    """One set of files.

    Attributes:
        name: Its folder under `OUTPUT_PATH`.
        day: The timestamp or date whose UTC day names the folder `day=YYYY-MM-DD`, `day=unknown`
            if it is null; None for no day.
        columns: Its columns.
        outcome: Only records with this outcome; None: all.
        where: Only records that meet this SQL condition; None: all.
        schema: Types of the columns as readers see them, without the day; by default as the
            contract and the tables say.
        key: The columns that identify a row; by default those of the record's id.
    """

    name: str
    day: str | None = None
    columns: tuple[str, ...] = ()
    outcome: Outcome | None = None
    where: str | None = None
    schema: StructType = field(default_factory=StructType, compare=False)
    key: tuple[str, ...] = ()

    @property
    def takes(self) -> Takes:
        """Which stored records its rows are."""
        return Takes(self.outcome, self.where)

    def rows(self, records: DataFrame) -> DataFrame:
        """The rows of stored records; columns as in `schema`, grain one record."""
        return self.takes.of(records).select(
            *(F.col(each.name).cast(each.dataType.simpleString()) for each in self.schema)
        )


@dataclass(frozen=True)
class Topic:
    """A topic to which stored records are forwarded as JSON objects.

    Attributes:
        name: Its name, unless a setting `<NAME>_TOPIC` gives another (`-` and `.` become `_`).
        columns: The members of the object.
        outcome: Only records with this outcome; None: all.
        where: Only records that meet this SQL condition; None: all.
        key: SQL that gives the message's key.
    """

    name: str
    columns: tuple[str, ...] = ()
    outcome: Outcome | None = None
    where: str | None = None
    key: str = "record_id"

    @property
    def takes(self) -> Takes:
        """Which stored records are forwarded."""
        return Takes(self.outcome, self.where)


@dataclass(frozen=True)
class Snapshot:
    """A small table over all records, replaced as a whole after each micro-batch.

    Attributes:
        name: Its folder under `OUTPUT_PATH`.
        aggregate: The aggregate whose documents it adds up, over all days.
        columns: Its columns in order: the dimension that `by` names, if any, and measures.
        by: The dimension by which it is grouped; None for one row.
    """

    name: str
    aggregate: Aggregate
    columns: tuple[str, ...]
    by: str | None = None
