"""What a query's checkpoint says about the ledger and about a batch in work.

Spark plans a batch before it runs and commits it after the ledger has it. So what was committed
before the ledger was read must be in the ledger, and an aggregate may be ahead of the ledger only
by a batch that was planned by the time when it was read.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from errors import JobError, SinkUnavailable
from spark_jobs.state.checkpoint import Checkpoint, Offsets
from spark_jobs.state.ledger import Entry
from spark_jobs.state.offset_ranges import Ranges, ranges_in_words, width

OTHER_FORM = (ValueError, KeyError, TypeError, AttributeError, IndexError)


@dataclass(frozen=True)
class Plans:
    """The batches of a checkpoint.

    Attributes:
        committed: The last one that was committed before the ledger was read; None: none.
        until: Batch -> the offset after the last one of each partition; of those that are kept.
        first: The offsets that the first batch began with.
        lost: The loss of messages that was accepted last.
    """

    committed: int | None
    until: Mapping[int, Offsets]
    first: Offsets
    lost: Ranges = field(default_factory=dict)

    def ranges(self, batch_id: int) -> Ranges | None:
        """The offsets of a batch; None if its plan or the one before it is no longer kept."""
        start = self.until.get(batch_id - 1) if batch_id > 0 else self.first or None
        if start is None or batch_id not in self.until:
            return None
        return {p: (start.get(p, 0), end) for p, end in self.until[batch_id].items()}

    def is_planned(self, batch_id: int) -> bool:
        """Whether a batch with messages was planned; Spark plans batches without any too."""
        ranges = self.ranges(batch_id)
        return batch_id <= max(self.until, default=-1) and (ranges is None or width(ranges) > 0)


class CheckpointReading:
    """Reads a checkpoint before and after the ledger; changes nothing.

    Attributes:
        query_id: The query that it belongs to; None if it is not here.
        faults: What is wrong with it, as text.
        notes: Why the ledger was not compared with it, as text.
    """

    def __init__(self, checkpoint: Checkpoint) -> None:
        """Read what must be known before the ledger is read."""
        self.checkpoint = checkpoint
        self.query_id: str | None = None
        self.faults: list[str] = []
        self.notes: list[str] = []
        self._committed: int | None = None
        with self._explained():
            if not checkpoint.can_be_reached:
                raise SinkUnavailable(f"The checkpoint `{checkpoint.path}` cannot be reached here.")
            self._committed = checkpoint.last_committed()
            self.query_id = checkpoint.query_id()

    def plans(self) -> Plans | None:
        """What it says after the ledger was read; None if it is not here."""
        if self.query_id is None:
            return None
        checkpoint = self.checkpoint
        with self._explained():
            until = {n: plan.until for n, plan in checkpoint.kept_plans().items()}
            first, lost = checkpoint.first_offsets(), checkpoint.noted_loss()
            return Plans(self._committed, until, first, lost)
        return None

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except SinkUnavailable as error:
            self.notes.append(f"{error} The ledger was not compared with it.")
        except JobError as error:
            self.faults.append(str(error))
        except OTHER_FORM as error:
            self.faults.append(
                f"the checkpoint `{self.checkpoint.path}` cannot be read ({type(error).__name__}):"
                " something else changed it. Restore it from a backup"
            )


def batches_in_work(
    ahead: Iterable[int], last: int, plans: Plans | None, noted: int | None
) -> frozenset[int]:
    """Which batches after the ledger's last one may be in work, so that aggregates include them.

    Args:
        ahead: The batches that documents name.
        last: The last batch of the ledger; -1: none.
        plans: The checkpoint; None if it is not here.
        noted: The batch that some sinks have confirmed, according to MongoDB.
    """
    if plans is not None:
        return frozenset(batch_id for batch_id in ahead if plans.is_planned(batch_id))
    return frozenset(batch_id for batch_id in ahead if batch_id in {noted, last + 1})


def checkpoint_faults(entries: Sequence[Entry], plans: Plans) -> list[str]:
    """Where the ledger differs from the batches that Spark planned and committed, as text."""
    faults = []
    for entry in entries:
        if entry.batch_id > max(plans.until, default=-1):
            faults.append(
                f"ledger: batch {entry.batch_id} is beyond Spark's checkpoint, which has not"
                " planned it"
            )
        if (planned := _ranges_of(entry, plans)) not in (None, dict(entry.offsets)):
            here, there = (
                ranges_in_words(r) or "no offset" for r in (entry.offsets, planned or {})
            )
            faults.append(
                f"ledger: batch {entry.batch_id} names {here}; Spark's checkpoint planned {there}"
            )
    known = {entry.batch_id for entry in entries}
    # Of the later ones that the ledger may not have yet, those that were committed before.
    last = max(plans.committed if plans.committed is not None else -1, *known, -1)
    for batch_id in sorted(plans.until):
        ranges = plans.ranges(batch_id)
        if batch_id <= last and batch_id not in known and ranges and width(ranges):
            faults.append(
                f"ledger: batch {batch_id} ({ranges_in_words(ranges)}) is missing; Spark's"
                " checkpoint has it"
            )
    return faults


def _ranges_of(entry: Entry, plans: Plans) -> Ranges | None:
    """The offsets of an entry as they were planned, as far as that is known."""
    if (whole := plans.ranges(entry.batch_id)) is not None:
        return whole
    if (until := plans.until.get(entry.batch_id)) is None:
        return None
    return {p: (entry.offsets.get(p, (end, end))[0], end) for p, end in until.items()}
