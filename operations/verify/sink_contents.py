"""What sinks with copies of the records hold, read on Spark.

Which records belong where is stated here again, independently of the code that writes them, so
that a fault in that code shows.
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


# An alert has no id of its own, so its place on the topic serves as one.
PLACE: Final = "record_id"
COORDINATES: Final = ("kafka_partition", "kafka_offset")
WANTED: Final = {
    "tickets": Wanted("ticket_id"),
    "users_profiles": Wanted("identifiant"),
    "tickets_with_assignment": Wanted("ticket_id"),
    "high_priority_tickets": Wanted("ticket_id", "priority IN ('high', 'critical')", None),
    "customers_usa": Wanted("customer_id", "outcome = 'valid'", "others"),
    "customers_alerts": Wanted(PLACE, "outcome = 'alert'", "alerts"),
}


def stored_places(reading: SinkReading) -> Iterator[tuple[Wanted, StoredRows]]:
    """Every table and set of files of the sinks."""
    for sink in reading.sinks:
        for table in sink.rows():
            # By default all records belong there.
            wanted = WANTED.get(table.name, Wanted(table.key))
            with explained_errors(f"{sink.store} {table.place}", sink.unreadable):
                rows = table.read(reading.spark)
            if wanted.id_column == PLACE:
                rows = rows.withColumn(PLACE, F.concat_ws("/", *COORDINATES))
            rows = rows.withColumn("is_confirmed", _is_confirmed(rows.columns, reading))
            records = F.expr(wanted.records)
            yield (
                wanted,
                StoredRows(
                    sink.store,
                    table.place,
                    wanted.id_column,
                    rows,
                    records,
                    nul=table.nul,
                    unreadable=sink.unreadable,
                ),
            )


def _is_confirmed(columns: list[str], reading: SinkReading) -> Column:
    """False for rows of an unfinished batch, if the columns show it."""
    if "batch_id" in columns:
        return F.coalesce(F.col("batch_id") <= reading.last_batch, F.lit(True))
    if {*COORDINATES} <= {*columns}:
        return is_confirmed(reading.snapshot.read_until, reading.offsets)
    return F.lit(True)
