"""Checks the machine's clock before ids are remembered or forgotten by it.

A clock set back would make Spark's deduplication drop rows; set far ahead, it would forget ids too
early. The kernel's uptime, which cannot be set, shows how much time really passed, until the
machine restarts. docs/decisions/002-deduplication-clock.md has the reasons.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self

from errors import JobError
from spark_jobs.state.acceptance import ACCEPT_CLOCK
from spark_jobs.state.checkpoint import Checkpoint, PlannedBatch
from spark_jobs.transforms.deduplicate import watermark_delay

logger = logging.getLogger(__name__)
UPTIME = Path("/proc/uptime")
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True)
class Moment:
    """The clock's time and the machine's uptime; `boot_id` is None if the uptime is unknown."""

    wall: datetime
    boot_id: str | None = None
    uptime_seconds: float = 0.0

    @classmethod
    def now(cls) -> Self:
        """The present moment."""
        wall = datetime.now(UTC)
        try:
            return cls(wall, BOOT_ID.read_text().strip(), float(UPTIME.read_text().split()[0]))
        except (OSError, ValueError):  # another system than Linux
            return cls(wall)

    def document(self) -> dict[str, Any]:
        """The moment as stored in the ledger."""
        return {"wall": self.wall, "boot_id": self.boot_id, "uptime_seconds": self.uptime_seconds}

    def true_time(self, later: Moment) -> datetime | None:
        """What the clock should say at a later moment; None if that cannot be known."""
        if self.boot_id is None or self.boot_id != later.boot_id:
            return None
        if later.uptime_seconds < self.uptime_seconds:  # a container that was created again
            return None
        return self.wall + timedelta(seconds=later.uptime_seconds - self.uptime_seconds)

    def time_ahead(self, later: Moment) -> timedelta:
        """How far the clock is ahead of the time that passed; zero if that cannot be known."""
        true_time = self.true_time(later)
        return max(later.wall - true_time, timedelta()) if true_time else timedelta()


def tolerance(days: int) -> timedelta:
    """How far the clock may be ahead: a fraction of the time for which ids are remembered."""
    return timedelta(days=days) / 7


def refuse_clock_ahead(planned: PlannedBatch, started: Moment, now: Moment, days: int) -> None:
    """Stop a batch that would make Spark forget ids too early.

    Raises:
        JobError: nothing of the batch was written.
    """
    true_time = started.true_time(now)
    if true_time is None:
        return
    ahead = datetime.fromtimestamp(planned.timestamp_ms / 1000, UTC) - true_time
    if ahead > tolerance(days):
        raise JobError(
            f"This machine's clock was set {in_words(ahead)} ahead while the job ran, or the"
            f" machine was suspended that long. Batch {planned.batch_id} was stopped before"
            " anything was written, because ids could be forgotten too early. Correct the clock"
            f" and start the job again; if the clock is right, start it with `{ACCEPT_CLOCK}`."
        )


def refuse_dropped_rows(planned: PlannedBatch, not_before: datetime) -> None:
    """Stop a batch whose rows Spark's deduplication would silently drop.

    Rows carry the later of the batch's clock and `not_before`; at or below the watermark, Spark
    drops them. That happens if the clock is set back by more than the watermark's delay.

    Raises:
        JobError: nothing of the batch was written.
    """
    clock_ms = max(planned.timestamp_ms, int(not_before.timestamp() * 1000))
    if planned.watermark_ms and clock_ms <= planned.watermark_ms:
        raise JobError(
            "This machine's clock is behind the latest time that the job has seen, so batch"
            f" {planned.batch_id} was stopped before anything was written. Correct the clock and"
            " start the job again: it continues from its checkpoint."
        )


def earliest_clock(checkpoint: Checkpoint, days: int) -> datetime:
    """The earliest time that a restarted query's clock may have: see `refuse_dropped_rows`."""
    last = checkpoint.last_planned()
    watermark_ms = checkpoint.planned_batch(last).watermark_ms if last is not None else 0
    if not watermark_ms:
        return datetime(1970, 1, 1, tzinfo=UTC)
    return datetime.fromtimestamp(watermark_ms / 1000, UTC) + watermark_delay(days)


def set_planned_batch_right(checkpoint: Checkpoint, now: Moment, days: int) -> None:
    """Set a pending batch's clock to `now` if it was planned by a clock that was far ahead.

    Its offsets, and so its rows, stay the same: only the time by which ids are remembered changes.
    """
    planned = checkpoint.last_planned()
    if planned is None or planned == checkpoint.last_committed():
        return
    ahead = checkpoint.planned_batch(planned).timestamp_ms / 1000 - now.wall.timestamp()
    if ahead > tolerance(days).total_seconds():
        checkpoint.set_timestamp(planned, int(now.wall.timestamp() * 1000))
        logger.warning("checkpoint=%s batch_id=%d planned in the future", checkpoint.path, planned)


def in_words(duration: timedelta) -> str:
    """A duration as text: `365 days`, `3 hours`."""
    hours = round(duration.total_seconds() / 3600)
    return f"{hours} hours" if hours < 48 else f"{round(hours / 24)} days"
