"""`millrace compact`: merges the many small files of a day into few large ones.

Only files of confirmed batches are merged, and a day with one file stays as it is. The merged
rows are written to a staging folder, counted against the old files, and then replace them:

- On this machine, the day's new folder holds the merged files and hard links to all others; one
  step exchanges it with the old folder (`renameat2`, `RENAME_EXCHANGE`). A reader who lists the
  day sees the old files or the new ones, never both and never neither. A reader who listed it
  before and opens a file afterwards gets an error, not wrong rows. Jobs may run.
- HDFS and S3 have no such step: no job may run, and until the small files are deleted a reader
  may see the rows of a day twice.

An intent file (`_millrace/<pipeline>-intent.json`) exists during the exchange: the next
`millrace compact` completes an interrupted one, and on HDFS and S3 so does a job's start.
"""

from __future__ import annotations

import sys
import uuid
from collections import defaultdict
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

from pymongo.database import Database
from pyspark.sql import SparkSession

from errors import JobError
from operations.spark_session import repair_session
from runtime import remedies
from runtime.files import exclusive
from settings import Settings
from spark_jobs.pipeline import Pipeline
from spark_jobs.registry import pipelines_of
from spark_jobs.run.locks import locked
from spark_jobs.session.file_system import STAGING, FileSystem, output_files
from spark_jobs.sinks.files.compaction import CompactionNotes, publishing
from spark_jobs.sinks.files.exchange import Intent, finish, read_intent
from spark_jobs.sinks.files.formats import reader, writer
from spark_jobs.sinks.files.manifest import set_folder
from spark_jobs.sinks.files.placement import BATCH_FILE
from spark_jobs.sinks.files.rows import as_written
from spark_jobs.sinks.mongodb import check_mongodb, confirmed_database, connect_mongodb
from spark_jobs.state.ledger import Ledger
from spark_jobs.targets import FileSet

TARGET_BYTES = 128 * 1024 * 1024


@dataclass(frozen=True)
class Day:
    """The files of one set, format and day, to be merged."""

    file_set: FileSet
    form: str
    folder: str
    names: tuple[str, ...]
    size: int


def compact(settings: Settings, set_name: str | None, older_than: str | None) -> int:
    """Merge small files; gives the exit code.

    Args:
        settings: Where the files are.
        set_name: Only this set; None for all.
        older_than: Only days before this one (`YYYY-MM-DD`); None for all.

    Raises:
        JobError: there is no such set, a job is running that must not, or rows would be lost.
    """
    pipelines = [p for p in pipelines_of(settings) if p.file_sets]
    names = [s.name for p in pipelines for s in p.file_sets]
    if set_name and set_name not in names:
        meant = remedies.nearest(set_name, names)
        raise JobError(f"There is no set `{set_name}`.{meant} Valid: {', '.join(names)}.")
    with (
        repair_session(settings, "compact", lambda text: None) as spark,
        connect_mongodb(settings) as client,
    ):
        check_mongodb(client, settings)
        database = confirmed_database(client, settings)
        for pipeline in pipelines:
            compact_pipeline(spark, settings, database, pipeline, set_name, older_than)
    return 0


def compact_pipeline(
    spark: SparkSession,
    settings: Settings,
    database: Database[dict[str, Any]],
    pipeline: Pipeline,
    set_name: str | None = None,
    older_than: str | None = None,
) -> None:
    """Merge the small files of one pipeline, in an existing session."""
    alone = nullcontext() if output_files(settings).is_local else locked(pipeline.parts(), settings)
    with exclusive(settings.millrace_home / "run" / f"compact-{pipeline.name}.lock"), alone:
        _compact(spark, settings, database, pipeline, set_name, older_than)


