"""Reads ledger and aggregates as of one moment, even while a job writes them.

A batch changes the aggregates before it is confirmed. Each document remembers the last batch that
changed it (`applied`), so a document matches the last confirmed batch unless it names a later one.
Repeated reads find a moment when no document does. If there is none, because a job died within a
batch, the documents that name this batch are returned separately. A later batch that cannot be in
work is no reason to judge a document in another way.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from pymongo.database import Database

from operations.verify.checkpoint_reading import CheckpointReading, Plans, batches_in_work
from operations.verify.coverage import read_until
from operations.verify.ledger_entries import query_of, read_entries
from spark_jobs.aggregates import Aggregate
from spark_jobs.sinks.mongodb import from_bson
from spark_jobs.state.ledger import CONFIRMATIONS, Counts, Document, Entry, Ledger

SETTLE_SECONDS: Final = 10.0
PAUSE_SECONDS: Final = 0.5


@dataclass(frozen=True)
class LedgerSnapshot:
    """What the ledger and the aggregates of one pipeline held at one moment.

    Attributes:
        entries: Confirmed batches, by batch id.
        settled: Collection -> documents as the last confirmed batch left them.
        unfinished: Collection -> documents that include a later batch, which may be in work.
        later: Numbers of these later batches.
        faults: Entries that cannot be read, as text.
        query_id: The pipeline's query; None if neither ledger nor checkpoint names one.
        plans: What the query's checkpoint says; None if it is not here.
        confirming: The batch that some sinks have confirmed last, by their own note.
    """

    entries: list[Entry]
    settled: dict[str, list[Document]]
    unfinished: dict[str, list[Document]]
    later: tuple[int, ...]
    faults: list[str]
    query_id: str | None = None
    plans: Plans | None = None
    confirming: int | None = None

    def documents(self, collection: str) -> list[Document]:
        """All documents of a collection."""
        return self.settled[collection] + self.unfinished[collection]

    @property
    def counts(self) -> Counts:
        """Where the messages of all confirmed batches went."""
        return sum((entry.counts for entry in self.entries), Counts())

    @property
    def read_until(self) -> dict[int, int]:
        """Partition -> the offset after the last confirmed one."""
        return read_until(self.entries)

    @property
    def last(self) -> int:
        """The last confirmed batch; -1 if there is none."""
        return self.entries[-1].batch_id if self.entries else -1


def take_snapshot(
    ledger: Ledger,
    topic: str,
    aggregates: Sequence[Aggregate],
    checkpoint: CheckpointReading,
    settle_seconds: float = SETTLE_SECONDS,
) -> LedgerSnapshot:
    """Read the ledger, then the aggregates, and repeat until both name the same batch.

    Gives up after `settle_seconds` and returns what was found.
    """
    database, deadline = ledger.database, time.monotonic() + settle_seconds
    while True:
        stored = ledger.documents(checkpoint.query_id)
        entries, faults = read_entries(stored, ledger.pipeline, topic, checkpoint.query_id)
        query_id = query_of(entries, checkpoint.query_id)
        last = entries[-1].batch_id if entries else -1
        documents = {each.name: _documents(database, each) for each in aggregates}
        marks = {mark_of(d, query_id) for found in documents.values() for d in found}
        ahead = {mark for mark in marks if mark is not None and mark > last}
        if not ahead or time.monotonic() > deadline:
            break
        time.sleep(PAUSE_SECONDS)
    # Before the plans: a batch is planned before a sink confirms it.
    noted = database[CONFIRMATIONS].find_one({"_id": ledger.pipeline, "query_id": query_id}) or {}
    confirming = noted["batch_id"] if is_batch(noted.get("batch_id")) else None
    plans = checkpoint.plans() if query_id == checkpoint.query_id else None
    later = batches_in_work(ahead, last, plans, confirming)
    settled, unfinished = (
        {
            name: [d for d in found if (mark_of(d, query_id) in later) is kind]
            for name, found in documents.items()
        }
        for kind in (False, True)
    )
    in_work = tuple(sorted(later))
    return LedgerSnapshot(
        entries, settled, unfinished, in_work, faults, query_id, plans, confirming
    )


def mark_of(document: Document, query_id: str | None) -> int | None:
    """The last batch that changed a document, by its own word; None if that cannot be read.

    Without a query, the last batch of any.
    """
    applied = document.get("applied")
    found = applied if isinstance(applied, dict) else {}
    marks = [v for q, v in found.items() if query_id in {q, None} and is_batch(v)]
    return max(marks, default=None)


def is_batch(value: object) -> bool:
    """Whether a value may be the number of a batch."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _documents(database: Database[Document], aggregate: Aggregate) -> list[Document]:
    """All documents, without sketches: those are large, and their estimates are there as well."""
    hidden = dict.fromkeys(aggregate.sketches.values(), 0)
    return [from_bson(document) for document in database[aggregate.name].find({}, hidden)]
