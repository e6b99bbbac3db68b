"""The last `make verify`: one document in MongoDB, so that every machine sees the same."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Final

from pymongo.database import Database
from pymongo.errors import PyMongoError

from operations.overview.model import ProofView
from spark_jobs.state.ledger import COLLECTION as LEDGER
from spark_jobs.state.ledger import Document

COLLECTION: Final = "proofs"
LAST: Final = "last"
MOST_FAULTS: Final = 20


def keep_proof(
    database: Database[Document],
    faults: Sequence[str],
    *,
    verified: bool,
    pipelines: Collection[str],
    now: datetime | None = None,
) -> None:
    """Keep how a verification of pipelines ended; no matter if that fails: the verdict is printed.

    One that found no fault, but left out a pipeline of the ledger, says nothing of the whole and is
    not kept.
    """
    kept = list(faults[:MOST_FAULTS])
    if len(faults) > MOST_FAULTS:
        kept.append(f"… and {len(faults) - MOST_FAULTS} more, which `make verify` lists")
    document = {
        "_id": LAST,
        "ended_at": now or datetime.now(UTC),
        "verified": verified,
        "faults": kept,
    }
    with suppress(PyMongoError):
        if verified and not set(database[LEDGER].distinct("pipeline")) <= {*pipelines}:
            return
        database[COLLECTION].replace_one({"_id": LAST}, document, upsert=True)


def last_proof(database: Database[Document]) -> ProofView | None:
    """How the last verification ended; None before the first, after a reset, or if unreadable."""
    found = database[COLLECTION].find_one({"_id": LAST}) or {}
    ended_at, faults = found.get("ended_at"), found.get("faults")
    # What something else changed is no proof.
    if not isinstance(ended_at, datetime) or not isinstance(faults, list):
        return None
    return ProofView(ended_at, found.get("verified") is True, tuple(map(str, faults)))


def forget_proof(database: Database[Document]) -> None:
    """Delete it, because the data that it is about is deleted."""
    database[COLLECTION].delete_one({"_id": LAST})
