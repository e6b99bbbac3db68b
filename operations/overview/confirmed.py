"""What a ledger says, kept up to date by reading only the batches that are new."""

from __future__ import annotations

from collections import deque
from datetime import datetime, timedelta
from typing import Final

from pymongo.database import Database

from operations.overview.model import BatchView
from spark_jobs.state.ledger import Counts, Document, Entry, Ledger

RATE_SECONDS: Final = 30.0


class ConfirmedBatches:
    """Sums over a ledger and its last batches, the newest first.

    Attributes:
        counts: Sums over all batches.
        history: At most as many batches as were asked for.
        last: The newest entry.
        is_known: Whether the ledger was read.
    """

    def __init__(self, database: Database[Document], pipeline: str, length: int) -> None:
        """Remember whose ledger it is; `update` reads it."""
        self._ledger, self._length = Ledger(database, pipeline), length
        self.is_known = False
        self._forget()

    def update(self) -> None:
        """Read what is new; everything if the ledger was deleted meanwhile."""
        if self.last is None or not self._go_on(self.last):
            self._forget()
            self._begin()
        self.is_known = True

    def confirmed(self, partition: int, first: int) -> int:
        """Where the next batch starts: not before `first`, the first offset on the broker."""
        _, until = self.last.offsets.get(partition, (0, 0)) if self.last else (0, 0)
        return max(until, first)

    def rate(self, now: datetime) -> float:
        """Messages read per second over the batches of the last half minute.

        The job's clock gives the batches' times; if it is ahead, `now` is its newest batch's.
        """
        now = max([now, *(batch.confirmed_at for batch in self.history)])
        since = now - timedelta(seconds=RATE_SECONDS)
        recent = [batch for batch in self.history if batch.confirmed_at >= since]
        if not recent:
            return 0.0
        began = min(each.confirmed_at - timedelta(seconds=each.seconds or 0) for each in recent)
        elapsed = max((now - began).total_seconds(), 1.0)
        return round(sum(each.counts.read for each in recent) / elapsed, 1)

    def _forget(self) -> None:
        self.counts = Counts()
        self.history: deque[BatchView] = deque(maxlen=self._length)
        self.last: Entry | None = None

    def _begin(self) -> None:
        last = self._ledger.last()
        if last is None:
            return
        counts = self._ledger.totals(until=last.batch_id)
        for document in self._ledger.documents_after(last.batch_id - self._length):
            entry = Entry.of(document)
            if entry.batch_id <= last.batch_id:
                self._show(entry, document)
        self.counts, self.last = counts, last

    def _go_on(self, known: Entry) -> bool:
        """Take later batches; returns False if the known one is gone."""
        documents = self._ledger.documents_after(known.batch_id - 1)
        before = next(documents, None)
        if before is None or before["query_id"] != known.query_id:
            return False
        for document in documents:
            entry = Entry.of(document)
            self._show(entry, document)
            self.counts, self.last = self.counts + entry.counts, entry
        return True

    def _show(self, entry: Entry, document: Document) -> None:
        if not isinstance(document.get("updated_at"), datetime):
            return  # which `make verify` names
        self.history.appendleft(
            BatchView(
                pipeline=entry.pipeline,
                batch_id=entry.batch_id,
                confirmed_at=document["updated_at"],
                counts=entry.counts,
                seconds=entry.seconds,
                sink_seconds=entry.sink_seconds,
            )
        )
