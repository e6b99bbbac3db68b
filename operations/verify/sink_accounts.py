"""The accounts of sinks that copy the records: each record once, with the same values."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from pyspark.sql import DataFrame

from operations.verify.account import StoreCount
from operations.verify.file_snapshots import totals_faults
from operations.verify.sink_contents import SinkReading, stored_places
from operations.verify.spark_errors import explained_errors
from operations.verify.stored_rows import compare


@dataclass
class SinkAccounts:
    """The numbers of each place, the differences, and notes for the user."""

    stores: list[StoreCount] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def account_of_sinks(reading: SinkReading, records: DataFrame | None, source: str) -> SinkAccounts:
    """Compare every place with the stored records.

    Args:
        reading: The pipeline, and what is confirmed.
        records: The stored records of confirmed batches; None if they are no longer known.
        source: Where these were read, for messages.
    """
    found = SinkAccounts(notes=[*_notes(reading)])
    for number, note in _uncompared(reading):
        found.stores.append(number)
        found.notes.append(note)
    for wanted, stored in stored_places(reading):
        with explained_errors(f"{stored.store} {stored.place}", stored.unreadable):
            compared = compare(stored, records, source)
        booked = wanted.booked(reading.snapshot.counts)
        expected = compared.wanted if booked is None else booked
        if expected is None:
            expected = compared.confirmed
            found.notes.append(
                f"{stored.store} {stored.place}: the broker no longer has all messages, so which"
                " records belong there is unknown; their number was not checked"
            )
        numbers = (compared.rows, compared.confirmed, expected)
        what = "the number of rows"
        found.stores.append(StoreCount(stored.store, stored.place, stored.unit, *numbers, what))
        found.faults += compared.faults
        if compared.rows > compared.confirmed:
            found.notes.append(
                f"{stored.store} {stored.place}: {compared.rows - compared.confirmed} rows belong"
                " to an unfinished batch and were not checked"
            )
    if records is not None:
        faults, notes = totals_faults(reading, records, source)
        found.faults += faults
        found.notes += notes
    return found


def _uncompared(reading: SinkReading) -> Iterator[tuple[StoreCount, str]]:
    """The numbers of sinks without readable rows, each with a note that it was not checked."""
    for sink in reading.sinks:
        for place, rows in {} if sink.may_repeat or [*sink.rows()] else sink.count().items():
            number = rows or 0
            what = "the number of rows"
            yield (
                StoreCount(sink.store, place, "rows", number, number, number, what),
                f"{sink.store} {place}: not compared, as the sink gives no rows to read",
            )


def _notes(reading: SinkReading) -> Iterator[str]:
    """Where stored data differs from the settings, or is elsewhere."""
    entries = reading.snapshot.entries
    wrote = {*entries[-1].sinks} if entries and reading.snapshot.counts.stored else set()
    for sink in reading.sinks:
        yield from sink.notes()
        if sink.name in wrote and (missing := sink.elsewhere()):
            yield missing
