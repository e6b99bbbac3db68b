"""Which batches read a message: by the ledgers of a pipeline and of its parts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from pymongo.database import Database

from operations.messages_at import Place
from spark_jobs.pipeline import Pipeline
from spark_jobs.state.ledger import COLLECTION, Document, Entry, Ledger

# The start of a batch is not in every entry, and clocks differ.
LONGEST_BATCH: Final = timedelta(hours=1)
MARGIN: Final = timedelta(minutes=1)


@dataclass(frozen=True)
class ReadBy:
    """An entry of a ledger that covers a message; `confirmed_at` may be beyond `datetime`."""

    entry: Entry
    confirmed_at: Any

    def window_ms(self, database: Database[Document]) -> tuple[int, int] | None:
        """Between which times its sinks were written; None if the ledger cannot say."""
        if not isinstance(self.confirmed_at, datetime):
            return None
        end = self.confirmed_at.astimezone(UTC)
        before = database[COLLECTION].find_one(
            {"pipeline": self.entry.pipeline, "batch_id": {"$lt": self.entry.batch_id}},
            sort=[("batch_id", -1)],
        )
        earlier = before.get("updated_at") if before else None
        start = earlier if isinstance(earlier, datetime) else end - LONGEST_BATCH
        return int((start - MARGIN).timestamp() * 1000), int((end + MARGIN).timestamp() * 1000)


def batches_of(
    database: Database[Document], pipeline: Pipeline, topic: str, place: Place
) -> list[ReadBy]:
    """The confirmed batches that read a message, one for each ledger.

    Raises:
        JobError: an entry cannot be read.
    """
    covers = {"partition": place[0], "from": {"$lte": place[1]}, "until": {"$gt": place[1]}}
    query = {
        "pipeline": {"$in": [part.name for part in pipeline.parts()]},
        "topic": topic,
        "offsets": {"$elemMatch": covers},
    }
    documents = database[COLLECTION].find(query).limit(len(pipeline.parts()))
    return [ReadBy(Entry.of(each), each.get("updated_at")) for each in documents]


def lost_by(database: Database[Document], pipeline: Pipeline, place: Place) -> int | None:
    """The batch with which the loss of a message was accepted; None if it was not."""
    covers = {"partition": place[0], "from": {"$lte": place[1]}, "until": {"$gt": place[1]}}
    found = database[COLLECTION].find_one(
        {
            "pipeline": {"$in": [part.name for part in pipeline.parts()]},
            "accepted_loss": {"$elemMatch": covers},
        }
    )
    return int(found["batch_id"]) if found else None


def confirmed_ends(database: Database[Document], pipeline: Pipeline) -> Mapping[int, int]:
    """Partition -> the offset up to which some ledger of the pipeline has read."""
    ends: dict[int, int] = {}
    for part in pipeline.parts():
        last = Ledger(database, part.name).last()
        for partition, (_, end) in last.offsets.items() if last else ():
            ends[partition] = max(end, ends.get(partition, 0))
    return ends
