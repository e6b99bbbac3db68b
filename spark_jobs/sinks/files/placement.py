"""Finds files that are not where a batch or a compaction put them, and a manifest that is behind.

After a crash there may be files of the one unfinished batch, and what readers skip: staging, and
hidden names. Both are in order.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

from runtime import remedies
from settings import Settings
from spark_jobs.pipeline import Pipeline
from spark_jobs.session.file_system import StoredFile, output_files
from spark_jobs.sinks.files.compaction import CompactionNotes
from spark_jobs.sinks.files.manifest import Manifest, load_manifest, manifest_path, snapshot_path
from spark_jobs.sinks.files.rows import as_written
from spark_jobs.state.ledger import Entry

BATCH_FILE: Final = re.compile(r"([0-9a-f]{8})-(\d{10})-\d{3,}\.\w+\Z", re.ASCII)
COMPACTED_FILE: Final = re.compile(r"compacted-[0-9a-f]{12}-\d{3,}\.\w+\Z", re.ASCII)
DAY: Final = re.compile(r"day=(\d{4}-\d\d-\d\d|unknown)/", re.ASCII)
HIDDEN: Final = (".", "_")


def placement_faults(
    settings: Settings,
    pipeline: Pipeline,
    confirmed: Sequence[Entry],
    latest: Callable[[], Mapping[str, int]],
) -> Iterator[str]:
    """What is wrong with the files of a pipeline, apart from their rows.

    Args:
        settings: Where the files are.
        pipeline: The pipeline.
        confirmed: Its batches that the files must have.
        latest: Gives the last batch of each query that may be there; called after the files were
            listed, as a job may write on.
    """
    system, family, topic = output_files(settings), pipeline.family, pipeline.topic(settings)
    written = as_written(settings, pipeline)
    # In this order: a batch's files are there before the manifest names it, and no longer once the
    # notes have it.
    manifest = load_manifest(system, family)
    sets = [each.name for each in pipeline.file_sets]
    listed = {n: _visible(system.files(n)) for n in (*sets, *(s.name for s in pipeline.snapshots))}
    notes = CompactionNotes.load(system, family)
    last = latest()
    known = _Known(written.output_format, last, has_compacted=bool(notes.sets))
    for each in pipeline.file_sets:
        for file in listed[each.name]:
            path = f"{each.name}/{file.path}"
            batch_id = known.batch_in(file.path, has_days=each.day is not None)
            if batch_id is None:
                yield (
                    f"`{path}`: no job of {family} put this file there, yet readers of"
                    f" `{each.name}` read it: move it elsewhere"
                )
            elif batch_id > known.until(file.path):
                yield (
                    f"`{path}` names batch {batch_id}, which the ledger does not have and no job"
                    " can have begun: move it elsewhere; if MongoDB was set back, first bring it"
                    f" up to date: `{remedies.replay(topic, 'mongodb', settings)}`"
                )
            elif not file.size:
                yield f"`{path}` is empty, and no job writes empty files: restore it"
    for snapshot in pipeline.snapshots:
        own = {snapshot_path(written, snapshot, form) for form in written.output_format}
        for file in listed[snapshot.name]:
            if (path := f"{snapshot.name}/{file.path}") not in own:
                yield f"`{path}`: no job of {family} put this file there: move it elsewhere"
    if manifest is None:
        return
    if manifest.last:
        query_id, batch_id, files = manifest.last
        paths = {f"{name}/{file.path}" for name in sets for file in listed[name]}
        for path in sorted({*files} - paths):
            if not notes.covers(path, query_id, batch_id):
                yield f"`{path}` is missing; batch {batch_id} put it there: restore it"
    yield from _manifest_faults(settings, manifest, pipeline, confirmed, last)


class _Known:
    """Which paths within a set batches and compactions may have written."""

    def __init__(
        self, formats: Sequence[str], last: Mapping[str, int], *, has_compacted: bool
    ) -> None:
        self.formats, self.has_compacted = formats, has_compacted
        self.last = {query_id[:8]: batch_id for query_id, batch_id in last.items()}

    def batch_in(self, path: str, *, has_days: bool) -> int | None:
        """The batch that a path names, -1 for a merged file; None if no job writes such a path."""
        form, rest = path.rpartition(".")[2], path
        if form not in self.formats:
            return None
        if len(self.formats) > 1:
            folder, _, rest = path.partition("/")
            if folder != form:
                return None
        if has_days:
            day = DAY.match(rest)
            rest = rest[day.end() :] if day else "/"
        if COMPACTED_FILE.fullmatch(rest):
            return -1 if self.has_compacted else None
        found = BATCH_FILE.fullmatch(rest)
        # Before the first confirmed batch, no query is known.
        return int(found[2]) if found and (found[1] in self.last or not self.last) else None

    def until(self, path: str) -> int:
        """The last batch of the query in a path that may be there."""
        return self.last.get(path.rpartition("/")[2][:8], 0)


def _visible(files: Sequence[StoredFile]) -> list[StoredFile]:
    """Without those that readers skip."""
    return [f for f in files if not any(n.startswith(HIDDEN) for n in f.path.split("/"))]


def _manifest_faults(
    settings: Settings,
    manifest: Manifest,
    pipeline: Pipeline,
    confirmed: Sequence[Entry],
    last: Mapping[str, int],
) -> Iterator[str]:
    """Where the batches that the manifest names differ from the ledger's."""
    place = f"`{manifest_path(pipeline.family)}`"
    topic = pipeline.topic(settings)
    remedy = (
        f"restore the file, or delete it and fill the files again:"
        f" `{remedies.replay(topic, 'files', settings)}`"
    )
    missing = [e.batch_id for e in confirmed if not manifest.has(e.query_id, e.batch_id)]
    if missing:
        yield (
            f"{place} lacks {len(missing)} batches of the ledger, the first is {missing[0]}, so the"
            f" snapshots would count them again: {remedy}"
        )
    for query_id, ranges in sorted(manifest.applied.items()):
        end = max((b for _, b in ranges), default=-1)
        # Before the first confirmed batch, no query is known.
        if end > last.get(query_id, -1 if last else 0):
            yield (
                f"{place} names batch {end} of query {query_id[:8]}, which the ledger does not have"
                f" and no job can have begun, so the snapshots would never count it: {remedy}"
            )
