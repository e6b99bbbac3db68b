"""Finds the rows of one record in the files that its micro-batch wrote."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import pyarrow as pa
import pyarrow.dataset as ds

from errors import MillraceError
from operations.trace.ids import is_record
from operations.trace.lookup import stored_row
from operations.trace.model import StoredRow
from settings import Settings
from spark_jobs.pipeline import Pipeline
from spark_jobs.session.file_system import StoredFile
from spark_jobs.sinks.files.arrow_files import ArrowFiles, arrow_files
from spark_jobs.sinks.files.formats import as_stored
from spark_jobs.sinks.files.manifest import set_folder
from spark_jobs.sinks.files.placement import BATCH_FILE, COMPACTED_FILE
from spark_jobs.sinks.files.rows import as_written
from spark_jobs.sinks.files.sink import FilesSink
from spark_jobs.state.ledger import Entry
from spark_jobs.targets import PLACE, FileSet

# Files that a compaction merged are searched up to this size.
MOST_BYTES: Final = 256 * 1024 * 1024
MOST_ROWS: Final = 20


def find_in_files(
    settings: Settings,
    pipeline: Pipeline,
    file_set: FileSet,
    entry: Entry,
    known: Mapping[str, Any],
) -> list[StoredRow]:
    """The rows of a record in a set, where the batch of `entry` has read it.

    `known` are columns of the record, and the coordinates of its message.

    Raises:
        MillraceError: why the set is not searched.
    """
    system = arrow_files(settings)
    if system is None:
        raise MillraceError("only Spark reads files on HDFS")
    key = _key(pipeline, file_set, known)
    if not key:
        raise MillraceError("the record's id is not known")
    written = as_written(settings, pipeline)
    form = written.output_format[0]
    folder = set_folder(written, file_set.name, form)
    if day := _day_folder(file_set, known):
        folder = f"{folder}/{day}"
    chosen = _files_of(system.files(folder), entry, form)
    if sum(file.size for file in chosen) > MOST_BYTES:
        raise MillraceError("compacted files may hold it, and they are large")
    # Rows of other sets do not name their message.
    is_named = {*PLACE} <= {*file_set.schema.names}
    place = f"{entry.topic}/{known.get(PLACE[0])}/{known.get(PLACE[1])}" if is_named else None
    try:
        rows = _rows(system, [f"{folder}/{file.path}" for file in chosen], form, file_set, key)
        wanted = [row for row in rows if is_record(pipeline, row, known, by_place=is_named)]
    except (OSError, pa.ArrowException) as error:
        # Arrow's messages quote values.
        raise MillraceError(f"a file cannot be read ({type(error).__name__})") from error
    return [
        stored_row(pipeline, FilesSink.store, file_set.name, row, place)
        for row in wanted[:MOST_ROWS]
    ]


def _key(pipeline: Pipeline, file_set: FileSet, known: Mapping[str, Any]) -> dict[str, Any]:
    """What identifies the row: its message if the set has that, or else the id."""
    names = {*file_set.schema.names}
    wanted = PLACE if {*PLACE} <= names else pipeline.id_columns
    found = {name: known[name] for name in wanted if known.get(name) is not None}
    return found if {*found} == {*wanted} <= names else {}


def _day_folder(file_set: FileSet, known: Mapping[str, Any]) -> str | None:
    """The folder of the record's day; None if it is not known, or the set has no days."""
    at = known.get(file_set.day) if file_set.day else None
    if isinstance(at, datetime):
        return f"day={at.date().isoformat()}"
    return f"day={at[:10]}" if isinstance(at, str) else None


def _files_of(files: Sequence[StoredFile], entry: Entry, form: str) -> list[StoredFile]:
    """The files that the batch wrote; the compacted ones if there are none."""
    visible = [file for file in files if file.path.endswith(f".{form}")]
    own = [
        file
        for file in visible
        if (found := BATCH_FILE.search(file.path))
        and entry.query_id.startswith(found[1])
        and int(found[2]) == entry.batch_id
    ]
    return own or [file for file in visible if COMPACTED_FILE.search(file.path)]


def _rows(
    system: ArrowFiles, paths: list[str], form: str, file_set: FileSet, key: Mapping[str, Any]
) -> Iterator[dict[str, Any]]:
    """Rows with the key, as far as Arrow can compare it; file by file."""
    condition: ds.Expression | None = None
    for name, value in key.items():
        if isinstance(value, str | int):
            equal = ds.field(name) == value
            condition = equal if condition is None else condition & equal
    for path in paths:
        table = system.rows([path], form, file_set.schema).to_table(filter=condition)
        yield from as_stored(table, file_set.schema, form).to_pylist()
