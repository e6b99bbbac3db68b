"""Whether the machine's clock can be believed, before ids are remembered or forgotten by it.

Set back, it would make Spark's deduplication drop rows; set far ahead, forget ids before their
time. How much time really passed, the kernel's uptime tells, which nobody sets, for as long as the
machine has not been started anew. docs/decisions/002-deduplication-clock.md has the reasons.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self

from errors import JobError
from spark_jobs.state.acceptance import ACCEPT_CLOCK
from spark_jobs.state.checkpoint import BatchPlan, Checkpoint
from spark_jobs.transforms.deduplicate import watermark_delay

logger = logging.getLogger(__name__)
UPTIME = Path("/proc/uptime")
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True)
class Moment:
    """What the clock said, and how long the machine had been up; `boot_id` None if unknown."""

    wall: datetime
    boot_id: str | None = None
    uptime_seconds: float = 0.0

    @classmethod
    def now(cls) -> Self:
        """This moment."""
        wall = datetime.now(UTC)
        try:
            return cls(wall, BOOT_ID.read_text().strip(), float(UPTIME.read_text().split()[0]))
        except (OSError, ValueError):  # another system than Linux
            return cls(wall)

    def document(self) -> dict[str, Any]:
        """The moment as it stands in the ledger."""
        return {"wall": self.wall, "boot_id": self.boot_id, "uptime_seconds": self.uptime_seconds}

    def true_time(self, later: Moment) -> datetime | None:
        """What the clock should say at a later moment; None where nobody can know."""
        if self.boot_id is None or self.boot_id != later.boot_id:
            return None
        if later.uptime_seconds < self.uptime_seconds:  # a container that was made anew
            return None
        return self.wall + timedelta(seconds=later.uptime_seconds - self.uptime_seconds)

    def time_ahead(self, later: Moment) -> timedelta:
        """How far the clock stands ahead of the time that passed; zero where nobody can know."""
        true_time = self.true_time(later)
        return max(later.wall - true_time, timedelta()) if true_time else timedelta()


def tolerance(days: int) -> timedelta:
    """How far the clock may run ahead: a part of the time for which ids are remembered."""
    return timedelta(days=days) / 7


def refuse_clock_ahead(plan: BatchPlan, started: Moment, now: Moment, days: int) -> None:
    """Stop a batch that would make Spark forget ids before their time.

    Raises:
        JobError: nothing of the batch was written.
    """
    true_time = started.true_time(now)
    if true_time is None:
        return
    ahead = datetime.fromtimestamp(plan.timestamp_ms / 1000, UTC) - true_time
    if ahead > tolerance(days):
        raise JobError(
            f"The clock of this machine was set {in_words(ahead)} ahead while the job ran, or the"
            f" machine stood still for so long. Batch {plan.batch_id} was stopped before anything"
            " was written: ids could be forgotten before their time. Set the clock right and start"
            f" the job again, or, where it is right, with `{ACCEPT_CLOCK}`."
        )


def refuse_dropped_rows(plan: BatchPlan, not_before: datetime) -> None:
    """Stop a batch whose rows Spark's deduplication would silently drop.

    Rows carry the later of the batch's clock and `not_before`; at or below the watermark they
    vanish. That happens when the machine's clock is set back by more than the watermark's delay.

    Raises:
        JobError: nothing of the batch was written.
    """
    clock_ms = max(plan.timestamp_ms, int(not_before.timestamp() * 1000))
    if plan.watermark_ms and clock_ms <= plan.watermark_ms:
        raise JobError(
            "The clock of this machine stands before the newest time that the job has seen, so"
            f" batch {plan.batch_id} was stopped before anything was written. Set the clock right"
            " and start the job again: it goes on from its checkpoint."
        )


def earliest_clock(checkpoint: Checkpoint, days: int) -> datetime:
    """The time below which a restarted query's clock must not stand: see `refuse_dropped_rows`."""
    last = checkpoint.last_planned()
    watermark_ms = checkpoint.plan(last).watermark_ms if last is not None else 0
    if not watermark_ms:
        return datetime(1970, 1, 1, tzinfo=UTC)
    return datetime.fromtimestamp(watermark_ms / 1000, UTC) + watermark_delay(days)


def set_planned_batch_right(checkpoint: Checkpoint, now: Moment, days: int) -> None:
    """Give a batch that was planned under a clock far ahead, and is still to be done, this time.

    Its offsets, and so its rows, stay the same: only the time goes by which ids are remembered.
    """
    planned = checkpoint.last_planned()
    if planned is None or planned == checkpoint.last_committed():
        return
    ahead = checkpoint.plan(planned).timestamp_ms / 1000 - now.wall.timestamp()
    if ahead > tolerance(days).total_seconds():
        checkpoint.set_timestamp(planned, int(now.wall.timestamp() * 1000))
        logger.warning("checkpoint=%s batch_id=%d planned in the future", checkpoint.path, planned)


def in_words(duration: timedelta) -> str:
    """A duration for people: `365 days`, `3 hours`."""
    hours = round(duration.total_seconds() / 3600)
    return f"{hours} hours" if hours < 48 else f"{round(hours / 24)} days"
