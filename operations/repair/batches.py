"""The batches of a pipeline, from the ledger and, if that is older, from the checkpoint."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from errors import JobError
from operations.repair.range import Ranges
from runtime import remedies
from spark_jobs.state.checkpoint import Checkpoint, PlannedBatch
from spark_jobs.state.ledger import Entry
from spark_jobs.state.offset_ranges import width

# More than passes between two searches for expired ids (RocksDBStateStoreProvider.java).
UNSETTLED: Final = timedelta(hours=1)


@dataclass(frozen=True)
class ReplayBatch:
    """One complete micro-batch.

    Attributes:
        batch_id: Spark's number.
        offsets: The offsets that it covers.
        read: The offsets that it read: those covered, without accepted losses.
        entry: Its ledger entry; None if only the checkpoint has the batch.
    """

    batch_id: int
    offsets: Ranges
    read: Ranges
    entry: Entry | None = None

    @classmethod
    def of(cls, entry: Entry) -> ReplayBatch:
        """A batch of the ledger."""
        offsets = dict(entry.offsets)
        read = {p: _without(span, entry.accepted_loss.get(p)) for p, span in offsets.items()}
        return cls(entry.batch_id, offsets, read, entry)


def _without(span: tuple[int, int], lost: tuple[int, int] | None) -> tuple[int, int]:
    """A span without its lost part, which is at the beginning: brokers delete the oldest first."""
    return span if lost is None else (min(max(span[0], lost[1]), span[1]), span[1])


def hull(batches: Iterable[ReplayBatch]) -> Ranges:
    """Partition -> (lowest offset read, highest offset after it); without empty ones."""
    found: Ranges = {}
    for batch in batches:
        for partition, (start, end) in batch.read.items():
            if end > start:
                before = found.get(partition, (start, end))
                found[partition] = (min(before[0], start), max(before[1], end))
    return found


def one_query(entries: list[Entry], checkpoint: Checkpoint, pipeline: str) -> str:
    """The id of the query that made these batches.

    Raises:
        JobError: there is none, or ledger and checkpoint name different ones.
    """
    found = {entry.query_id for entry in entries}
    own = checkpoint.query_id()
    if own is None or found - {own}:
        if own is None and not entries:
            raise JobError(
                f"Pipeline {pipeline}: there is neither a checkpoint `{checkpoint.path}` nor a"
                " ledger, so there is no confirmed batch to replay. Correct MILLRACE_HOME"
                " and MONGO_DATABASE if they differ from the job's."
            )
        state = "is gone" if own is None else "belongs to another query than the ledger's batches"
        raise JobError(
            f"Pipeline {pipeline}: the checkpoint `{checkpoint.path}` {state}, so batches cannot be"
            " identified. Restore the right checkpoint; without it only"
            f" `{remedies.reset(pipeline)}` makes the accounts right again."
        )
    return own


def unledgered_batches(
    entries: list[Entry], checkpoint: Checkpoint, pipeline: str
) -> list[ReplayBatch]:
    """Batches that Spark has committed and the ledger lacks, as after restoring an older backup.

    Raises:
        JobError: the checkpoint no longer keeps their plans, or the two do not fit together.
    """
    committed = checkpoint.last_committed()
    first = entries[-1].batch_id + 1 if entries else 0
    if committed is None or committed < first:
        return []
    reached = {p: end for entry in entries for p, (_, end) in sorted(entry.offsets.items())}
    # Batches without a message are committed without an entry.
    until = checkpoint.planned_batch(committed).until
    if all(end <= reached.get(partition, 0) for partition, end in until.items()):
        return []
    plans = _plans(checkpoint, range(first, committed + 1), pipeline)
    start = reached
    if not entries:
        start = {p: low for p, (low, _) in checkpoint.ranges(0).items()}
    batches = []
    for plan in plans:
        if any(plan.until.get(partition, 0) < end for partition, end in start.items()):
            raise JobError(
                f"Pipeline {pipeline}: batch {plan.batch_id} of the checkpoint ends before the"
                " ledger does: they belong to different runs. Restore both from the same time,"
                f" or run `{remedies.reset(pipeline)}`."
            )
        offsets = {p: (start.get(p, 0), end) for p, end in sorted(plan.until.items())}
        start = plan.until
        if width(offsets):
            batches.append(ReplayBatch(plan.batch_id, offsets, offsets))
    return batches


def remembered(entries: list[Entry], days: int) -> list[Entry]:
    """The batches whose ids the job may still have known after the last one.

    Args:
        entries: The ledger, by batch number; without a time one counts as old as the next.
        days: For how long ids are remembered.
    """
    times = [entry.moment.wall for entry in entries if entry.moment]
    if not times:
        return entries
    # Ids are forgotten by the clock of the batch before, and not in every batch: after a pause
    # those from before it are still known.
    settled = [time for time in times if time < times[-1] - UNSETTLED]
    since = max(settled, default=times[0]) - timedelta(days=days)
    found, latest = [], None
    for entry in reversed(entries):
        latest = entry.moment.wall if entry.moment else latest
        if latest is None or latest >= since:
            found.append(entry)
    return found[::-1]


def _plans(checkpoint: Checkpoint, batch_ids: range, pipeline: str) -> list[PlannedBatch]:
    try:
        return [checkpoint.planned_batch(batch_id) for batch_id in batch_ids]
    except JobError as error:
        raise JobError(
            f"Pipeline {pipeline}: the ledger lacks the committed batches {batch_ids.start} to"
            f" {batch_ids.stop - 1}, and the checkpoint `{checkpoint.path}` no longer keeps all of"
            " their plans (Spark keeps the last hundred), so their contents are unknown. Restore"
            f" a newer MongoDB, or start from scratch: `{remedies.reset(pipeline)}`."
        ) from error
