"""What a pipeline declares about each target that it writes to: tables, file sets, snapshots."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from pyspark.sql import DataFrame
from pyspark.sql.types import StructType

from spark_jobs.aggregates import Aggregate
from spark_jobs.changes import BatchSummary

# Where on its topic a record came from, and when: columns of every table of records.
PLACE = ("kafka_partition", "kafka_offset")
LINEAGE = (*PLACE, "kafka_timestamp")


@dataclass(frozen=True)
class Takes:
    """Which stored records belong in a target; `make verify` compares with these.

    Attributes:
        outcome: Only records with this outcome; None: all.
        where: Only records that meet this SQL condition; None: all.
    """

    outcome: str | None = None
    where: str | None = None


EVERYTHING: Final = Takes()


def key_sql(columns: Sequence[str]) -> str:
    r"""SQL that gives a row's id: the column, or several joined by `|`.

    In the texts of several, `\` and `|` are escaped, so that no two keys are the same.
    """
    if len(columns) == 1:
        return f"`{columns[0]}`"
    texts = (
        rf"replace(replace(CAST(`{name}` AS STRING), '\\', '\\\\'), '|', '\\|')" for name in columns
    )
    return f"concat_ws('|', {', '.join(texts)})"


@dataclass(frozen=True)
class Table:
    """One table of a pipeline and the projection onto its columns.

    Attributes:
        partitions: The most partitions that a batch's rows can have, computed from its summary;
            None if every row has its own.
        derived: Column of this table alone -> SQL that gives it from the columns of all tables.
        stand_ins: Key column -> its value where the record has null.
    """

    keyspace: str
    name: str
    rows: Callable[[DataFrame], DataFrame]
    partitions: Callable[[BatchSummary], int] | None = None
    derived: Mapping[str, str] = field(default_factory=dict, hash=False)
    stand_ins: Mapping[str, str] = field(default_factory=dict, hash=False)


@dataclass(frozen=True)
class SqlTable:
    """One table of a pipeline, the projection onto its columns, and its primary key.

    Attributes:
        takes: Which stored records its rows are.
    """

    name: str
    rows: Callable[[DataFrame], DataFrame]
    key: tuple[str, ...]
    takes: Takes = EVERYTHING


@dataclass(frozen=True)
class FileSet:
    """One file set of a pipeline and the projection onto its rows.

    Attributes:
        name: Its folder under `OUTPUT_PATH`.
        rows: Turns a batch's stored records into the set's rows.
        schema: Its columns as readers see them, without the day.
        day_column: The timestamp whose UTC day names the folder `day=YYYY-MM-DD`; None for no day.
        takes: Which stored records its rows are.
        key: The columns that identify a row; empty: the first one.
    """

    name: str
    rows: Callable[[DataFrame], DataFrame]
    schema: StructType
    day_column: str | None = None
    takes: Takes = EVERYTHING
    key: tuple[str, ...] = ()


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
