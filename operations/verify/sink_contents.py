"""What sinks with copies of the records hold, read on Spark.

Which records belong where is declared, and applied here again, independently of the code that
writes them, so that a fault in that code shows.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from pymongo.database import Database
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from operations.pipelines import topic_offsets
from operations.verify.contents import is_confirmed
from operations.verify.snapshot import LedgerSnapshot
from operations.verify.spark_errors import explained_errors
from operations.verify.stored_rows import StoredRows
from settings import Settings
from spark_jobs.pipeline import Pipeline
from spark_jobs.sinks.base import Sink, StoredTable
from spark_jobs.state.ledger import Counts, Document, Entry, Ledger
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
    database: Database[Document]

    @property
    def last_batch(self) -> int:
        """The last confirmed batch; -1 if there is none."""
        return self.snapshot.entries[-1].batch_id if self.snapshot.entries else -1

    def confirmed_in(self, sink: Sink) -> list[Entry]:
        """The confirmed batches that a sink must have."""
        return [e for e in self.snapshot.entries if sink.name in e.sinks and e.counts.stored]

    def latest(self) -> dict[str, int]:
        """Query -> the last batch that stores may have by now.

        That is the one after the last confirmed one, unless it would have nothing to read.
        """
        parts = {part.name: part for part in (self.pipeline, *self.pipeline.parts())}
        last = [entry for name in parts if (entry := Ledger(self.database, name).last())]
        ends = {p: end for p, (_, end) in topic_offsets(self.settings, self.topic).items()}
        return {
            entry.query_id: entry.batch_id
            + any(end > entry.offsets.get(p, (0, 0))[1] for p, end in ends.items())
            for entry in last
        }

    @property
    def topic(self) -> str:
        """The topic that the pipeline reads."""
        return self.pipeline.topic(self.settings)


COORDINATES: Final = ("kafka_partition", "kafka_offset")


def named_in_errors(sink: Sink, table: StoredTable) -> StoredTable:
    """The table, whose name the error has if Spark cannot open it."""

    def read(spark: SparkSession) -> DataFrame:
        with explained_errors(f"{sink.store} {table.place}", sink.unreadable):
            return table.read(spark)

    return replace(table, read=read)


def stored_rows(reading: SinkReading, sink: Sink, table: StoredTable) -> StoredRows:
    """The rows of one table or set of files, which Spark has not read yet."""
    rows = table.read(reading.spark)
    return StoredRows(
        sink.store,
        table.place,
        table.key,
        rows.withColumn("_is_confirmed", _is_confirmed(rows.columns, reading)),
        Wanted(table.takes).records,
        nul=table.nul,
        stand_ins=reading.pipeline.stand_ins,
        placed=table.placed,
    )


def _is_confirmed(columns: list[str], reading: SinkReading) -> Column:
    """False for rows of an unfinished batch, if the columns show it."""
    if "_batch_id" in columns:
        return F.coalesce(F.col("_batch_id") <= reading.last_batch, F.lit(True))
    if {*COORDINATES} <= {*columns}:
        return is_confirmed(reading.snapshot.read_until, reading.offsets)
    return F.lit(True)
