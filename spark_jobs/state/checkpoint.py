"""Reads a checkpoint folder: its query, and the offsets and clock of each micro-batch.

Source of the format: Spark 3.5's `HDFSMetadataLog` (a version line, then JSON), `OffsetSeqLog`
(metadata line, then one line of offsets for each source) and `KafkaSourceInitialOffsetWriter`
(a zero byte, version line, offsets).

A checkpoint on HDFS or S3 is read by Hadoop's FileSystem in the driver's JVM, so only while Spark
runs.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from py4j.protocol import Py4JError

from errors import JobError, SinkUnavailable
from runtime import remedies
from settings import Settings
from spark_jobs.session.file_system import FileSystem, HadoopFiles, LocalFiles, can_be_reached

Offsets = dict[int, int]
INITIAL_OFFSETS = "sources/0/0"
ACCEPTED_LOSS = "millrace-accepted-loss.json"


@dataclass(frozen=True)
class PlannedBatch:
    """One micro-batch as Spark plans it: stored before it runs, unchanged when repeated.

    `until` is the offset after the last one of each partition.
    """

    batch_id: int
    topic: str
    until: Offsets
    timestamp_ms: int
    watermark_ms: int
    shuffle_partitions: int


@dataclass(frozen=True)
class Checkpoint:
    """A query's checkpoint folder. Missing files read as None, unreadable ones raise.

    Attributes:
        path: A folder on this machine, or the address of one on HDFS or S3.
    """

    path: Path | str

    @property
    def url(self) -> str:
        """The folder's address for Spark, on this machine with `file:`."""
        return self._files.url("")

    @property
    def can_be_reached(self) -> bool:
        """Whether the folder can be read now: HDFS and S3 need the driver's JVM."""
        return can_be_reached(self._files)

    @property
    def _pipeline(self) -> str:
        """The pipeline that it belongs to, by the name of the folder above."""
        return Path(str(self.path)).parent.name.partition("-")[0]

    def query_id(self) -> str | None:
        """Id of the query that owns the folder, None before its first start."""
        metadata = self.read("metadata")
        return None if metadata is None else str(json.loads(metadata)["id"])

    def last_planned(self) -> int | None:
        """The last batch that Spark planned, None before the first."""
        return max(self._ids("offsets"), default=None)

    def last_committed(self) -> int | None:
        """The last batch that Spark committed, None before the first."""
        return max(self._ids("commits"), default=None)

    def shuffle_partitions(self) -> int | None:
        """Number of partitions of its state, which never changes; None before its first batch."""
        last = self.last_planned()
        return None if last is None else self.planned_batch(last).shuffle_partitions

    def planned_batch(self, batch_id: int) -> PlannedBatch:
        """The offsets and the clock of one micro-batch.

        Raises:
            JobError: the offset log has no such batch, or it is not in the known format.
        """
        return self._planned(batch_id, self.read(f"offsets/{batch_id}") or "")

    def kept_plans(self) -> dict[int, PlannedBatch]:
        """The batches whose plans it still has, by number; Spark keeps about the last hundred.

        Raises:
            JobError: a plan is not in the known format.
        """
        logs = {batch_id: self.read(f"offsets/{batch_id}") for batch_id in self._ids("offsets")}
        # Spark may have deleted one since.
        return {n: self._planned(n, log) for n, log in logs.items() if log is not None}

    def _planned(self, batch_id: int, log: str) -> PlannedBatch:
        try:
            _, metadata_line, offsets_line = log.splitlines()[:3]
            metadata = json.loads(metadata_line)
            conf = metadata.get("conf", {})
            topic, until = _one_topic(json.loads(offsets_line))
            return PlannedBatch(
                batch_id=batch_id,
                topic=topic,
                until=until,
                timestamp_ms=int(metadata["batchTimestampMs"]),
                watermark_ms=int(metadata["batchWatermarkMs"]),
                shuffle_partitions=int(conf["spark.sql.shuffle.partitions"]),
            )
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise JobError(
                f"The checkpoint `{self.path}` has no readable plan of batch {batch_id}"
                f" ({type(error).__name__}): something else changed it, or another version of"
                " Spark made it. Restore it, or start from scratch with"
                f" `{remedies.reset(self._pipeline)}`."
            ) from error

    def ranges(self, batch_id: int) -> dict[int, tuple[int, int]]:
        """Partition -> (first offset, offset after the last) of one micro-batch.

        A partition that was added later begins at 0, where Spark begins to read it.
        """
        until = self.planned_batch(batch_id).until
        start = self.planned_batch(batch_id - 1).until if batch_id > 0 else self._initial_offsets()
        return {partition: (start.get(partition, 0), end) for partition, end in until.items()}

    def next_offsets(self) -> Offsets:
        """The next offset to read in each partition; empty before the first start.

        A batch that was planned but not committed is read again from its beginning.
        """
        planned = self.last_planned()
        if planned is None:
            return self.first_offsets()
        if self.last_committed() == planned:
            return self.planned_batch(planned).until
        return {partition: start for partition, (start, _) in self.ranges(planned).items()}

    def first_offsets(self) -> Offsets:
        """The offsets that the query began with; empty before its first start."""
        return self._initial_offsets() if self.read(INITIAL_OFFSETS) else {}

    def done_ranges(self) -> dict[int, tuple[int, int]]:
        """Partition -> (first offset that the query read, next offset to read)."""
        begun = self.first_offsets()
        return {p: (begun.get(p, 0), offset) for p, offset in self.next_offsets().items()}

    def note_accepted_loss(self, ranges: Mapping[int, tuple[int, int]]) -> None:
        """Store the loss that the user accepted, in case the next batch crashes."""
        text = json.dumps({str(partition): list(span) for partition, span in ranges.items()})
        self.write(ACCEPTED_LOSS, text)

    def noted_loss(self) -> dict[int, tuple[int, int]]:
        """What `note_accepted_loss` stored last; empty if it never did."""
        noted = json.loads(self.read(ACCEPTED_LOSS) or "{}")
        return {int(partition): (start, end) for partition, (start, end) in noted.items()}

    def set_timestamp(self, batch_id: int, timestamp_ms: int) -> None:
        """Change only the clock of a planned batch."""
        version, metadata, *offsets = (self.read(f"offsets/{batch_id}") or "").splitlines()
        changed = json.dumps(json.loads(metadata) | {"batchTimestampMs": timestamp_ms})
        # Without its checksum file the log is read unchecked; the old checksum would not match.
        with self._explained():
            self._files.delete(f"offsets/.{batch_id}.crc")
        self.write(f"offsets/{batch_id}", "\n".join([version, changed, *offsets]))

    def read(self, name: str) -> str | None:
        """The content of a file in the folder, None if there is no such file.

        Raises:
            SinkUnavailable: its file system did not answer.
        """
        with self._explained():
            content = self._files.read(name)
        return None if content is None else content.lstrip(b"\0").decode()

    def write(self, name: str, text: str) -> None:
        """Write a file in the folder atomically.

        Raises:
            SinkUnavailable: its file system did not answer.
        """
        with self._explained():
            self._files.write(name, text.encode())

    def delete(self) -> None:
        """Delete the folder; readers see it vanish in one step, except on S3."""
        with self._explained():
            self._files.delete_whole()

    @property
    def _files(self) -> FileSystem:
        return HadoopFiles(self.path) if isinstance(self.path, str) else LocalFiles(self.path)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except (OSError, Py4JError) as error:
            raise SinkUnavailable(
                f"The checkpoint `{self.path}` cannot be reached ({type(error).__name__}). Nothing"
                " is lost. Check that its file system is up, its access rights and free space;"
                " correct CHECKPOINT_PATH if it is elsewhere."
            ) from error

    def _initial_offsets(self) -> Offsets:
        text = self.read(INITIAL_OFFSETS) or ""
        return _one_topic(json.loads(text.split("\n", 1)[1]))[1]

    def _ids(self, log: str) -> list[int]:
        with self._explained():
            return sorted(int(name) for name in self._files.names(log) if name.isdigit())


def checkpoint_at(root: str, *parts: str) -> Checkpoint:
    """The checkpoint of that name below `root`, a folder or an address."""
    place = "/".join([root, *parts])
    return Checkpoint(place if "://" in place else Path(place))


def checkpoint_of(settings: Settings, pipeline: str) -> Checkpoint:
    """A pipeline's checkpoint; the version changes with the form of its state."""
    return checkpoint_at(settings.checkpoints, pipeline, "v1")


def _one_topic(offsets: dict[str, Any]) -> tuple[str, Offsets]:
    ((topic, by_partition),) = offsets.items()
    return topic, {int(partition): int(offset) for partition, offset in by_partition.items()}
