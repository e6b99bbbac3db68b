"""What the files sink remembers of a pipeline: `_millrace/<pipeline>.json` under `OUTPUT_PATH`.

It is replaced as a whole, once per micro-batch, after the batch's records are in place. It names
the batches that the snapshots hold, so a repeated batch is counted once.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from errors import SinkRejected
from runtime import remedies
from settings import OUTPUT_FORMATS, Settings
from spark_jobs.changes import Change, derived, merged
from spark_jobs.session.file_system import STATE, FileSystem, ReadableFiles
from spark_jobs.targets import Snapshot

VERSION: Final = 1
WHOLE: Final = ""
# Tags of values that JSON lacks.
DECIMAL: Final = "$decimal"
INSTANT: Final = "$instant"
Ranges = list[tuple[int, int]]


@dataclass
class Manifest:
    """The batches that were applied, and their totals.

    Attributes:
        formats: Formats of all sets.
        applied: Query id -> the batches that the snapshots hold, as inclusive ranges.
        last: Query id, batch id and files of the batch that was written last.
        totals: Snapshot -> value of its group -> column -> value.
        sketches: Snapshot, as `_sketch_key` names it -> HyperLogLog sketch of distinct values.
    """

    pipeline: str
    formats: tuple[str, ...]
    applied: dict[str, Ranges] = field(default_factory=dict)
    last: tuple[str, int, tuple[str, ...]] | None = None
    totals: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)
    sketches: dict[str, bytes] = field(default_factory=dict)

    def has(self, query_id: str, batch_id: int) -> bool:
        """Whether a batch is in the snapshots."""
        return within(self.applied.get(query_id, []), batch_id)

    @property
    def last_batch(self) -> int | None:
        """The last batch that the snapshots hold, None before the first."""
        return max((ranges[-1][1] for ranges in self.applied.values() if ranges), default=None)

    def apply(
        self, query_id: str, batch_id: int, snapshots: Iterable[Snapshot], changes: list[Change]
    ) -> None:
        """Add a batch, unless the snapshots hold it already."""
        if self.has(query_id, batch_id):
            return
        for snapshot in snapshots:
            groups = self.totals.setdefault(snapshot.name, {})
            for change in changes:
                if change.collection == snapshot.aggregate.name:
                    self._add(snapshot, groups, change)
        self.applied[query_id] = with_batch(self.applied.get(query_id, []), batch_id)

    def _add(self, snapshot: Snapshot, groups: dict[str, dict[str, Any]], change: Change) -> None:
        key = change.labels[snapshot.by] if snapshot.by else WHOLE
        before = groups.get(key, {}) | self._sketches_of(snapshot, key)
        numbers = merged(snapshot.aggregate, before, change.values)
        for name in snapshot.aggregate.sketches.values():
            self.sketches[_sketch_key(snapshot, key, name)] = numbers.pop(name)
        groups[key] = numbers

    def _sketches_of(self, snapshot: Snapshot, key: str) -> dict[str, Any]:
        names = {n: _sketch_key(snapshot, key, n) for n in snapshot.aggregate.sketches.values()}
        return {name: self.sketches[k] for name, k in names.items() if k in self.sketches}

    def rows(self, snapshot: Snapshot) -> list[dict[str, Any]]:
        """The rows of a snapshot, by the value of its group."""
        groups = self.totals.get(snapshot.name, {})
        rows: list[dict[str, Any]] = []
        for key, numbers in sorted(groups.items()):
            measures = numbers | derived(
                snapshot.aggregate, numbers | self._sketches_of(snapshot, key)
            )
            rows.append({snapshot.by: key, **measures} if snapshot.by else measures)
        return rows

    def save(self, system: FileSystem) -> None:
        """Replace the stored manifest by this one."""
        system.write(manifest_path(self.pipeline), self.text().encode())

    def text(self) -> str:
        """The content of the manifest's file."""
        document = {
            "version": VERSION,
            "pipeline": self.pipeline,
            "formats": list(self.formats),
            "applied": self.applied,
            "last": self.last,
            "totals": self.totals,
            "sketches": {k: base64.b64encode(v).decode() for k, v in self.sketches.items()},
        }
        return json.dumps(document, indent=1, default=_tagged)


def _sketch_key(snapshot: Snapshot, key: str, field_name: str) -> str:
    """The snapshot's name for its only sketch; otherwise with the group and the field."""
    if snapshot.by is None and len(snapshot.aggregate.sketches) == 1:
        return snapshot.name
    return json.dumps([snapshot.name, key, field_name])


def _tagged(value: object) -> dict[str, str]:
    """A value that JSON lacks, with its type."""
    if isinstance(value, Decimal):
        return {DECIMAL: str(value)}
    if isinstance(value, datetime):
        return {INSTANT: value.isoformat()}
    raise TypeError(f"a manifest cannot hold {type(value).__name__}")


def _untagged(found: dict[str, Any]) -> Any:
    match [*found.items()]:
        case [(tag, str(text))] if tag == DECIMAL:
            return Decimal(text)
        case [(tag, str(text))] if tag == INSTANT:
            return datetime.fromisoformat(text)
    return found


def manifest_path(pipeline: str) -> str:
    """Path of a pipeline's manifest."""
    return f"{STATE}/{pipeline}.json"


def set_folder(settings: Settings, name: str, form: str) -> str:
    """Where a set has the files of a format."""
    return name if len(settings.output_format) == 1 else f"{name}/{form}"


def snapshot_path(settings: Settings, snapshot: Snapshot, form: str) -> str:
    """The one file of a snapshot."""
    return f"{set_folder(settings, snapshot.name, form)}/{snapshot.name}.{form}"


def load_manifest(system: ReadableFiles, pipeline: str) -> Manifest | None:
    """The manifest of a pipeline, None before its first batch.

    Raises:
        SinkRejected: it exists and cannot be read.
    """
    content = system.read(manifest_path(pipeline))
    if content is None:
        return None
    try:
        document = json.loads(content, object_hook=_untagged)
        last = document["last"]
        if document["pipeline"] != pipeline:
            raise ValueError
        return Manifest(
            pipeline=pipeline,
            formats=_known_formats(document["formats"]),
            applied={q: [(int(a), int(b)) for a, b in r] for q, r in document["applied"].items()},
            last=(str(last[0]), int(last[1]), tuple(map(str, last[2]))) if last else None,
            totals=document["totals"],
            sketches={k: base64.b64decode(v) for k, v in document["sketches"].items()},
        )
    except (ValueError, LookupError, TypeError, AttributeError, InvalidOperation) as error:
        raise SinkRejected(
            f"Files: `{system.url(manifest_path(pipeline))}` cannot be read"
            f" ({type(error).__name__}): something else changed it. Restore it, or start from"
            f" scratch with `{remedies.reset(pipeline)}`."
        ) from error


def _known_formats(names: list[str]) -> tuple[str, ...]:
    if not names or not {*names} <= {*OUTPUT_FORMATS}:
        raise ValueError
    return tuple(names)


def within(ranges: Ranges, batch_id: int) -> bool:
    """Whether one of the ranges includes a batch."""
    return any(first <= batch_id <= last for first, last in ranges)


def with_batch(ranges: Ranges, batch_id: int) -> Ranges:
    """The ranges with one more batch; adjacent ranges become one."""
    merged: Ranges = []
    for first, last in sorted([*ranges, (batch_id, batch_id)]):
        if merged and first <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(last, merged[-1][1]))
        else:
            merged.append((first, last))
    return merged
