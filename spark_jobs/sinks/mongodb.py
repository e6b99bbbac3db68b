"""Aggregates in MongoDB, by pymongo.

What: for each group of each aggregate, what the micro-batch adds to it.
Key: `_id`, made of the group's values (`2026-11-22|Billing`).
Replay: each document remembers in `applied.<query id>` the last batch that changed it. One atomic
    update tests and sets it, so a repeated batch changes nothing, even if the first attempt ended
    in the middle of the collection.
Nulls: groups have no null values; absent ones arrive as `unknown`.
Options: writes are confirmed by a majority and by the journal; without that the embedded MongoDB
    loses acknowledged writes when it is killed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pymongo
from bson.codec_options import DatetimeConversion
from bson.decimal128 import Decimal128
from pymongo import MongoClient, UpdateOne
from pymongo.collection import Collection
from pymongo.database import Database
from pymongo.errors import BulkWriteError, PyMongoError
from pymongo.write_concern import WriteConcern

from errors import SinkRejected
from settings import Settings
from spark_jobs.changes import Change, derived, merged
from spark_jobs.pipeline import Pipeline
from spark_jobs.sinks.base import Batch, Sink
from spark_jobs.sinks.driver_errors import explained_mongodb
from spark_jobs.state.fault_points import parts_around_fault
from spark_jobs.state.store_errors import sink_error

Document = dict[str, Any]
DUPLICATE_KEY = 11000
GREETING_SECONDS = 3
MIN, MAX = -(2**63), 2**63 - 1  # of BSON's integers
CONFIRMED = WriteConcern(w="majority", j=True)
# Documents per bulk write: large enough to save round trips, small enough for the embedded MongoDB.
BULK_SIZE = 500
# Suffix of the collection in which a new version is built while readers see the current one.
DRAFT_SUFFIX = "__rebuild"


def connect_mongodb(settings: Settings, timeout_seconds: float = 10) -> MongoClient[Document]:
    """A client whose every call ends within the time-out if the store is down."""
    milliseconds = int(timeout_seconds * 1000)
    return MongoClient(
        settings.mongo_uri.get_secret_value(),
        serverSelectionTimeoutMS=milliseconds,
        connectTimeoutMS=milliseconds,
        socketTimeoutMS=max(milliseconds, 30_000),
        retryWrites=False,
        tz_aware=True,
        # Otherwise one value outside the range of `datetime` would make all documents unreadable.
        datetime_conversion=DatetimeConversion.DATETIME_AUTO,
        appname="millrace",
    )


def confirmed_database(client: MongoClient[Document], settings: Settings) -> Database[Document]:
    """The platform's database; every write is confirmed by majority and journal."""
    return client.get_database(settings.mongo_database, write_concern=CONFIRMED)


def check_mongodb(client: MongoClient[Document], settings: Settings) -> None:
    """Check that MongoDB answers and lets this user read the database.

    Raises:
        SinkUnavailable: it does not answer within the client's time-out.
        SinkRejected: it needs a login, a different one, or one with more rights.
    """
    try:
        # Unlike a ping, this needs the same login as everything else.
        client.get_database(settings.mongo_database).list_collection_names()
    except PyMongoError as error:
        raise explained_mongodb(error, settings) from error


def greet_mongodb(database: Database[Document]) -> None:
    """Ping the server.

    Raises:
        PyMongoError: it did not answer within seconds.
    """
    with pymongo.timeout(GREETING_SECONDS):
        database.command("ping")


