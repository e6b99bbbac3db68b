"""The ledger: collection `batches` of MongoDB, one document per micro-batch.

It is written last, when every sink has confirmed. So a batch in the ledger is in every sink; any
other may be in some sinks and is repeated with the same rows, which changes nothing there.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

import pymongo
from pymongo.database import Database
from pymongo.errors import PyMongoError

from errors import JobError
from runtime import remedies
from spark_jobs.state.clock import Moment
from spark_jobs.state.offset_ranges import Ranges
from spark_jobs.state.store_errors import sink_error

COLLECTION = "batches"
CONFIRMATIONS = "confirmations"
NUMBERS = ("read", "stored", "dead_lettered", "filtered", "duplicates", "alerts")
Document = dict[str, Any]


@dataclass(frozen=True)
class Counts:
    """Where the messages of a batch went: `read` is the sum of the next four.

    `alerts` is the number of stored records that are alerts.
    """

    read: int = 0
    stored: int = 0
    dead_lettered: int = 0
    filtered: int = 0
    duplicates: int = 0
    alerts: int = 0
    reasons: dict[str, int] = field(default_factory=dict)

    def __add__(self, other: Counts) -> Counts:
        """Sums, reason by reason too."""
        reasons = {
            code: self.reasons.get(code, 0) + other.reasons.get(code, 0)
            for code in sorted({*self.reasons, *other.reasons})
        }
        return Counts(
            read=self.read + other.read,
            stored=self.stored + other.stored,
            dead_lettered=self.dead_lettered + other.dead_lettered,
            filtered=self.filtered + other.filtered,
            duplicates=self.duplicates + other.duplicates,
            alerts=self.alerts + other.alerts,
            reasons=reasons,
        )


@dataclass(frozen=True)
class Entry:
    """One confirmed micro-batch.

    `topic_id` is the broker's id of the topic; `code_fingerprint` (`plan` in the collection)
    identifies the code that made the batch; `accepted_loss` are its offsets that the broker no
    longer had and whose loss the user accepted; `moment` is when it was confirmed; `rebuilt` says
    that the aggregates were computed again when it was the last one; `seconds` is the time from the
    batch's start to this entry, `sink_seconds` that of each sink. Each of them may be absent.
    """

    pipeline: str
    topic: str
    query_id: str
    batch_id: int
    offsets: Ranges
    counts: Counts
    sinks: tuple[str, ...]
    hash_key_id: str | None = None
    topic_id: str | None = None
    code_fingerprint: str | None = None
    accepted_loss: Ranges = field(default_factory=dict)
    moment: Moment | None = None
    rebuilt: bool = False
    seconds: float | None = None
    sink_seconds: Mapping[str, float] = field(default_factory=dict)

    def document(self, now: datetime) -> Document:
        """The entry as a document of the collection."""
        return {
            "_id": f"{self.query_id}/{self.batch_id}",
            "pipeline": self.pipeline,
            "topic": self.topic,
            "query_id": self.query_id,
            "batch_id": self.batch_id,
            "offsets": _range_documents(self.offsets),
            **asdict(self.counts),
            "sinks": list(self.sinks),
            "hash_key_id": self.hash_key_id,
            "topic_id": self.topic_id,
            "plan": self.code_fingerprint,
            "accepted_loss": _range_documents(self.accepted_loss),
            "clock": self.moment.document() if self.moment else None,
            "rebuilt": self.rebuilt,
            "seconds": self.seconds,
            "sink_seconds": dict(self.sink_seconds),
            "updated_at": now,
        }

    @classmethod
    def of(cls, document: Document) -> Entry:
        """The entry in a document of the collection.

        Raises:
            JobError: a field is missing or has another form; `make verify` names all such fields.
        """
        try:
            return cls._of(document)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise JobError(
                f"The ledger entry `{document.get('_id')}` in MongoDB's `{COLLECTION}` cannot be"
                f" read ({type(error).__name__}): something else changed it. `{remedies.verify()}`"
                " names what is wrong with it."
            ) from error

    @classmethod
    def _of(cls, document: Document) -> Entry:
        names = ("read", "stored", "dead_lettered", "filtered", "duplicates", "reasons")
        if not all(isinstance(document[n], int) for n in ("batch_id", *names[:-1])):
            raise TypeError("a number is not whole")
        return cls(
            pipeline=document["pipeline"],
            topic=document["topic"],
            query_id=document["query_id"],
            batch_id=document["batch_id"],
            offsets=_ranges(document["offsets"]),
            counts=Counts(
                **{name: document[name] for name in names}, alerts=document.get("alerts", 0)
            ),
            sinks=tuple(document["sinks"]),
            hash_key_id=document.get("hash_key_id"),
            topic_id=document.get("topic_id"),
            code_fingerprint=document.get("plan"),
            accepted_loss=_ranges(document.get("accepted_loss", [])),
            moment=_moment(document.get("clock")),
            rebuilt=bool(document.get("rebuilt")),
            seconds=_duration(document.get("seconds")),
            sink_seconds=_durations(document.get("sink_seconds")),
        )


def _moment(clock: Document | None) -> Moment | None:
    """An entry's clock; None if it has none, or one outside the range of `datetime`."""
    return Moment(**clock) if clock and isinstance(clock["wall"], datetime) else None


