"""What a checkpoint folder says: its query, the offsets of each micro-batch, its clock.

Source of the format: Spark 3.5's `HDFSMetadataLog` (a version line, then JSON), `OffsetSeqLog`
(metadata line, then one line of offsets for each source) and `KafkaSourceInitialOffsetWriter`
(a zero byte, version line, offsets).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from settings import JobError

Offsets = dict[int, int]


@dataclass(frozen=True)
class BatchPlan:
    """One micro-batch as planned: written before it runs, the same when it is repeated."""

    batch_id: int
    topic: str
    until: Offsets
    timestamp_ms: int
    watermark_ms: int
    shuffle_partitions: int


@dataclass(frozen=True)
class Checkpoint:
    """A query's checkpoint folder. Missing files read as absent, unreadable ones raise."""

    path: Path

    def query_id(self) -> str | None:
        """Id of the query that owns the folder, None before its first start."""
        metadata = self.path / "metadata"
        return str(json.loads(metadata.read_text())["id"]) if metadata.exists() else None

    def last_planned(self) -> int | None:
        """The last batch that was begun."""
        return max(self._ids("offsets"), default=None)

    def last_committed(self) -> int | None:
        """The last batch that Spark knows to be complete."""
        return max(self._ids("commits"), default=None)

    def plan(self, batch_id: int) -> BatchPlan:
        """The offsets and the clock of one micro-batch.

        Raises:
            JobError: the offset log has no such batch, or it is not in the known format.
        """
        log = self.path / "offsets" / str(batch_id)
        try:
            _, metadata_line, offsets_line = log.read_text().splitlines()[:3]
            metadata = json.loads(metadata_line)
            conf = metadata.get("conf", {})
            topic, until = _one_topic(json.loads(offsets_line))
            return BatchPlan(
                batch_id=batch_id,
                topic=topic,
                until=until,
                timestamp_ms=int(metadata["batchTimestampMs"]),
                watermark_ms=int(metadata["batchWatermarkMs"]),
                shuffle_partitions=int(conf["spark.sql.shuffle.partitions"]),
            )
        except (OSError, ValueError, KeyError) as error:
            raise JobError(
                f"The checkpoint `{self.path}` has no readable plan of batch {batch_id}"
                f" ({type(error).__name__}): it was changed from outside or made by another"
                " version of Spark. Restore it, or start anew with `make reset`."
            ) from error

    def ranges(self, batch_id: int) -> dict[int, tuple[int, int]]:
        """Partition -> (first offset, offset after the last) of one micro-batch.

        A partition that was added later begins at 0, where Spark begins to read it.
        """
        until = self.plan(batch_id).until
        start = self.plan(batch_id - 1).until if batch_id > 0 else self._initial_offsets()
        return {partition: (start.get(partition, 0), end) for partition, end in until.items()}

    def next_offsets(self) -> Offsets:
        """Where reading goes on; empty before a first start.

        A batch that was planned and not committed is read again from its beginning.
        """
        planned = self.last_planned()
        if planned is None:
            return self._initial_offsets() if self._initial_file.exists() else {}
        if self.last_committed() == planned:
            return self.plan(planned).until
        return {partition: start for partition, (start, _) in self.ranges(planned).items()}

    def done_ranges(self) -> dict[int, tuple[int, int]]:
        """Partition -> (where the query began, where reading goes on)."""
        begun = self._initial_offsets() if self._initial_file.exists() else {}
        return {p: (begun.get(p, 0), offset) for p, offset in self.next_offsets().items()}

    def note_accepted_loss(self, ranges: Mapping[int, tuple[int, int]]) -> None:
        """Remember which unread offsets the user goes on without, should the next batch die."""
        text = json.dumps({str(partition): list(span) for partition, span in ranges.items()})
        partial = self._accepted_loss_file.with_suffix(".part")
        partial.write_text(text)
        partial.replace(self._accepted_loss_file)

    def noted_loss(self) -> dict[int, tuple[int, int]]:
        """What `note_accepted_loss` wrote last; empty where it never did."""
        if not self._accepted_loss_file.exists():
            return {}
        noted = json.loads(self._accepted_loss_file.read_text())
        return {int(partition): (start, end) for partition, (start, end) in noted.items()}

    @property
    def _accepted_loss_file(self) -> Path:
        return self.path / "millrace-accepted-loss.json"

    @property
    def _initial_file(self) -> Path:
        return self.path / "sources" / "0" / "0"

    def set_timestamp(self, batch_id: int, timestamp_ms: int) -> None:
        """Change a planned batch's clock, and nothing else of it."""
        log = self.path / "offsets" / str(batch_id)
        version, metadata, *offsets = log.read_text().splitlines()
        changed = json.dumps(json.loads(metadata) | {"batchTimestampMs": timestamp_ms})
        partial = log.with_name(f".{log.name}.changed")
        partial.write_text("\n".join([version, changed, *offsets]))
        # Without its checksum file the log is read unchecked; with the former it would be refused.
        log.with_name(f".{log.name}.crc").unlink(missing_ok=True)
        partial.replace(log)

    def _initial_offsets(self) -> Offsets:
        text = self._initial_file.read_bytes().lstrip(b"\0").decode()
        return _one_topic(json.loads(text.split("\n", 1)[1]))[1]

    def _ids(self, log: str) -> list[int]:
        folder = self.path / log
        if not folder.is_dir():
            return []
        return sorted(int(file.name) for file in folder.iterdir() if file.name.isdigit())


def _one_topic(offsets: dict[str, Any]) -> tuple[str, Offsets]:
    ((topic, by_partition),) = offsets.items()
    return topic, {int(partition): int(offset) for partition, offset in by_partition.items()}
