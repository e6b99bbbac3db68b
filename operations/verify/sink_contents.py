"""What sinks other than Cassandra's tables and MongoDB's aggregates hold, read on Spark.

Which records belong where is stated here again, independently of the code that writes them, so
that a fault in that code shows.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Final

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from operations.verify.contents import is_confirmed
from operations.verify.snapshot import LedgerSnapshot
from operations.verify.spark_errors import DAMAGED, UNLIKE_SQL, explained_errors
from operations.verify.stored_rows import StoredRows
from settings import Settings
from spark_jobs.pipeline import Pipeline
from spark_jobs.sinks.copy_text import REPLACEMENT
from spark_jobs.sinks.files.reading import read_set
from spark_jobs.sinks.postgres import read_rows
from spark_jobs.state.ledger import Counts
from spark_jobs.state.offset_ranges import Ranges


@dataclass(frozen=True)
class Wanted:
    """Which of a pipeline's stored records belong in a place, and which column identifies a row.

    `records` is an SQL condition. `share` names the number in the ledger that must match: all
    `stored` records, the `alerts`, or the `others`; None if the ledger has no such number.
    """

    id_column: str
    records: str = "true"
    share: str | None = "stored"

    def booked(self, counts: Counts) -> int | None:
        """The ledger's number of these records."""
        shares = {
            "stored": counts.stored,
            "alerts": counts.alerts,
            "others": counts.stored - counts.alerts,
        }
        return shares[self.share] if self.share else None


@dataclass(frozen=True)
class SinkReading:
    """The pipeline whose sinks are read, and which of its batches are confirmed."""

    spark: SparkSession
    settings: Settings
    pipeline: Pipeline
    snapshot: LedgerSnapshot
    offsets: Ranges

    @property
    def last_batch(self) -> int:
        """The last confirmed batch; -1 if there is none."""
        return self.snapshot.entries[-1].batch_id if self.snapshot.entries else -1


# An alert has no id of its own, so its place on the topic serves as one.
PLACE: Final = "record_id"
WANTED: Final = {
    "tickets": Wanted("ticket_id"),
    "users_profiles": Wanted("identifiant"),
    "tickets_with_assignment": Wanted("ticket_id"),
    "high_priority_tickets": Wanted("ticket_id", "priority IN ('high', 'critical')", None),
    "customers_usa": Wanted("customer_id", "outcome = 'valid'", "others"),
    "customers_alerts": Wanted(PLACE, "outcome = 'alert'", "alerts"),
}


def stored_places(reading: SinkReading) -> Iterator[tuple[Wanted, StoredRows]]:
    """Every table of PostgreSQL and every set of files that a pipeline has."""
    pipeline, sinks = reading.pipeline, reading.settings.sinks
    if "postgres" in sinks:
        judged = is_confirmed(reading.snapshot.read_until, reading.offsets)
        for table in pipeline.sql_tables:
            with place_errors("PostgreSQL", table.name):
                rows = read_rows(reading.spark, reading.settings, table)
            wanted, stored = _place("PostgreSQL", table.name, table.name, rows, judged)
            yield wanted, replace(stored, nul=REPLACEMENT)
    if "files" in sinks:
        judged = F.coalesce(F.col("batch_id") <= reading.last_batch, F.lit(True))
        for file_set in pipeline.file_sets:
            for form in reading.settings.output_format:
                place = f"{file_set.name} ({form})"
                with place_errors("files", place):
                    rows = read_set(reading.spark, reading.settings, file_set, form)
                yield _place("files", file_set.name, place, rows, judged)


def place_errors(store: str, place: str) -> AbstractContextManager[None]:
    """Explain Spark's errors with the name of the place; see `explained_errors`."""
    return explained_errors(f"{store} {place}", DAMAGED if store == "files" else UNLIKE_SQL)


def _place(
    store: str, name: str, place: str, rows: DataFrame, judged: Column
) -> tuple[Wanted, StoredRows]:
    wanted = WANTED[name]
    if wanted.id_column == PLACE:
        rows = rows.withColumn(PLACE, F.concat_ws("/", "kafka_partition", "kafka_offset"))
    rows = rows.withColumn("is_confirmed", judged)
    return wanted, StoredRows(store, place, wanted.id_column, rows, F.expr(wanted.records))
