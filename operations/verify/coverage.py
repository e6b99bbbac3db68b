"""Whether the ledger's offset ranges cover a topic without gap or overlap."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Sequence

from spark_jobs.state.ledger import Entry
from spark_jobs.state.offset_ranges import Ranges


def coverage_faults(
    entries: Sequence[Entry], offsets: Ranges, *, is_same_topic: bool = False
) -> list[str]:
    """Gaps and overlaps between the offset ranges of consecutive batches, as text.

    A gap before the first batch shows only while the broker has its messages. An accepted loss is
    not a gap.

    Args:
        entries: The ledger of one pipeline, by batch id.
        offsets: Partition -> (first offset on the broker, offset after the last).
        is_same_topic: Whether the broker's id of the topic is the ledger's.
    """
    faults = []
    reached: dict[int, int] = {}
    for partition, (start, end) in first_ranges(entries).items():
        low = offsets.get(partition, (start, end))[0]
        if low < start:
            faults.append(
                f"ledger: partition {partition}, offsets {low} to {start - 1} were never read,"
                " though the broker still has them: the first job started after them"
                " (`--starting-offsets latest`), or the first batches are gone from the ledger"
            )
    for entry in entries:
        for partition, (start, end) in sorted(entry.offsets.items()):
            expected = reached.get(partition, start)
            if start != expected and not _is_accepted(entry, partition, expected, start):
                kind = "missing" if start > expected else "read twice"
                low, high = sorted((start, expected))
                faults.append(
                    f"ledger: partition {partition}, offsets {low} to {high - 1} are {kind}"
                    f" before batch {entry.batch_id}"
                )
            reached[partition] = max(end, expected)
    for partition, end in sorted(reached.items()):
        low, high = offsets.get(partition, (0, 0))
        if end < low:
            faults.append(
                f"ledger: partition {partition}, offsets {end} to {low - 1} were never read and are"
                f" gone from the broker ({low - end} messages)"
            )
        if end > high:
            by = max(e.batch_id for e in entries if e.offsets.get(partition, (0, 0))[1] == end)
            again = "" if is_same_topic else ", or the topic was created again"
            faults.append(
                f"ledger: batch {by} was read to offset {end} of partition {partition}, which ends"
                f" at {high} on the broker: the ledger names offsets that the topic never"
                f" had{again}"
            )
    return faults


def accepted_losses(entries: Sequence[Entry]) -> list[str]:
    """Offsets whose messages expired unread, which the user accepted."""
    return [
        f"accepted loss: partition {partition}, offsets {start} to {end - 1}"
        f" ({end - start} messages)"
        for entry in entries
        for partition, (start, end) in sorted(entry.accepted_loss.items())
        if end > start
    ]


def first_ranges(entries: Sequence[Entry]) -> dict[int, tuple[int, int]]:
    """Partition -> the first offset range that the ledger has of it."""
    first: dict[int, tuple[int, int]] = {}
    for entry in entries:
        for partition, offsets in sorted(entry.offsets.items()):
            first.setdefault(partition, offsets)
    return first


def read_until(entries: Sequence[Entry]) -> dict[int, int]:
    """Partition -> the offset after the last one that a confirmed batch has read."""
    return {p: end for entry in entries for p, (_, end) in entry.offsets.items()}


def batch_finder(entries: Sequence[Entry]) -> Callable[[int, int], int | None]:
    """A function that finds a message's batch by partition and offset, by binary search."""
    ends: defaultdict[int, list[int]] = defaultdict(list)
    batches: defaultdict[int, list[Entry]] = defaultdict(list)
    for entry in entries:
        for partition, (start, end) in entry.offsets.items():
            if start < end:
                ends[partition].append(end)
                batches[partition].append(entry)

    def find(partition: int, offset: int) -> int | None:
        position = bisect_right(ends[partition], offset)
        if position == len(ends[partition]):
            return None
        entry = batches[partition][position]
        return entry.batch_id if offset >= entry.offsets[partition][0] else None

    return find


def _is_accepted(entry: Entry, partition: int, start: int, end: int) -> bool:
    low, high = entry.accepted_loss.get(partition, (0, 0))
    return low <= start < end <= high
