"""Judges what became of a message, by what ledger, dead letters and rows say."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from operations.trace.model import Outcome
from operations.trace.notes import Seen


def judge(
    seen: Seen,
    stored: Collection[str],
    ends: Mapping[int, int],
    lost_by: int | None,
    *,
    is_new: bool,
) -> tuple[Outcome, str]:
    """The outcome of a message, and why, as words that follow its name.

    Args:
        seen: The message, with its batches and its dead letter.
        stored: Where the messages are of which rows with the record's id were found.
        ends: Partition -> the offset up to which it is read; empty if no batch is confirmed.
        lost_by: The batch with which its loss was accepted.
        is_new: Whether it is certain that no arrival with the id was stored before.
    """
    if seen.letter is not None:
        return "rejected", f"rejected: {', '.join(seen.reasons)}"
    if seen.source in stored:
        return "stored", "stored"
    if seen.batches:
        return _read(seen, stored, is_new=is_new)
    if lost_by is not None:
        why = "not read: it had expired, and its loss was accepted before batch"
        return "not read", f"{why} {lost_by}"
    if not ends:
        return "unknown", "unknown: no confirmed batch of the pipeline is known"
    partition, offset = seen.place
    if offset < ends.get(partition, 0):
        return "not read", "not read: the job began after it (`--starting-offsets latest`)"
    return "waiting", "waiting: no confirmed batch has read it yet"


def _read(seen: Seen, stored: Collection[str], *, is_new: bool) -> tuple[Outcome, str]:
    """The outcome of a message that was read and not rejected, and of which no row was found."""
    filtered = any(each.entry.counts.filtered for each in seen.batches)
    duplicates = any(each.entry.counts.duplicates for each in seen.batches)
    if stored and duplicates:
        return "duplicate", f"duplicate: the id is stored from {', '.join(sorted(stored))}"
    of_batches = [each.entry.counts for each in seen.batches]
    # Without the message its id is not known, so no row could be looked for.
    if seen.message is None and any(each.stored and each.duplicates for each in of_batches):
        return "unknown", "unknown: the message cannot be read, and its batch had duplicates too"
    if filtered and (not duplicates or is_new):
        return "filtered", "filtered: nothing is kept of it"
    if duplicates and not filtered:
        return "duplicate", "duplicate of an arrival that was not found here"
    if filtered:
        return "filtered or duplicate", "filtered, or a duplicate: its batch had both"
    return "stored", "stored: its batch stored every message, but no row was found here"
