"""Reads ledger and aggregates as of one moment, even while a job writes them.

A batch changes the aggregates before it is confirmed. Each document remembers the last batch that
changed it (`applied`), so a document matches the last confirmed batch unless it names a later one.
Repeated reads find a moment when no document does. If there is none, because a job died within a
batch, the documents that name a later batch are returned separately.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pymongo.database import Database

from operations.verify.coverage import read_until
from spark_jobs.aggregates import Aggregate
from spark_jobs.sinks.mongodb import from_bson
from spark_jobs.state.ledger import Counts, Document, Entry, Ledger

SETTLE_SECONDS: Final = 10.0
PAUSE_SECONDS: Final = 0.5


@dataclass(frozen=True)
class LedgerSnapshot:
    """What the ledger and the aggregates of one pipeline held at one moment.

    Attributes:
        entries: Confirmed batches, by batch id.
        settled: Collection -> documents as the last confirmed batch left them.
        unfinished: Collection -> documents that include a later batch.
        later: Numbers of these later batches.
        faults: Batches that the aggregates include and the ledger lacks, as text.
    """

    entries: list[Entry]
    settled: dict[str, list[Document]]
    unfinished: dict[str, list[Document]]
    later: tuple[int, ...]
    faults: list[str]

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


def take_snapshot(
    database: Database[Document],
    pipeline: str,
    aggregates: Sequence[Aggregate],
    settle_seconds: float = SETTLE_SECONDS,
) -> LedgerSnapshot:
    """Read the ledger, then the aggregates, and repeat until both name the same batch.

    Gives up after `settle_seconds` and returns what was found.
    """
    ledger = Ledger(database, pipeline)
    deadline = time.monotonic() + settle_seconds
    while True:
        last = ledger.last()
        documents = {each.name: _documents(database, each) for each in aggregates}
        later = sorted({b for found in documents.values() for d in found for b in _later(d, last)})
        if not later or time.monotonic() > deadline:
            break
        time.sleep(PAUSE_SECONDS)
    confirmed = last.batch_id if last else -1
    still = ledger.last()
    faults = []
    # A batch is applied only when the one before it is confirmed.
    if len(later) > 1 and (still.batch_id if still else -1) == confirmed:
        faults.append(
            f"ledger: documents of MongoDB name the batches {', '.join(map(str, later))}, but the"
            f" ledger ends with {confirmed if last else 'none'}: entries are missing"
        )
    parts = {
        kind: {
            name: [d for d in found if bool(list(_later(d, last))) is kind]
            for name, found in documents.items()
        }
        for kind in (False, True)
    }
    # The ledger may have grown since the documents were read.
    entries = [entry for entry in ledger.entries() if entry.batch_id <= confirmed]
    return LedgerSnapshot(entries, parts[False], parts[True], tuple(later), faults)


def _documents(database: Database[Document], aggregate: Aggregate) -> list[Document]:
    """All documents, without sketches: those are large, and their estimates are there as well."""
    hidden = dict.fromkeys(aggregate.sketches.values(), 0)
    return [from_bson(document) for document in database[aggregate.name].find({}, hidden)]


def _later(document: Document, last: Entry | None) -> Iterator[int]:
    """The batch after the last confirmed one that a document includes, if any."""
    applied: Any = document.get("applied")
    for query_id, batch_id in applied.items() if isinstance(applied, dict) else ():
        if last is None or (query_id == last.query_id and batch_id > last.batch_id):
            yield batch_id
