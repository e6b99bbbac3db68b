"""The accounts of sinks that copy the records: each record once, with the same values."""

from __future__ import annotations

from dataclasses import dataclass, field

from py4j.protocol import Py4JError
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame

from operations.verify.account import StoreCount
from operations.verify.differences import shortened
from operations.verify.file_snapshots import totals_faults
from operations.verify.sink_contents import SinkReading, Wanted, stored_rows
from operations.verify.spark_errors import apart, is_of_machine
from operations.verify.stored_rows import compare
from spark_jobs.sinks.base import Sink, StoredTable


@dataclass
class SinkAccounts:
    """The numbers of each place, the differences, and notes for the user."""

    stores: list[StoreCount] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def account_of_sinks(reading: SinkReading, records: DataFrame | None, source: str) -> SinkAccounts:
    """Compare every place with the stored records.

    A place that cannot be read is a fault; the others are compared all the same.

    Args:
        reading: The pipeline, and what is confirmed.
        records: The stored records of confirmed batches; None if they are no longer known.
        source: Where these were read, for messages.
    """
    found = SinkAccounts()
    for sink in reading.sinks:
        place, settings = f"the records in {sink.store}", reading.settings
        with apart(found.faults, place, settings, sink.unreadable):
            _look_at(reading, sink, found)
        tables: list[StoredTable] = []
        with apart(found.faults, place, settings, sink.unreadable):
            tables += sink.rows()
            if not tables:
                _uncompared(sink, found)
        for table in tables:
            _compare(reading, sink, table, records, source, found)
        if records is not None:
            with apart(found.faults, f"the totals in {sink.store}", settings, sink.unreadable):
                totals_faults(reading, sink, records, source, found.faults, found.notes)
    return found


def _compare(
    reading: SinkReading,
    sink: Sink,
    table: StoredTable,
    records: DataFrame | None,
    source: str,
    found: SinkAccounts,
) -> None:
    """Compare one table or set of files; names the files that cannot be read."""
    place = f"{sink.store} {table.place}"
    with apart(found.faults, place, reading.settings, sink.unreadable):
        try:
            compared = compare(stored_rows(reading, sink, table), records, source)
        except (Py4JError, PySparkException) as error:
            if table.damaged is None or is_of_machine(error):
                raise
            if not (files := table.damaged(reading.spark)):
                raise
            found.faults += (
                f"{place}: `{file}` cannot be read: it is damaged. Restore it; until then no row of"
                " this set is compared"
                for file in files
            )
            return
        booked = Wanted(table.takes).booked(reading.snapshot.counts)
        expected = compared.wanted if booked is None else booked
        if expected is None:
            expected = compared.confirmed
            found.notes.append(
                f"{place}: the broker no longer has all messages, so which records belong there is"
                " unknown; their number was not checked"
            )
        numbers = (compared.rows, compared.confirmed, expected)
        what = "the number of rows"
        found.stores.append(StoreCount(sink.store, table.place, "rows", *numbers, what))
        found.faults += compared.faults
        if compared.rows > compared.confirmed:
            found.notes.append(
                f"{place}: {compared.rows - compared.confirmed} rows belong to an unfinished batch"
                " and were not checked"
            )


def _uncompared(sink: Sink, found: SinkAccounts) -> None:
    """The numbers of a sink without readable rows, each with a note that it was not checked."""
    for place, rows in {} if sink.may_repeat else sink.count().items():
        number = rows or 0
        what = "the number of rows"
        found.stores.append(StoreCount(sink.store, place, "rows", number, number, number, what))
        found.notes.append(f"{sink.store} {place}: not compared, as the sink gives no rows to read")


def _look_at(reading: SinkReading, sink: Sink, found: SinkAccounts) -> None:
    """Where stored data lies wrongly, is elsewhere, or differs from the settings."""
    found.notes += sink.notes()
    confirmed = reading.confirmed_in(sink)
    if confirmed and (missing := sink.elsewhere()):
        found.faults.append(f"{sink.store}: {missing}")
    lies = sink.misplaced(confirmed, reading.latest)
    found.faults += shortened(sink.store, [f"{sink.store}: {text}" for text in lies])