@dataclass(frozen=True)
class MongoAggregates(Sink):
    """Applies the changes of a micro-batch, each exactly once."""

    database: Database[Document]
    query_id: str = ""
    collections: tuple[str, ...] = ()
    name = "mongodb"
    store = "MongoDB"
    fault_point = "between-cassandra-and-mongodb"

    def check(self) -> None:
        """Check that the store answers; fails within the client's time-out if it is down."""
        try:
            self.database.list_collection_names()
        except PyMongoError as error:
            raise sink_error("MongoDB", "list its collections", error) from error

    def greet(self) -> None:
        """Ping the server."""
        greet_mongodb(self.database)

    def count(self) -> dict[str, int | None]:
        """Documents of each collection."""
        name = self.database.name
        return {f"{name}.{c}": self.database[c].count_documents({}) for c in self.collections}

    def has_data(self) -> str | None:
        """How many documents all collections hold."""
        documents = sum(number or 0 for number in self.count().values())
        return f"MongoDB holds aggregates ({documents} documents)" if documents else None

    def write_batch(self, batch: Batch, batch_id: int) -> None:
        """Add the batch's changes to their documents, once."""
        replace(self, query_id=batch.query_id).apply(batch.summary.changes, batch_id)

    def apply(self, changes: Iterable[Change], batch_id: int, now: datetime | None = None) -> None:
        """Add a batch's changes to their documents.

        Raises:
            SinkError: the store did not confirm everything; applying them again is harmless.
        """
        by_collection: defaultdict[str, list[Change]] = defaultdict(list)
        for change in changes:
            by_collection[change.collection].append(change)
        for name, of_collection in by_collection.items():
            collection = self.database[name]
            try:
                for start in range(0, len(of_collection), BULK_SIZE):
                    part = of_collection[start : start + BULK_SIZE]
                    self._apply_part(collection, part, batch_id, now or datetime.now(UTC))
            except PyMongoError as error:
                raise sink_error("MongoDB", f"take batch {batch_id} into {name}", error) from error
            except ArithmeticError as error:
                raise SinkRejected(
                    f"MongoDB: a number in {name} needs more than 34 digits, the most that"
                    " Decimal128 holds. Nothing is lost: the batch is repeated at the next start."
                    " Limit the numbers in the contract, or declare them as `number`."
                ) from error

    def replace_collections(
        self, names: Sequence[str], changes: Iterable[Change], batch_id: int
    ) -> None:
        """Replace whole collections by documents made of these changes alone.

        They are written to draft collections that take over the names in one step
        (`renameCollection` with `dropTarget`), so a reader sees all old documents or all new ones;
        a cursor that is open at that moment ends with a server error, never with a mixture. If
        interrupted, it can be run again.

        Raises:
            SinkError: the store did not confirm everything.
        """
        drafts = {name: f"{name}{DRAFT_SUFFIX}" for name in names}
        try:
            for draft in drafts.values():
                self.database.drop_collection(draft)
                # A rename needs an existing collection, even if it will have no document.
                self.database.create_collection(draft)
            self.apply([replace(c, collection=drafts[c.collection]) for c in changes], batch_id)
            for name, draft in drafts.items():
                self.database[draft].rename(name, dropTarget=True)
        except PyMongoError as error:
            raise sink_error("MongoDB", "replace collections by rebuilt ones", error) from error

    def _apply_part(
        self, collection: Collection[Document], part: list[Change], batch_id: int, now: datetime
    ) -> None:
        only_counts = all(change.only_counts for change in part)
        if only_counts:
            updates = [self._plain_update(change, batch_id, now) for change in part]
        else:
            updates = self._computed_updates(collection, part, batch_id, now)
        if updates:
            _write(collection, updates, applied_before={DUPLICATE_KEY} if only_counts else set())

    def _plain_update(self, change: Change, batch_id: int, now: datetime) -> UpdateOne:
        guard = {
            "_id": change.document_id,
            f"applied.{self.query_id}": {"$not": {"$gte": batch_id}},
        }
        update = {"$inc": change.values, "$set": self._labels(change, batch_id, now)}
        # A document that has the batch does not match; the upsert then fails on its `_id`.
        return UpdateOne(guard, update, upsert=True)

    def _computed_updates(
        self, collection: Collection[Document], part: list[Change], batch_id: int, now: datetime
    ) -> list[UpdateOne]:
        """Updates of values that no increment yields: read, compute, then compare and set."""
        ids = [change.document_id for change in part]
        found = {document["_id"]: document for document in collection.find({"_id": {"$in": ids}})}
        updates = []
        for change in part:
            before = found.get(change.document_id, {})
            applied = before.get("applied", {}).get(self.query_id)
            if applied is not None and applied >= batch_id:
                continue
            parts = merged(change.aggregate, from_bson(before), change.values)
            measures = to_bson(parts | derived(change.aggregate, parts))
            values = self._labels(change, batch_id, now) | measures
            guard: Document = {"_id": change.document_id}
            guard[f"applied.{self.query_id}"] = {"$exists": False} if applied is None else applied
            updates.append(UpdateOne(guard, {"$set": values}, upsert=True))
        return updates

    def _labels(self, change: Change, batch_id: int, now: datetime) -> Document:
        return change.labels | {"updated_at": now, f"applied.{self.query_id}": batch_id}


def sink(pipeline: Pipeline, settings: Settings, database: Database[Any]) -> Sink | None:
    """The aggregates of a pipeline; None where it has none."""
    collections = pipeline.collections
    return MongoAggregates(database, collections=collections) if collections else None


def to_bson(values: Document) -> Document:
    """Values as MongoDB stores them: decimals, and integers beyond 64 bits, as Decimal128."""
    return {
        name: Decimal128(Decimal(value)) if _needs_decimal(value) else value
        for name, value in values.items()
    }


def from_bson(document: Document) -> Document:
    """A document with numbers that Python can add up; the reverse of `to_bson`."""
    return {name: _from_decimal(value) for name, value in document.items()}


def _from_decimal(value: Any) -> Any:
    if not isinstance(value, Decimal128):
        return value
    number = value.to_decimal()
    is_integer = number.as_tuple().exponent == 0 and not MIN <= number <= MAX
    return int(number) if is_integer else number


def _needs_decimal(value: Any) -> bool:
    return isinstance(value, Decimal) or (isinstance(value, int) and not MIN <= value <= MAX)


def _write(
    collection: Collection[Document], updates: list[UpdateOne], *, applied_before: set[int]
) -> None:
    """Write the updates; `applied_before` are the error codes for "has the batch already"."""
    try:
        for part in parts_around_fault("in-mongodb-bulk", updates):
            collection.bulk_write(part, ordered=False)
    except BulkWriteError as error:
        details = error.details
        others = [e for e in details.get("writeErrors", []) if e.get("code") not in applied_before]
        if others or details.get("writeConcernErrors"):
            codes = sorted({str(e.get("code")) for e in others}) or ["write concern"]
            hint = (
                " A second job writes the same aggregates: stop one of the two."
                if str(DUPLICATE_KEY) in codes
                else " See `make logs SERVICE=mongodb`."
            )
            raise SinkRejected(
                f"MongoDB refused updates of {collection.name} (codes {', '.join(codes)})."
                f" Nothing is lost: the batch is repeated at the next start.{hint}"
            ) from error