def _duration(value: Any) -> float | None:
    """Seconds; None for what is none, as no job needs them."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return value if is_number and 0 <= value < math.inf else None


def _durations(value: Any) -> dict[str, float]:
    pairs = value.items() if isinstance(value, dict) else ()
    return {name: took for name, each in pairs if (took := _duration(each)) is not None}


def _range_documents(ranges: Ranges) -> list[dict[str, int]]:
    return [
        {"partition": partition, "from": start, "until": end}
        for partition, (start, end) in sorted(ranges.items())
    ]


def _ranges(documents: list[dict[str, int]]) -> dict[int, tuple[int, int]]:
    return {d["partition"]: (d["from"], d["until"]) for d in documents}


@dataclass(frozen=True)
class Confirmations:
    """Which sinks have confirmed the current batch: one document per pipeline.

    A repeated batch goes only to sinks that have not confirmed it. Confirmations under different
    code do not count, as this code may make different rows from the same messages.
    """

    database: Database[Document]
    pipeline: str
    query_id: str
    batch_id: int
    code_fingerprint: str | None

    def sinks(self) -> frozenset[str]:
        """Names of the sinks that have confirmed this batch."""
        try:
            found = self.database[CONFIRMATIONS].find_one(self._key())
        except PyMongoError as error:
            raise sink_error("MongoDB", "return the confirmations", error) from error
        return frozenset(found["sinks"]) if found else frozenset()

    def add(self, sink: str) -> None:
        """Note that a sink has the batch; replaces the confirmations of an earlier batch."""
        try:
            known = self.database[CONFIRMATIONS].update_one(
                self._key(), {"$addToSet": {"sinks": sink}}
            )
            if not known.matched_count:
                self.database[CONFIRMATIONS].replace_one(
                    {"_id": self.pipeline}, self._key() | {"sinks": [sink]}, upsert=True
                )
        except PyMongoError as error:
            raise sink_error("MongoDB", "note a confirmation", error) from error

    def _key(self) -> Document:
        return {
            "_id": self.pipeline,
            "query_id": self.query_id,
            "batch_id": self.batch_id,
            "plan": self.code_fingerprint,
        }


def forget_confirmations(database: Database[Document], pipeline: str, sink: str) -> None:
    """Send the current batch to a sink again, because the sink's store was changed."""
    database[CONFIRMATIONS].update_one({"_id": pipeline}, {"$pull": {"sinks": sink}})


