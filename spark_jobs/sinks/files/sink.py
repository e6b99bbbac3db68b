"""Records and small tables as files, by Spark: on this machine, on HDFS or on S3.

What: the records of each set of the pipeline, by UTC day where the set has one
    (`<set>/day=2026-11-22/…`), and the pipeline's snapshots, each one file.
Key: a file's name: query, batch and part (`1a2b3c4d-0000000042-000.parquet`).
Replay: the batch's own files are replaced, and those that it no longer has are deleted; the
    manifest knows which batches the snapshots hold. What of a batch was compacted stays as it is.
Nulls: kept; formats.py says how each format shows them.
Options: with several formats, each has its own folder (`<set>/parquet`). A file is written under
    `_staging`, which readers skip, and is renamed when it is complete.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from py4j.protocol import Py4JError
from pymongo.database import Database
from pyspark.errors import PySparkException
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from errors import SinkError, SinkRejected, SinkUnavailable
from runtime import remedies
from settings import Settings
from spark_jobs.pipeline import Pipeline
from spark_jobs.session.file_system import (
    STAGING,
    FileSystem,
    LocalFiles,
    can_be_reached,
    output_files,
)
from spark_jobs.sinks.base import Batch, Sink, StoredTable, Totals
from spark_jobs.sinks.files.arrow_files import arrow_files
from spark_jobs.sinks.files.compaction import CompactionNotes, notes_path, publishing
from spark_jobs.sinks.files.exchange import finish, read_intent, superseded
from spark_jobs.sinks.files.formats import small_file, writer
from spark_jobs.sinks.files.manifest import (
    Manifest,
    load_manifest,
    manifest_path,
    set_folder,
    snapshot_path,
)
from spark_jobs.sinks.files.placement import placement_faults
from spark_jobs.sinks.files.reading import (
    FOLDER,
    NO_DAY,
    UNKNOWN_DAY,
    damaged_files,
    delete_sets,
    folder_sql,
    has_files,
    read_placed,
)
from spark_jobs.sinks.files.rows import (
    as_written,
    count_set,
    has_manifest,
    other_formats,
    snapshot_rows,
)
from spark_jobs.state.fault_points import fault_point
from spark_jobs.state.ledger import Entry
from spark_jobs.state.store_errors import OUTAGE_PATTERN
from spark_jobs.targets import FileSet

# More than a usual micro-batch, so that a set gets one file per day and batch.
ROWS_PER_FILE = 200_000
TARGETS = "targets.json"


@dataclass(frozen=True)
class FilesSink(Sink):
    """Writes each batch to every set, then the snapshots."""

    settings: Settings
    pipeline: Pipeline
    name = "files"
    store = "files"
    unreadable = "A file under OUTPUT_PATH is damaged or was changed from outside: restore it"

    @property
    def family(self) -> str:
        """The pipeline that the files belong to, whichever part of it writes them."""
        return self.pipeline.family

    def check(self) -> None:
        """Check that OUTPUT_PATH can be written to and that its files have these formats.

        HDFS and S3 are checked once Spark runs.
        """
        system = output_files(self.settings)
        if not can_be_reached(system):
            return
        with explained(self.settings, "be written to"):
            probe = f"{STAGING}/.check-{self.family}"
            system.write(probe, b"")
            system.delete(probe)
            manifest = load_manifest(system, self.family)
            intent = None if system.is_local else read_intent(system, self.family)
            if intent:
                finish(system, self.family, intent)
        if manifest and set(manifest.formats) != set(self.settings.output_format):
            raise SinkRejected(
                f"Files of {self.family} under `{self.settings.output_path}` are"
                f" {', '.join(manifest.formats)}, OUTPUT_FORMAT is"
                f" {','.join(self.settings.output_format)}. Set OUTPUT_FORMAT to"
                f" {','.join(manifest.formats)}; or fill another OUTPUT_PATH and use that,"
                f" `{self._fill_another()}`; or delete the stored data with"
                f" `{remedies.reset(self.family, self.settings)}`."
            )

    def greet(self) -> None:
        """Look for a file that is not there; a folder of this machine needs no greeting."""
        system = output_files(self.settings)
        if not system.is_local:
            system.read(f"{STAGING}/.greeting")

    def _fill_another(self) -> str:
        """A command that writes all stored records to another place."""
        path = f"{self.settings.output_path}-{'-'.join(self.settings.output_format)}"
        elsewhere = self.settings.model_copy(update={"output_path": path})
        return remedies.replay(self.pipeline.topic(self.settings), self.name, elsewhere)

    def write_batch(self, batch: Batch, batch_id: int) -> None:
        """Put the batch's files in place, then the snapshots that include it."""
        system = output_files(self.settings)
        with explained(self.settings, f"take batch {batch_id}"):
            manifest = load_manifest(system, self.family) or Manifest(
                self.family, self.settings.output_format
            )
            sets = [each.name for each in self.pipeline.file_sets]
            if unmerged := self._unmerged(system, batch, batch_id, sets):
                written = self._write_records(system, manifest, batch, batch_id, unmerged)
                manifest.last = (batch.query_id, batch_id, written)
            fault_point("between-files-and-snapshots")
            manifest.apply(batch.query_id, batch_id, self.pipeline.snapshots, batch.summary.changes)
            manifest.save(system)
            self._write_snapshots(system, manifest)
            system.delete(self._staging(batch.query_id, batch_id))

    def _unmerged(
        self, system: FileSystem, batch: Batch, batch_id: int, paths: Iterable[str]
    ) -> list[str]:
        """Those of the sets, or paths in sets, whose files of a batch were not compacted."""
        notes = CompactionNotes.load(system, self.family)
        return [path for path in paths if not notes.covers(path, batch.query_id, batch_id)]

    def _write_records(
        self,
        system: FileSystem,
        manifest: Manifest,
        batch: Batch,
        batch_id: int,
        sets: Sequence[str],
    ) -> tuple[str, ...]:
        """Stage all files of a batch in these sets, then rename each; gives their paths."""
        staging = self._staging(batch.query_id, batch_id)
        former = set(json.loads(system.read(f"{staging}/{TARGETS}") or b"[]"))
        if manifest.last and manifest.last[:2] == (batch.query_id, batch_id):
            former |= {*manifest.last[2]}
        records = sum(batch.summary.outcomes.values()) or ROWS_PER_FILE
        moves: list[tuple[str, str]] = []
        for file_set in (each for each in self.pipeline.file_sets if each.name in sets):
            # Not what is noted next to it, which another attempt may need.
            system.delete(f"{staging}/{file_set.name}")
            for form in self.settings.output_format:
                folder = f"{staging}/{file_set.name}/{form}"
                stage(file_set, batch.records, records, form, system.url(folder))
                target = set_folder(self.settings, file_set.name, form)
                stem = file_stem(batch.query_id, batch_id)
                moves += placed(system, folder, target, stem)
        targets = {target: source for source, target in moves}
        # Files that an earlier attempt put in place and this one will not: noted before any move.
        noted = sorted({*former, *targets})
        system.write(f"{staging}/{TARGETS}", json.dumps(noted).encode())
        with publishing(system, self.family):
            # On this machine `millrace compact` may run meanwhile, and have merged some.
            is_here = isinstance(system, LocalFiles)
            own = self._unmerged(system, batch, batch_id, noted) if is_here else noted
            for path in own:
                if path in targets:
                    system.move(targets[path], path)
                    fault_point("in-files-publish")
                else:
                    system.delete(path)
        return tuple(path for path in own if path in targets)

    def _write_snapshots(self, system: FileSystem, manifest: Manifest) -> None:
        for snapshot in self.pipeline.snapshots:
            rows = manifest.rows(snapshot)
            for form in self.settings.output_format:
                path = snapshot_path(self.settings, snapshot, form)
                system.write(path, small_file(snapshot.columns, rows, form))

    def _staging(self, query_id: str, batch_id: int) -> str:
        return f"{STAGING}/{self.family}/{query_id}/{batch_id}"

    def answer(self) -> None:
        """Read a file, which may be missing; HDFS answers only once Spark runs."""
        if place := arrow_files(self.settings):
            place.read(manifest_path(self.family))

    def count(self) -> dict[str, int | None]:
        """Rows of each set in each format that is there; None on HDFS and S3."""
        found = as_written(self.settings, self.pipeline)
        if arrow_files(self.settings) is None:
            # Which formats there are, only Spark can tell as well.
            return dict.fromkeys([each.name for each in self.pipeline.file_sets])
        return {
            f"{each.name} ({form})": count_set(found, each, form)
            for each in self.pipeline.file_sets
            for form in found.output_format
        }

    def has_data(self) -> str | None:
        """Says that there are files; on HDFS and S3 only Spark can see them."""
        if not has_files(self.settings, self.pipeline):
            return None
        return f"`{self.settings.output_path}` holds files of {self.family}"

    def has_taken(self, query_id: str, batch_id: int) -> bool:
        """Whether the snapshots hold the batch, or files of it may be in place."""
        system = output_files(self.settings)
        if not can_be_reached(system):
            return False
        manifest = load_manifest(system, self.family)
        is_counted = manifest is not None and manifest.has(query_id, batch_id)
        return is_counted or bool(system.read(f"{self._staging(query_id, batch_id)}/{TARGETS}"))

    def rows(self) -> Iterator[StoredTable]:
        """Every set in each format that is there."""
        found = as_written(self.settings, self.pipeline)
        system = output_files(self.settings)
        skipped = superseded(system, self.family) if can_be_reached(system) else []
        for each in self.pipeline.file_sets:
            for form in found.output_format:
                read = partial(
                    read_placed, settings=found, file_set=each, form=form, skipped=skipped
                )
                place = f"{each.name} ({form})"
                key = self.pipeline.key_sql(each.key)
                damaged = partial(damaged_files, settings=found, file_set=each, form=form)
                placed = {FOLDER: folder_sql(each)}
                yield StoredTable(
                    each.name, key, read, place, takes=each.takes, placed=placed, damaged=damaged
                )

    def totals(self) -> Totals | None:
        """The snapshots in each format that is there, and as the manifest will write them next."""
        found = as_written(self.settings, self.pipeline)
        manifest = load_manifest(output_files(self.settings), self.family)
        tables: list[tuple[str, str, Callable[[], list[dict[str, Any]]]]] = [
            (each.name, f"{each.name} ({form})", partial(snapshot_rows, found, each, form))
            for each in self.pipeline.snapshots
            for form in found.output_format
        ]
        if manifest:
            tables += [
                (each.name, f"{each.name} ({manifest_path(self.family)})",
                 partial(manifest.rows, each))
                for each in self.pipeline.snapshots
            ]  # fmt: skip
        return Totals(manifest.last_batch if manifest else None, tables) if tables else None

    def remembers(self, query_id: str) -> tuple[str, int] | None:
        """The last batch that was compacted."""
        last = CompactionNotes.load(output_files(self.settings), self.family).last(query_id)
        return None if last is None else (notes_path(self.family), last)

    def notes(self) -> Iterator[str]:
        """Notes on formats that differ from the setting, and on an interrupted merge."""
        system = output_files(self.settings)
        if can_be_reached(system) and superseded(system, self.family):
            yield (
                f"files of {self.family}: an interrupted merge left rows twice;"
                " `.venv/bin/millrace compact` completes it"
            )
        if differing := other_formats(self.settings, self.pipeline):
            formats = ",".join(as_written(self.settings, self.pipeline).output_format)
            yield f"{differing}; set OUTPUT_FORMAT={formats} for the next job"

    def misplaced(
        self, confirmed: Sequence[Entry], latest: Callable[[], Mapping[str, int]]
    ) -> Iterator[str]:
        """Files that no job put there, and a manifest that does not fit the ledger."""
        return placement_faults(self.settings, self.pipeline, confirmed, latest)

    def elsewhere(self) -> str | None:
        """That OUTPUT_PATH has no manifest, if it can be reached now."""
        is_reached = can_be_reached(output_files(self.settings))
        if not is_reached or has_manifest(self.settings, self.pipeline):
            return None
        return (
            f"OUTPUT_PATH is `{self.settings.output_path}`, where `{manifest_path(self.family)}` is"
            " missing: the job wrote to another place, or it was deleted. Set OUTPUT_PATH to where"
            " the files are, or bring the file back"
        )

    def lacks(self, query_id: str, batch_id: int) -> str | None:
        """That OUTPUT_PATH has no such batch, if it can be reached now."""
        system = output_files(self.settings)
        if not can_be_reached(system):
            return None
        if (manifest := load_manifest(system, self.family)) is None:
            return self.elsewhere()
        if manifest.has(query_id, batch_id):
            return None
        return (
            f"OUTPUT_PATH is `{self.settings.output_path}`, where `{manifest_path(self.family)}`"
            f" lacks batch {batch_id} of the ledger: the job wrote to another place, or a replay to"
            " this one was not completed. Set OUTPUT_PATH to where the files are"
        )

    def describe(self) -> str:
        """Where the files are."""
        return f"files: {self.settings.output_path}"

    def delete(self) -> None:
        """Delete all sets and what is remembered of them."""
        delete_sets(self.settings, self.pipeline)


