"""What jobs and `millrace compact` need to know about each other.

`_millrace/<pipeline>-compacted.json` says which batches of each set were merged into larger files.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from runtime.files import exclusive
from spark_jobs.session.file_system import STATE, FileSystem, LocalFiles
from spark_jobs.sinks.files.manifest import Ranges, with_batch, within

# Of notes that name no set, and so hold for all.
EVERY_SET = ""


@dataclass
class CompactionNotes:
    """Which batches were compacted, as inclusive ranges for each set and query.

    Only `millrace replay` repeats a confirmed batch; its compacted rows are already in place.
    """

    pipeline: str
    sets: dict[str, dict[str, Ranges]] = field(default_factory=dict)

    def covers(self, path: str, query_id: str, batch_id: int) -> bool:
        """Whether a batch's files were compacted in a set, which may be given by a path in it."""
        names = (path.partition("/")[0], EVERY_SET)
        return any(within(self.sets.get(n, {}).get(query_id, []), batch_id) for n in names)

    def add(self, set_name: str, query_id: str, batch_id: int) -> None:
        """Note one batch."""
        batches = self.sets.setdefault(set_name, {})
        batches[query_id] = with_batch(batches.get(query_id, []), batch_id)

    def last(self, query_id: str) -> int | None:
        """The last batch that was compacted in any set."""
        ends = [each[query_id][-1][1] for each in self.sets.values() if query_id in each]
        return max(ends, default=None)

    @classmethod
    def load(cls, system: FileSystem, pipeline: str) -> CompactionNotes:
        """The stored notes; empty ones if nothing was compacted."""
        content = system.read(notes_path(pipeline))
        if content is None:
            return cls(pipeline)
        known = json.loads(content)
        sets = known["sets"] if "sets" in known else {EVERY_SET: known["batches"]}
        return cls(
            pipeline,
            {
                name: {q: [(a, b) for a, b in ranges] for q, ranges in batches.items()}
                for name, batches in sets.items()
            },
        )

    def save(self, system: FileSystem) -> None:
        """Replace the stored notes by these."""
        # A job of an earlier version reads `batches`, and passes over what any set has.
        batches: dict[str, Ranges] = {}
        for each in self.sets.values():
            for query_id, ranges in each.items():
                batches[query_id] = sorted({*batches.get(query_id, []), *ranges})
        notes = {"sets": self.sets, "batches": batches}
        system.write(notes_path(self.pipeline), json.dumps(notes).encode())


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