@dataclass(frozen=True)
class Ledger:
    """Reads and writes the entries of one pipeline."""

    database: Database[Document]
    pipeline: str

    def prepare(self) -> None:
        """Create the index that finds batches."""
        self.database[COLLECTION].create_index([("pipeline", 1), ("batch_id", -1)])

    def last(self) -> Entry | None:
        """The last confirmed batch, None for an empty ledger."""
        return self._last({})

    def last_stored(self) -> Entry | None:
        """The last confirmed batch with stored records, None if there is none."""
        return self._last({"stored": {"$gt": 0}})

    def _last(self, chosen: Document) -> Entry | None:
        document = self.database[COLLECTION].find_one(
            {"pipeline": self.pipeline} | chosen, sort=[("batch_id", pymongo.DESCENDING)]
        )
        return Entry.of(document) if document else None

    def documents_after(self, batch_id: int) -> Iterator[Document]:
        """The entries of later batches as they are stored, by batch id; one at a time."""
        later = {"pipeline": self.pipeline, "batch_id": {"$gt": batch_id}}
        yield from self.database[COLLECTION].find(later, sort=[("batch_id", pymongo.ASCENDING)])

    def entries(self) -> list[Entry]:
        """All confirmed batches, by batch id."""
        found = self.database[COLLECTION].find({"pipeline": self.pipeline}).sort("batch_id", 1)
        return [Entry.of(document) for document in found]

    def documents(self, query_id: str | None) -> list[Document]:
        """All entries as they are stored; those of this query under another pipeline too."""
        collection = self.database[COLLECTION]
        own = list(collection.find({"pipeline": self.pipeline}))
        # The character after `/` is `0`.
        of_query = {"_id": {"$gte": f"{query_id}/", "$lt": f"{query_id}0"}}
        other = {"pipeline": {"$ne": self.pipeline}}
        return own + (list(collection.find(of_query | other)) if query_id else [])

    def has_entries(self) -> bool:
        """Whether a batch of the pipeline is confirmed."""
        own = {"pipeline": self.pipeline}
        return self.database[COLLECTION].find_one(own, {"_id": 1}) is not None

    def totals(self, until: int | None = None) -> Counts:
        """Sums of the counts over all confirmed batches, or those up to a number."""
        own: Document = {"pipeline": self.pipeline}
        chosen = {"$match": own if until is None else own | {"batch_id": {"$lte": until}}}
        sums = {name: {"$sum": f"${name}"} for name in NUMBERS}
        collection = self.database[COLLECTION]
        (found,) = [*collection.aggregate([chosen, {"$group": {"_id": None, **sums}}])] or [{}]
        of_reason = {"$group": {"_id": "$reason.k", "number": {"$sum": "$reason.v"}}}
        # What something else changed, which `make verify` names, hides no other entry.
        readable = {"$match": {"reasons": {"$type": "object"}}}
        named = {"$project": {"reason": {"$objectToArray": "$reasons"}}}
        steps: list[Document] = [chosen, readable, named, {"$unwind": "$reason"}, of_reason]
        reasons = collection.aggregate(steps)
        numbers = {name: int(found.get(name, 0)) for name in NUMBERS}
        by_reason = {each["_id"]: int(each["number"]) for each in reasons}
        return Counts(**numbers, reasons=dict(sorted(by_reason.items())))

    def add_sink(self, sink: str) -> None:
        """Note in every entry a sink to which its batch was written later."""
        self.database[COLLECTION].update_many(
            {"pipeline": self.pipeline}, {"$addToSet": {"sinks": sink}}
        )

    def note_rebuilt(self, entry: Entry) -> None:
        """Note that the aggregates are computed again, up to this entry."""
        wanted = {"_id": f"{entry.query_id}/{entry.batch_id}"}
        self.database[COLLECTION].update_one(wanted, {"$set": {"rebuilt": True}})

    def confirm(self, entry: Entry, now: datetime | None = None) -> None:
        """Enter a batch that every sink has confirmed; entering it again is harmless.

        Raises:
            JobError: the ledger has the batch with different numbers, so the repeat differed.
            SinkError: MongoDB did not confirm the entry.
        """
        document = entry.document(now or datetime.now(UTC))
        try:
            known = self.database[COLLECTION].find_one({"_id": document["_id"]})
            if known is None:
                self.database[COLLECTION].insert_one(document)
                return
        except PyMongoError as error:
            action = f"enter batch {entry.batch_id} into the ledger"
            raise sink_error("MongoDB", action, error) from error
        before = Entry.of(known)
        if (before.offsets, before.counts) != (dict(entry.offsets), entry.counts):
            raise JobError(
                f"The ledger has batch {entry.batch_id} of {self.pipeline} with different numbers:"
                f" the repeated batch had other messages, so the topic `{entry.topic}` or the"
                " checkpoint was changed. Run `make verify` to see what differs;"
                f" `{remedies.reset(self.pipeline.partition('-')[0])}` deletes the stored data, to"
                " start from scratch."
            )