def sink(pipeline: Pipeline, settings: Settings, database: Database[Any]) -> Sink | None:
    """The sets of a pipeline; None where it has none."""
    return FilesSink(settings, pipeline) if pipeline.file_sets else None


def file_stem(query_id: str, batch_id: int) -> str:
    """The beginning of the names of a batch's files."""
    return f"{query_id[:8]}-{batch_id:010d}"


def stage(file_set: FileSet, records: DataFrame, number: int, form: str, url: str) -> None:
    """Write a set's rows into a folder of their own, separated by day.

    Sorted, so that a repeated batch is split into the same files.
    """
    schema = file_set.schema
    rows = file_set.rows(records)
    day: Column = F.lit(NO_DAY)
    if file_set.day:
        day = F.coalesce(F.date_format(file_set.day, "yyyy-MM-dd"), F.lit(UNKNOWN_DAY))
    rows = rows.withColumn("day", day)
    parts = math.ceil(number / ROWS_PER_FILE)
    rows = rows.coalesce(1) if parts == 1 else rows.repartition(parts, "day", schema[0].name)
    rows = rows.sortWithinPartitions("day", schema[0].name)
    writer(rows, form).option("maxRecordsPerFile", ROWS_PER_FILE).partitionBy("day").save(url)


def placed(system: FileSystem, folder: str, target: str, stem: str) -> list[tuple[str, str]]:
    """Source and target path of each staged file."""
    by_day: dict[str, list[str]] = {}
    for file in system.files(folder):
        day, _, name = file.path.rpartition("/")
        if day and not name.startswith((".", "_")):
            by_day.setdefault(day, []).append(name)
    moves = []
    for day, names in sorted(by_day.items()):
        place = target if day == f"day={NO_DAY}" else f"{target}/{day}"
        for number, name in enumerate(names):
            ending = name.rpartition(".")[2]
            moves.append((f"{folder}/{day}/{name}", f"{place}/{stem}-{number:03d}.{ending}"))
    return moves


@contextmanager
def explained(settings: Settings, action: str) -> Iterator[None]:
    """Turn errors of file systems and Spark into errors that a user can act on.

    Raises:
        SinkError: replaces them, without the cause's message, which may quote records.
    """
    try:
        yield
    except SinkError:
        raise
    except (OSError, Py4JError, PySparkException) as error:
        cause = type(error).__name__
        if isinstance(error, OSError) and error.strerror:
            cause = f"{cause}: {error.strerror}"
        place = f"`{settings.output_path}`"
        if "://" in settings.output_path and OUTAGE_PATTERN.search(str(error)):
            raise SinkUnavailable(
                f"Files: {place} did not {action} ({cause}). Nothing is lost: the batch is"
                " repeated. Check that the store of OUTPUT_PATH is up (`make status`)."
            ) from error
        raise SinkRejected(
            f"Files: {place} refused to {action} ({cause}). Nothing is lost: the batch is repeated"
            " at the next start. Check OUTPUT_PATH, its access rights and free space;"
            " `make logs SERVICE=jobs` has more."
        ) from error
