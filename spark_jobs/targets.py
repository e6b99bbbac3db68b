"""What a pipeline declares of each place that it writes to: tables, sets of files, snapshots."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pyspark.sql import DataFrame
from pyspark.sql.types import StructType

from spark_jobs.aggregates import BatchSummary

# Where on its topic a record came from, and when: columns of every table of records.
PLACE = ("kafka_partition", "kafka_offset")
LINEAGE = (*PLACE, "kafka_timestamp")


@dataclass(frozen=True)
class Table:
    """One table of a pipeline and the projection that gives its columns.

    Attributes:
        partitions: In how many partitions a batch's rows lie at most, told from what they add up
            to; None where every row has one of its own.
    """

    keyspace: str
    name: str
    rows: Callable[[DataFrame], DataFrame]
    partitions: Callable[[BatchSummary], int] | None = None


@dataclass(frozen=True)
class SqlTable:
    """One table of a pipeline, the projection that gives its columns, and its primary key."""

    name: str
    rows: Callable[[DataFrame], DataFrame]
    key: tuple[str, ...]


@dataclass(frozen=True)
class FileSet:
    """One set of a pipeline and the projection that gives its rows.

    Attributes:
        name: Its folder under `OUTPUT_PATH`.
        rows: From the stored records of a batch to the set's rows.
        schema: Its columns as readers see them, without the day.
        day_column: The timestamp whose UTC day is the folder `day=YYYY-MM-DD`, None without.
    """

    name: str
    rows: Callable[[DataFrame], DataFrame]
    schema: StructType
    day_column: str | None = None


@dataclass(frozen=True)
class Snapshot:
    """A small table over all records, replaced whole after each micro-batch.

    Attributes:
        name: The set's.
        collection: Which changes of the batches it adds up, over all days.
        columns: Its columns in order; the first is the text that `by` names, the others numbers.
        by: The label by which it is grouped; None for one row.
    """

    name: str
    collection: str
    columns: tuple[str, ...]
    by: str | None = None
