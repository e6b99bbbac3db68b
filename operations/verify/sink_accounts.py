"""The accounts of files and PostgreSQL: each stored record once, with the same values."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from pyspark.sql import DataFrame

from operations.verify.account import StoreCount
from operations.verify.file_snapshots import snapshot_faults
from operations.verify.sink_contents import SinkReading, place_errors, stored_places
from operations.verify.stored_rows import compare
from settings import Settings
from spark_jobs.pipeline import Pipeline
from spark_jobs.sinks.files.manifest import manifest_path
from spark_jobs.sinks.files.rows import as_written, has_manifest, other_formats


@dataclass
class SinkAccounts:
    """The numbers of each place, the differences, and notes for the user."""

    stores: list[StoreCount] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def has_other_sinks(settings: Settings, pipeline: Pipeline) -> bool:
    """Whether a pipeline writes to files or PostgreSQL."""
    return bool(
        ("postgres" in settings.sinks and pipeline.sql_tables)
        or ("files" in settings.sinks and pipeline.file_sets)
    )


def account_of_sinks(reading: SinkReading, records: DataFrame | None, source: str) -> SinkAccounts:
    """Compare every place with the stored records; files in the formats they have.

    Args:
        reading: The pipeline, and what is confirmed.
        records: The stored records of confirmed batches; None if they are no longer known.
        source: Where these were read, for messages.
    """
    found = SinkAccounts()
    if "files" in reading.settings.sinks and reading.pipeline.file_sets:
        found.notes += _file_notes(reading)
        reading = replace(reading, settings=as_written(reading.settings, reading.pipeline))
    for wanted, stored in stored_places(reading):
        with place_errors(stored.store, stored.place):
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
    faults, notes = snapshot_faults(reading, records, source)
    found.faults += faults
    found.notes += notes
    return found


def _file_notes(reading: SinkReading) -> Iterator[str]:
    """Files that are missing, or differ from OUTPUT_FORMAT or OUTPUT_PATH."""
    settings, family = reading.settings, reading.pipeline.family
    if difference := other_formats(settings, reading.pipeline):
        formats = ",".join(as_written(settings, reading.pipeline).output_format)
        yield f"{difference}; the stored files were checked. Set OUTPUT_FORMAT={formats}"
    wrote = reading.snapshot.counts.stored and "files" in reading.snapshot.entries[-1].sinks
    if wrote and not has_manifest(settings, reading.pipeline):
        yield (
            f"OUTPUT_PATH is `{settings.output_path}`, where `{manifest_path(family)}` is missing:"
            " the job wrote elsewhere, or the file was deleted. Set OUTPUT_PATH to where the files"
            " are, or restore the file"
        )
