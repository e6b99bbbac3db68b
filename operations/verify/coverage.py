"""Whether the ledger's offset ranges cover a topic without gap or overlap."""

from __future__ import annotations

from collections.abc import Sequence

from spark_jobs.state.ledger import Entry
from spark_jobs.state.offset_ranges import Ranges


def coverage_faults(entries: Sequence[Entry], offsets: Ranges) -> list[str]:
    """Gaps and overlaps between the offset ranges of consecutive batches, as text.

    A gap before the first batch shows only while the broker has its messages. An accepted loss is
    not a gap.

    Args:
        entries: The ledger of one pipeline, by batch id.
        offsets: Partition -> (first offset on the broker, offset after the last).
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
            faults.append(
                f"ledger: partition {partition} was read to {end}, but ends at {high} on the"
                " broker: the topic was created again"
            )
    return faults


def origin_faults(entries: Sequence[Entry], topic: str, topic_id: str | None) -> list[str]:
    """Faults if batches belong to several queries, or to a topic with another name or id."""
    faults = []
    if len(queries := {entry.query_id for entry in entries}) > 1:
        faults.append(
            f"ledger: it holds batches of {len(queries)} queries, each of which read on its own"
        )
    if others := sorted({entry.topic for entry in entries} - {topic}):
        faults.append(f"ledger: batches belong to the topic {', '.join(others)}, not to {topic}")
    known = [entry.topic_id for entry in entries if entry.topic_id is not None]
    if known and topic_id is not None and known[-1] != topic_id:
        faults.append(
            f"ledger: its batches belong to a former topic {topic}; the present one was created"
            " again and is not read"
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


def _is_accepted(entry: Entry, partition: int, start: int, end: int) -> bool:
    low, high = entry.accepted_loss.get(partition, (0, 0))
    return low <= start < end <= high
