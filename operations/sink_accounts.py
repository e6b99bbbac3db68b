"""The accounts of files and PostgreSQL: each stored record once, and as it is elsewhere."""

from __future__ import annotations

from dataclasses import dataclass, field

from pyspark.sql import DataFrame

from operations.account import StoreCount
from operations.file_snapshots import snapshot_faults
from operations.sink_contents import SinkReading, stored_places
from operations.stored_rows import compare
from settings import Settings
from spark_jobs.pipeline import Pipeline


@dataclass
class SinkAccounts:
    """Numbers of each place, what differs, and what a user should know."""

    stores: list[StoreCount] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def has_other_sinks(settings: Settings, pipeline: Pipeline) -> bool:
    """Whether a pipeline writes to anything besides Cassandra and MongoDB that is read here."""
    return bool(
        ("postgres" in settings.sinks and pipeline.sql_tables)
        or ("files" in settings.sinks and pipeline.file_sets)
    )


def account_of_sinks(reading: SinkReading, records: DataFrame | None, source: str) -> SinkAccounts:
    """Compare every place with the stored records.

    Args:
        reading: Whose places, and what is confirmed.
        records: The stored records of confirmed batches; None where nobody knows them any more.
        source: Where these were read, as words name it.
    """
    found = SinkAccounts()
    for wanted, stored in stored_places(reading):
        compared = compare(stored, records, source)
        booked = wanted.booked(reading.snapshot.counts)
        expected = compared.wanted if booked is None else booked
        if expected is None:
            expected = compared.confirmed
            found.notes.append(
                f"{stored.store} {stored.place}: which records belong there cannot be told any"
                " more, as the broker no longer has all of them; their number was not judged"
            )
        numbers = (compared.rows, compared.confirmed, expected)
        what = "the number of rows"
        found.stores.append(StoreCount(stored.store, stored.place, stored.unit, *numbers, what))
        found.faults += compared.faults
        if compared.rows > compared.confirmed:
            found.notes.append(
                f"{stored.store} {stored.place}: {compared.rows - compared.confirmed} rows are of"
                " an unfinished batch: not judged"
            )
    faults, notes = snapshot_faults(reading, records, source)
    found.faults += faults
    found.notes += notes
    return found
