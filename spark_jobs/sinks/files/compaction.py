"""What jobs and `millrace compact` must know of each other.

`_millrace/<pipeline>-compacted.json` says which batches have gone into larger files, and what a
compaction that was interrupted still has to do.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from runtime.files import exclusive
from spark_jobs.session.file_system import STATE, FileSystem, LocalFiles
from spark_jobs.sinks.files.manifest import Ranges, with_batch, within


@dataclass
class CompactionNotes:
    """Which batches were compacted, as ranges with both ends for each query.

    A confirmed batch comes again only by `millrace replay`; what was compacted of it is there.
    """

    pipeline: str
    batches: dict[str, Ranges] = field(default_factory=dict)

    def covers(self, query_id: str, batch_id: int) -> bool:
        """Whether files of a batch were compacted."""
        return within(self.batches.get(query_id, []), batch_id)

    def add(self, query_id: str, batch_id: int) -> None:
        """Note one batch."""
        self.batches[query_id] = with_batch(self.batches.get(query_id, []), batch_id)

    @classmethod
    def load(cls, system: FileSystem, pipeline: str) -> CompactionNotes:
        """The notes as they stand; empty ones where nothing was compacted."""
        content = system.read(notes_path(pipeline))
        if content is None:
            return cls(pipeline)
        known = json.loads(content)["batches"]
        return cls(pipeline, {q: [(a, b) for a, b in ranges] for q, ranges in known.items()})

    def save(self, system: FileSystem) -> None:
        """Put them in the place of the former ones."""
        system.write(notes_path(self.pipeline), json.dumps({"batches": self.batches}).encode())


def notes_path(pipeline: str) -> str:
    """Where the notes of a pipeline are."""
    return f"{STATE}/{pipeline}-compacted.json"


@contextmanager
def publishing(system: FileSystem, pipeline: str) -> Iterator[None]:
    """Hold off whoever would exchange a folder into which files are just being moved.

    On this machine only; elsewhere nothing is compacted while a job runs.
    """
    if not isinstance(system, LocalFiles):
        yield
        return
    with exclusive(system.root / STATE / f"{pipeline}.lock"):
        yield
