"""Which batches read a message: by the ledgers of a pipeline and of its parts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any, Final

from pymongo import DESCENDING
from pymongo.database import Database

from operations.messages_at import Place
from spark_jobs.pipeline import Pipeline
from spark_jobs.state.ledger import COLLECTION, Document, Entry, Ledger

# The start of a batch is not in every entry, and clocks differ.
LONGEST_BATCH: Final = timedelta(hours=1)
MARGIN: Final = timedelta(minutes=1)


@dataclass(frozen=True)
class ReadBy:
    """An entry of a ledger that covers a message.

    Attributes:
        confirmed_at: When; may be beyond `datetime`.
        before: When the batch before it was confirmed, if that is known.
    """

    entry: Entry
    confirmed_at: Any
    before: Any = None

    @property
    def window_ms(self) -> tuple[int, int] | None:
        """Between which times its sinks were written; None if the ledger cannot say."""
        if not isinstance(self.confirmed_at, datetime):
            return None
        end = self.confirmed_at.astimezone(UTC)
        start = self.before if isinstance(self.before, datetime) else end - LONGEST_BATCH
        return int((start - MARGIN).timestamp() * 1000), int((end + MARGIN).timestamp() * 1000)


class Batches:
    """Finds entries by the offsets that they cover, without reading a whole ledger.

    The batches of a ledger read on from each other, so a few of them lead to any; the index of
    pipeline and batch finds each, though not every number has an entry.
    """

    def __init__(self, database: Database[Document], pipeline: Pipeline) -> None:
        self._entries = database[COLLECTION]
        self._database, self._names = database, [part.name for part in pipeline.parts()]

    @cached_property
    def lasts(self) -> list[Entry]:
        """The last batch of each ledger."""
        found = (Ledger(self._database, name).last() for name in self._names)
        return [entry for entry in found if entry is not None]

    @cached_property
    def ends(self) -> Mapping[int, int]:
        """Partition -> the offset up to which some ledger of the pipeline has read."""
        ends: dict[int, int] = {}
        for last in self.lasts:
            for partition, (_, end) in last.offsets.items():
                ends[partition] = max(end, ends.get(partition, 0))
        return ends

    def of(self, place: Place) -> list[ReadBy]:
        """The confirmed batches that read a message, at most one for each ledger."""
        found = (self._of(last, place) for last in self.lasts)
        return [each for each in found if each is not None]

    def _of(self, last: Entry, place: Place) -> ReadBy | None:
        partition, offset = place
        low, high = 0, last.batch_id
        while low <= high:
            middle = (low + high) // 2
            document = self._newest(last.pipeline, middle)
            if document is None:
                low = middle + 1
                continue
            entry = Entry.of(document)
            # A partition that a batch does not have was added later.
            start, end = entry.offsets.get(partition, (0, 0))
            if start <= offset < end:
                before = self._newest(entry.pipeline, entry.batch_id - 1) or {}
                return ReadBy(entry, document.get("updated_at"), before.get("updated_at"))
            if offset < start:
                high = entry.batch_id - 1
            else:
                low = middle + 1
        return None

    def _newest(self, pipeline: str, until: int) -> Document | None:
        """The entry with this number, or else the one before it."""
        query = {"pipeline": pipeline, "batch_id": {"$lte": until}}
        return self._entries.find_one(query, sort=[("batch_id", DESCENDING)])

    def lost(self, place: Place) -> int | None:
        """The batch with which the loss of a message was accepted; None if it was not."""
        at = {"partition": place[0], "from": {"$lte": place[1]}, "until": {"$gt": place[1]}}
        query = {"pipeline": {"$in": self._names}, "accepted_loss": {"$elemMatch": at}}
        found = self._entries.find_one(query)
        return int(found["batch_id"]) if found else None
