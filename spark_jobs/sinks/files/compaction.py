"""What jobs and `millrace compact` need to know about each other.

`_millrace/<pipeline>-compacted.json` says which batches were merged into larger files, and what an
interrupted compaction still has to do.
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
    """Which batches were compacted, as inclusive ranges for each query.

    Only `millrace replay` repeats a confirmed batch; its compacted rows are already in place.
    """

    pipeline: str
    batches: dict[str, Ranges] = field(default_factory=dict)

    def covers(self, query_id: str, batch_id: int) -> bool:
        """Whether a batch's files were compacted."""
        return within(self.batches.get(query_id, []), batch_id)

    def add(self, query_id: str, batch_id: int) -> None:
        """Note one batch."""
        self.batches[query_id] = with_batch(self.batches.get(query_id, []), batch_id)

    @classmethod
    def load(cls, system: FileSystem, pipeline: str) -> CompactionNotes:
        """The stored notes; empty ones if nothing was compacted."""
        content = system.read(notes_path(pipeline))
        if content is None:
            return cls(pipeline)
        known = json.loads(content)["batches"]
        return cls(pipeline, {q: [(a, b) for a, b in ranges] for q, ranges in known.items()})

    def save(self, system: FileSystem) -> None:
        """Replace the stored notes by these."""
        system.write(notes_path(self.pipeline), json.dumps({"batches": self.batches}).encode())


def notes_path(pipeline: str) -> str:
    """Path of a pipeline's notes."""
    return f"{STATE}/{pipeline}-compacted.json"


@contextmanager
def publishing(system: FileSystem, pipeline: str) -> Iterator[None]:
    """Keep compaction from exchanging a folder while files are being moved into it.

    On this machine only; elsewhere nothing is compacted while a job runs.
    """
    if not isinstance(system, LocalFiles):
        yield
        return
    with exclusive(system.root / STATE / f"{pipeline}.lock"):
        yield
