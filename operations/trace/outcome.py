"""Judges what became of a message, by what ledger, dead letters and rows say."""

from __future__ import annotations

from dataclasses import dataclass

from operations.trace.model import Outcome
from spark_jobs.state.ledger import Counts


@dataclass(frozen=True)
class Known:
    """What is known of a message.

    Attributes:
        stored: Where the messages are of which rows with the record's id were found.
        is_new: Whether it is certain that no arrival with the id was stored before.
        counts: Of the batches that read it, one for each ledger.
        confirmed_end: The offset up to which its partition is read.
        lost_by: The batch with which its loss was accepted.
        has_ledger: Whether any batch is confirmed.
    """

    source: str
    offset: int
    stored: frozenset[str] = frozenset()
    is_new: bool = False
    reasons: tuple[str, ...] = ()
    is_rejected: bool = False
    counts: tuple[Counts, ...] = ()
    confirmed_end: int = 0
    lost_by: int | None = None
    has_ledger: bool = False


def judge(known: Known) -> tuple[Outcome, str]:
    """The outcome of a message, and why, as words that follow its name."""
    if known.is_rejected:
        return "rejected", f"rejected: {', '.join(known.reasons)}"
    if known.source in known.stored:
        return "stored", "stored"
    if known.counts:
        return _read(known)
    if known.lost_by is not None:
        why = "not read: it had expired, and its loss was accepted before batch"
        return "not read", f"{why} {known.lost_by}"
    if known.has_ledger and known.offset < known.confirmed_end:
        return "not read", "not read: the job began after it (`--starting-offsets latest`)"
    if known.has_ledger:
        return "waiting", "waiting: no confirmed batch has read it yet"
    return "unknown", "unknown: no confirmed batch of the pipeline is known"


def _read(known: Known) -> tuple[Outcome, str]:
    """The outcome of a message that was read and not rejected, and of which no row was found."""
    filtered = any(counts.filtered for counts in known.counts)
    duplicates = any(counts.duplicates for counts in known.counts)
    if known.stored and duplicates:
        first = ", ".join(sorted(known.stored))
        return "duplicate", f"duplicate: the id is stored from {first}"
    if filtered and (not duplicates or known.is_new):
        return "filtered", "filtered: nothing is kept of it"
    if duplicates and not filtered:
        return "duplicate", "duplicate of an arrival that was not found here"
    if filtered:
        return "filtered or duplicate", "filtered, or a duplicate: its batch had both"
    return "stored", "stored: its batch stored every message, but no row was found here"
