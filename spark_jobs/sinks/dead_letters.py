"""Rejected messages: their bytes on the dead-letter topic, a summary in MongoDB.

What: each rejected message's key and value byte for byte, with the reasons and its source in
    headers; in MongoDB `dead_letters` the same without the bytes.
Key: on the topic the message's own; in MongoDB `topic/partition/offset` of the source.
Replay: MongoDB keeps one document; the topic may get the message again, so readers count
    distinct source coordinates.
Nulls: a null key or value stays null.
Options: `max.request.size` follows the dead-letter topic's limit, which is above its source's.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

from pymongo import InsertOne, UpdateOne
from pymongo.collection import Collection
from pymongo.database import Database
from pymongo.errors import BulkWriteError, PyMongoError
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from runtime.config.topic_names import dead_letter_topic
from settings import Settings
from spark_jobs.planned import planned
from spark_jobs.sinks.kafka_messages import header, send_messages
from spark_jobs.sinks.mongodb import DUPLICATE_KEY, Document
from spark_jobs.state.instants import instant_or_number
from spark_jobs.state.store_errors import sink_error
from spark_jobs.targets import PLACE

COLLECTION = "dead_letters"
BULK_SIZE = 1000


def select_dead_letters(rejected: DataFrame) -> DataFrame:
    """Rejected rows as messages of the dead-letter topic.

    Columns in: `key`, `value`, `reasons`, `kafka_topic`, `kafka_partition`, `kafka_offset`,
        `kafka_timestamp_ms`, `redrives`.
    Columns out: `key` binary, `value` binary, `headers` array<struct<key string, value binary>>.
    Grain: one rejected message.
    Nulls: `key` and `value` as received.
    Units: `source_timestamp` is in milliseconds since 1970, as Kafka counts.
    """
    headers = F.array(
        header("reasons", F.array_join("reasons", ",")),
        header("source_topic", F.col("kafka_topic")),
        header("source_partition", F.col("kafka_partition")),
        header("source_offset", F.col("kafka_offset")),
        header("source_timestamp", F.col("kafka_timestamp_ms")),
        header("redrives", F.col("redrives")),
    )
    return rejected.select("key", "value", headers.alias("headers"))


def send_dead_letters(
    rejected: DataFrame, settings: Settings, source_topic: str, batch_id: int
) -> None:
    """Put rejected messages on their topic.

    Raises:
        SinkError: the broker did not confirm all of them.
    """
    topic = F.lit(dead_letter_topic(source_topic)).alias("topic")
    messages = planned(
        rejected, "dead letters", lambda rows: select_dead_letters(rows).select("*", topic)
    )
    send_messages(messages, settings, f"batch {batch_id}'s dead letters")


def store_summaries(
    rejected: DataFrame, database: Database[Document], batch_id: int, *, few: bool = False
) -> None:
    """Upsert a document without payload for each rejected message.

    `few`: the driver may hold them all, which takes 15 ms where reading them one by one takes 60.

    Raises:
        SinkError: the store did not confirm all of them.
    """
    columns = ("kafka_topic", *PLACE, "kafka_timestamp_ms", "reasons")
    # One partition, as each would be a Spark job of its own.
    rows = planned(rejected, "summaries", lambda frame: frame.select(*columns).coalesce(1))
    try:
        found = iter(rows.collect()) if few else rows.toLocalIterator()
        for part in _parts(map(_summary, found), BULK_SIZE):
            _put(database[COLLECTION], part)
    except PyMongoError as error:
        raise sink_error("MongoDB", f"take batch {batch_id} into {COLLECTION}", error) from error


def _put(collection: Collection[Document], documents: list[Document]) -> None:
    """Insert the documents; update those that exist already.

    Nearly all are new, and an insert costs the server a fraction of an upsert.
    """
    try:
        collection.bulk_write([InsertOne(document) for document in documents], ordered=False)
    except BulkWriteError as error:
        failed = error.details["writeErrors"]
        if error.details["writeConcernErrors"] or any(e["code"] != DUPLICATE_KEY for e in failed):
            raise
        known = [documents[each["index"]] for each in failed]
        updates = [UpdateOne({"_id": d.pop("_id")}, {"$set": d}, upsert=True) for d in known]
        collection.bulk_write(updates, ordered=False)


def _summary(row: Any) -> Document:
    return {
        "_id": f"{row.kafka_topic}/{row.kafka_partition}/{row.kafka_offset}",
        "source_topic": row.kafka_topic,
        "reasons": list(row.reasons),
        "source_timestamp": instant_or_number(row.kafka_timestamp_ms),
    }


def _parts(items: Iterator[Document], size: int) -> Iterator[list[Document]]:
    while part := list(islice(items, size)):
        yield part
