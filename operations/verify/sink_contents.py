"""What sinks with copies of the records hold, read on Spark.

Which records belong where is declared, and applied here again, independently of the code that
writes them, so that a fault in that code shows.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from pyspark.sql import Column, SparkSession
from pyspark.sql import functions as F

from operations.verify.contents import is_confirmed
from operations.verify.snapshot import LedgerSnapshot
from operations.verify.spark_errors import explained_errors
from operations.verify.stored_rows import StoredRows
from settings import Settings
from spark_jobs.pipeline import Pipeline
from spark_jobs.sinks.base import Sink
from spark_jobs.state.ledger import Counts
from spark_jobs.state.offset_ranges import Ranges
from spark_jobs.targets import Takes
from spark_jobs.transforms.outcomes import ALERT


@dataclass(frozen=True)
class Wanted:
    """Which of a pipeline's stored records belong in a place."""

    takes: Takes

    @property
    def records(self) -> Column:
        """Whether a stored record belongs there."""
        outcome = F.lit(True)
        if self.takes.outcome:
            outcome = F.col("outcome") == self.takes.outcome
        return outcome & F.expr(self.takes.where or "true")

    def booked(self, counts: Counts) -> int | None:
        """The ledger's number of these records; None if it has none."""
        if self.takes.where:
            return None
        if self.takes.outcome is None:
            return counts.stored
        return counts.alerts if self.takes.outcome == ALERT else counts.stored - counts.alerts


@dataclass(frozen=True)
class SinkReading:
    """The pipeline and sinks whose copies are read, and which batches are confirmed."""

    spark: SparkSession
    settings: Settings
    pipeline: Pipeline
    sinks: list[Sink]
    snapshot: LedgerSnapshot
    offsets: Ranges

    @property
    def last_batch(self) -> int:
        """The last confirmed batch; -1 if there is none."""
        return self.snapshot.entries[-1].batch_id if self.snapshot.entries else -1


COORDINATES: Final = ("kafka_partition", "kafka_offset")


def stored_places(reading: SinkReading) -> Iterator[tuple[Wanted, StoredRows]]:
    """Every table and set of files of the sinks."""
    for sink in reading.sinks:
        for table in sink.rows():
            wanted = Wanted(table.takes)
            with explained_errors(f"{sink.store} {table.place}", sink.unreadable):
                rows = table.read(reading.spark)
            rows = rows.withColumn("_is_confirmed", _is_confirmed(rows.columns, reading))
            yield (
                wanted,
                StoredRows(
                    sink.store,
                    table.place,
                    table.key,
                    rows,
                    wanted.records,
                    nul=table.nul,
                    unreadable=sink.unreadable,
                    stand_ins=reading.pipeline.stand_ins,
                ),
            )


def _is_confirmed(columns: list[str], reading: SinkReading) -> Column:
    """False for rows of an unfinished batch, if the columns show it."""
    if "_batch_id" in columns:
        return F.coalesce(F.col("_batch_id") <= reading.last_batch, F.lit(True))
    if {*COORDINATES} <= {*columns}:
        return is_confirmed(reading.snapshot.read_until, reading.offsets)
    return F.lit(True)
