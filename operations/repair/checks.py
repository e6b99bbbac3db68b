"""Checks before a replay writes: batches match the ledger, no document has a gap."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from pymongo.database import Database

from errors import JobError
from operations.repair.batches import ReplayBatch
from operations.repair.plan import ReplayPlan
from runtime import remedies
from spark_jobs.changes import Change
from spark_jobs.sinks.mongodb import from_bson
from spark_jobs.state.ledger import Document
from spark_jobs.transforms.outcomes import FILTERED, REJECTED, STORED

MOST_NAMED = 10
NUMBERS = "stored, dead-lettered, filtered"
OutcomesByBatch = dict[int, Counter[str]]


def refuse_differing(plan: ReplayPlan, found: OutcomesByBatch) -> None:
    """Refuse batches whose counts differ from the ledger's.

    Raises:
        JobError: names the batches; nothing was written.
    """
    differing = [
        f"batch {batch.batch_id}: {NUMBERS} are {_text(_found(batch, found))} now,"
        f" {_text(booked)} in the ledger"
        for batch in plan.replayed
        if batch.batch_id in plan.whole
        and (booked := _booked(batch)) is not None
        and booked != _found(batch, found)
    ]
    if differing:
        raise JobError(
            f"{len(differing)} batches differ from what was stored, so nothing was"
            f" replayed:\n{_lines(differing)}\nEither an id in them was sent again after"
            " DEDUPLICATION_DAYS, or its first message is no longer on the broker, or the code"
            " that validates messages has changed. Replay a range without them; restore aggregates"
            f" with `{remedies.rebuild()}`."
        )


def checkable_before(plan: ReplayPlan, found: OutcomesByBatch) -> list[ReplayBatch]:
    """The batches before the replayed ones, if the topic still has exactly what they stored."""
    first = plan.replayed[0].batch_id
    earlier = [batch for batch in plan.history if batch.batch_id < first]
    is_known = all(
        batch.batch_id in plan.whole and _booked(batch) == _found(batch, found) for batch in earlier
    )
    return earlier if is_known else []


def refuse_gaps(database: Database[Document], plan: ReplayPlan, changes: Iterable[Change]) -> None:
    """Refuse to apply later batches to documents that lack earlier ones.

    A document remembers only the last batch that changed it, so missing earlier batches could
    never be added afterwards.

    Args:
        database: Where the documents are.
        plan: The replay.
        changes: The sum of all batches before the replayed ones.

    Raises:
        JobError: names the documents; nothing was written.
    """
    first = plan.replayed[0].batch_id
    lacking = []
    for change in changes:
        wanted = {"_id": change.document_id}
        hidden = dict.fromkeys(change.aggregate.sketches.values(), 0)
        document = from_bson(database[change.collection].find_one(wanted, hidden) or {})
        applied = document.get("applied", {}).get(plan.query_id, -1)
        held = {name: document.get(name, 0) for name in change.exact}
        if applied < first and held != change.exact:
            lacking.append(f"{change.collection} `{change.document_id}`")
    if lacking:
        raise JobError(
            f"{len(lacking)} documents lack some of the batches before {first}, so"
            f" nothing was replayed:\n{_lines(lacking)}\nReplay those first:"
            f" `{remedies.again('--from earliest')}`, or `{remedies.rebuild()}`."
        )


def _booked(batch: ReplayBatch) -> tuple[int, ...] | None:
    if batch.entry is None:
        return None
    counts = batch.entry.counts
    return counts.stored, counts.dead_lettered, counts.filtered


def _found(batch: ReplayBatch, found: OutcomesByBatch) -> tuple[int, ...]:
    outcomes = found[batch.batch_id]
    return sum(outcomes[name] for name in STORED), outcomes[REJECTED], outcomes[FILTERED]


def _text(numbers: Iterable[int]) -> str:
    return ", ".join(map(str, numbers))


def _lines(faults: list[str]) -> str:
    more = len(faults) - MOST_NAMED
    shown = [*faults[:MOST_NAMED], *([f"… and {more} more"] if more > 0 else [])]
    return "\n".join(f"  {line}" for line in shown)