def _compact(
    spark: SparkSession,
    settings: Settings,
    database: Database[dict[str, Any]],
    pipeline: Pipeline,
    set_name: str | None,
    older_than: str | None,
) -> None:
    system = output_files(settings)
    settings = as_written(settings, pipeline)
    if intent := read_intent(system, pipeline.family):
        with publishing(system, pipeline.family):
            finish(system, pipeline.family, intent)
        _say(f"{intent.folder}: completed an interrupted compaction")
    # What is staged without an intent was never put in place, or is by now.
    system.delete(_staging(pipeline.family))
    confirmed = {
        (entry.query_id[:8], entry.batch_id): entry.query_id
        for part in pipeline.parts()
        for entry in Ledger(database, part.name).entries()
    }
    for file_set in pipeline.file_sets:
        if set_name not in {None, file_set.name}:
            continue
        for form in settings.output_format:
            days = days_to_merge(system, settings, file_set, form, {*confirmed})
            for day in days:
                _, is_day, date = day.folder.rpartition("day=")
                if older_than is None or (is_day and date < older_than):
                    merge(spark, system, pipeline.family, day, confirmed)


def days_to_merge(
    system: FileSystem,
    settings: Settings,
    file_set: FileSet,
    form: str,
    confirmed: set[tuple[str, int]],
) -> list[Day]:
    """Days of a set with several files of confirmed batches."""
    top = set_folder(settings, file_set.name, form)
    found: dict[str, list[tuple[str, int]]] = defaultdict(list)
    for file in system.files(top):
        day, _, name = file.path.rpartition("/")
        match = BATCH_FILE.match(name)
        if match and (match[1], int(match[2])) in confirmed:
            found[day].append((name, file.size))
    return [
        Day(
            file_set,
            form,
            f"{top}/{day}".rstrip("/"),
            tuple(n for n, _ in files),
            sum(s for _, s in files),
        )
        for day, files in sorted(found.items())
        if len(files) > 1
    ]


def merge(
    spark: SparkSession,
    system: FileSystem,
    pipeline: str,
    day: Day,
    confirmed: dict[tuple[str, int], str],
) -> None:
    """Merge a day's files.

    Args:
        spark: The session.
        system: Where the files are.
        pipeline: The pipeline's name.
        day: The day.
        confirmed: How the file names of each confirmed batch begin -> its query.

    Raises:
        JobError: rows would be lost.
    """
    staging = f"{_staging(pipeline)}/{uuid.uuid4().hex[:12]}"
    schema = day.file_set.schema
    before = reader(spark.read, day.form, schema).load(
        [system.url(f"{day.folder}/{name}") for name in day.names]
    )
    rows_before = before.count()
    parts = max(1, -(-day.size // TARGET_BYTES))
    merged = before.coalesce(1) if parts == 1 else before.repartition(parts)
    writer(merged, day.form).save(system.url(f"{staging}/rows"))
    new = [
        file.path
        for file in system.files(f"{staging}/rows")
        if not file.path.startswith((".", "_"))
    ]
    rows_after = reader(spark.read, day.form, schema).load(system.url(f"{staging}/rows")).count()
    if rows_after != rows_before:
        raise JobError(
            f"{day.folder}: {rows_before} rows would have become {rows_after}. Nothing was"
            " changed; run `make verify`."
        )
    intent = Intent.of(day.folder, staging, day.names, new)
    with publishing(system, pipeline):
        notes = CompactionNotes.load(system, pipeline)
        for name in day.names:
            match = BATCH_FILE.match(name)
            if match:
                key = (match[1], int(match[2]))
                notes.add(day.file_set.name, confirmed[key], key[1])
        # Before anything is replaced: from here on these batches must not be rewritten.
        notes.save(system)
        intent.save(system, pipeline)
        finish(system, pipeline, intent)
    after = sum(f.size for f in system.files(day.folder) if f.path in {*intent.new_names})
    _say(
        f"{day.folder}: {len(day.names)} files, {day.size:,} bytes -> {len(new)} files,"
        f" {after:,} bytes; {rows_before:,} rows before and after"
    )


def _staging(pipeline: str) -> str:
    return f"{STAGING}/{pipeline}/compact"


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
