"""Reads the topic once more, on Spark: what confirmed batches must have made of each message.

Messages are classified by the pipeline's own code and deduplicated as their batches did it. What a
record must look like in a store is kept as a hash, so that one pass over the topic is enough.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

from pyspark.sql import Column, DataFrame, SparkSession, Window
from pyspark.sql import functions as F

from operations.verify.coverage import first_ranges
from operations.verify.hashes import hash_of
from operations.verify.on_spark import keeps_whole, kept, planned_once
from operations.verify.snapshot import LedgerSnapshot
from settings import Settings
from spark_jobs.pipeline import Pipeline
from spark_jobs.sinks.topics import message_of
from spark_jobs.sources.kafka import read_messages
from spark_jobs.sources.local_rows import local_rows
from spark_jobs.start_checks.fingerprint import fingerprint
from spark_jobs.state.ledger import Counts, Entry
from spark_jobs.state.offset_ranges import Ranges
from spark_jobs.targets import PLACE
from spark_jobs.transforms.deduplicate import BATCH_RANGES, with_batch_ids
from spark_jobs.transforms.outcomes import ALERT, REJECTED, STORED

# The batch of messages that no batch has read; after all others.
NO_BATCH: Final = 2**62
DUPLICATE: Final = "duplicate"
Shape = Mapping[str, str]
"""Column -> Spark type, in the order in which columns are hashed."""


def readable_ranges(snapshot: LedgerSnapshot, offsets: Ranges) -> dict[int, tuple[int, int]]:
    """Partition -> the offsets that confirmed batches have read and the broker still has."""
    first, until = first_ranges(snapshot.entries), snapshot.read_until
    return {
        partition: (max(low, first[partition][0]), min(until[partition], high))
        for partition, (low, high) in offsets.items()
        if partition in first and max(low, first[partition][0]) < min(until[partition], high)
    }


def has_all(snapshot: LedgerSnapshot, ranges: Ranges) -> bool:
    """Whether the broker still has every message that a confirmed batch has read."""
    first, until = first_ranges(snapshot.entries), snapshot.read_until
    lost = any(entry.accepted_loss for entry in snapshot.entries)
    read = {p: (start, until[p]) for p, (start, _) in first.items() if until[p] > start}
    return not lost and read == dict(ranges)


def is_within(ranges: Ranges) -> Column:
    """Whether `kafka_partition` and `kafka_offset` lie in offset ranges; never null."""
    if not ranges:
        return F.lit(False)
    starts, ends = (
        F.create_map(*(F.lit(n) for p, pair in ranges.items() for n in (p, pair[side])))
        for side in (0, 1)
    )
    partition, offset = F.col("kafka_partition"), F.col("kafka_offset")
    return F.coalesce((offset >= starts[partition]) & (offset < ends[partition]), F.lit(False))


@dataclass
class Messages:
    """What the messages of confirmed batches are, and must have become.

    Attributes:
        settings: The broker's address, and the key of digests.
        pipeline: The pipeline.
        snapshot: Its ledger.
        ranges: Partition -> the offsets that were read.
        rows: `id` string (coordinates for rejected and filtered ones), `outcome` string (`valid`,
            `alert`, `rejected`, `filtered`, `duplicate`), `batch_id`, `kafka_partition`,
            `kafka_offset`, `sent_ms` bigint (Kafka's time), `hash` bigint (of the columns of
            `shape`), `reasons` array<string>, `kafka_timestamp_ms`, `redrives`, `letter_hash`
            bigint (of key and value; these four null unless rejected), `forward_<n>` bigint (of
            the message on the nth topic; null if it gets none). Grain: one message.
        whole: The classified messages without their bytes; of many, a plan that reads them again.
        shape: The columns that are hashed.
        notes: What could not be compared.
    """

    settings: Settings
    pipeline: Pipeline
    snapshot: LedgerSnapshot
    ranges: Ranges
    rows: DataFrame
    whole: DataFrame
    shape: Shape
    notes: set[str] = field(default_factory=set)

    @property
    def spark(self) -> SparkSession:
        """The session."""
        return self.rows.sparkSession

    @cached_property
    def is_whole(self) -> bool:
        """Whether these are all messages that confirmed batches have read."""
        return has_all(self.snapshot, self.ranges)

    @property
    def rejected(self) -> DataFrame:
        """The rejected messages: coordinates, batch, reasons, times, and the hash of the bytes."""
        columns = ("batch_id", "reasons", "kafka_timestamp_ms", "redrives", "letter_hash")
        return self.rows.filter(F.col("outcome") == REJECTED).select(*PLACE, *columns)

    def by_batch(self) -> dict[int, Counts]:
        """Batch -> where its messages must have gone; `NO_BATCH` for those that none has read."""
        outcome = F.col("outcome")
        counts = {
            "read": F.count(F.lit(1)),
            "stored": F.count_if(outcome.isin(*STORED)),
            "dead_lettered": F.count_if(outcome == REJECTED),
            "filtered": F.count_if(outcome == "filtered"),
            "duplicates": F.count_if(outcome == DUPLICATE),
            "alerts": F.count_if(outcome == ALERT),
        }
        columns = [column.alias(name) for name, column in counts.items()]
        reasons: dict[int, dict[str, int]] = {}
        named = self.rows.select("batch_id", F.explode("reasons").alias("reason"))
        for row in named.groupBy("batch_id", "reason").count().collect():
            reasons.setdefault(row.batch_id, {})[row.reason] = row["count"]
        return {
            row.batch_id: Counts(
                **{name: row[name] for name in counts}, reasons=reasons.get(row.batch_id, {})
            )
            for row in self.rows.groupBy("batch_id").agg(*columns).collect()
        }

    def faults(self, compare: Callable[[Ranges], list[str]]) -> list[str]:
        """What a comparison finds, for the offsets whose batches the present code has made.

        Other code, or another key of digests, may have made other rows of the same messages.
        """
        found = compare(self.ranges)
        if not found or not self._of_others:
            return found
        self.notes.add(
            f"{len(self._of_others)} batches, up to {self._of_others[-1].batch_id}, were made by"
            " different code or with another key, so single messages of theirs cannot be checked"
        )
        return compare(self._judged) if any(a < b for a, b in self._judged.values()) else []

    @cached_property
    def _of_others(self) -> list[Entry]:
        present = fingerprint(self.pipeline, self.settings, self.spark).rows
        key_id = self.pipeline.hash_key_id(self.settings)
        return [
            each
            for each in self.snapshot.entries
            if (each.code_fingerprint and each.code_fingerprint.partition("/")[2] != present)
            or each.hash_key_id not in {None, key_id}
        ]

    @property
    def _judged(self) -> Ranges:
        """The offsets after the last batch that was made in another way."""
        after = dict(self.ranges)
        for entry in self._of_others:
            for partition, (_, end) in entry.offsets.items():
                start, until = after.get(partition, (end, end))
                after[partition] = (min(max(start, end), until), until)
        return after

    def classified(self, ranges: Ranges) -> DataFrame:
        """The messages in offset ranges, classified; many are read again."""
        if keeps_whole(self.spark):
            return self.whole.filter(is_within(ranges))
        return _classified(self.spark, self.settings, self.pipeline, ranges)

    def as_stored(self, ranges: Ranges) -> DataFrame:
        """The columns of `shape` of all messages in offset ranges, as a table has them."""
        return self.classified(ranges).select(*_columns(self.shape, self.pipeline))


@contextmanager
def messages_of(
    spark: SparkSession,
    settings: Settings,
    pipeline: Pipeline,
    snapshot: LedgerSnapshot,
    offsets: Ranges,
    shape: Shape | None = None,
) -> Iterator[Messages | None]:
    """Read and classify the messages of confirmed batches; None if the broker has none of them.

    Args:
        spark: The session.
        settings: The broker's address, and the key of digests.
        pipeline: The pipeline.
        snapshot: Its ledger.
        offsets: Partition -> the offsets on the broker.
        shape: The columns of the table that is compared; None if there is none.
    """
    ranges = readable_ranges(snapshot, offsets)
    if not ranges:
        yield None
        return
    batches = local_rows(spark, spans(snapshot.entries, ranges), BATCH_RANGES)
    topics = [*pipeline.forward_topics(settings).values()]
    forwarded = {f"forward_{n}": _forwarded(topic) for n, topic in enumerate(topics)}
    # Without a table there is none whose key could differ from the record's.
    key = pipeline.id_sql if shape else "record_id"
    whole = planned_once(_classified(spark, settings, pipeline, ranges))
    made = (
        whole.select(
            "record_id",
            F.when(_is_stored(), F.expr(key).cast("string"))
            .otherwise(F.col("record_id"))
            .alias("id"),
            "outcome",
            *PLACE,
            "kafka_timestamp",
            F.unix_millis("kafka_timestamp").alias("sent_ms"),
            hash_of(_columns(shape or {}, pipeline) or [F.lit(0)]).alias("hash"),
            F.when(F.col("outcome") == REJECTED, F.col("reasons")).alias("reasons"),
            "kafka_timestamp_ms",
            "redrives",
            F.col("_letter_hash").alias("letter_hash"),
            *(message.alias(name) for name, message in forwarded.items()),
        )
        .transform(with_batch_ids, batches)
        .transform(with_duplicates)
        .withColumns({name: F.when(_is_stored(), F.col(name)) for name in forwarded})
        .drop("record_id", "kafka_timestamp")
    )
    with kept(made) as rows:
        yield Messages(settings, pipeline, snapshot, ranges, rows, whole, shape or {})


def _classified(
    spark: SparkSession, settings: Settings, pipeline: Pipeline, ranges: Ranges
) -> DataFrame:
    """Classified messages, with the hash of the bytes of rejected ones instead of the bytes."""
    messages = read_messages(spark, settings, pipeline.topic(settings), ranges)
    letter = F.when(F.col("outcome") == REJECTED, hash_of(["key", "value"]))
    classified = messages.transform(pipeline.classify, settings)
    return classified.withColumn("_letter_hash", letter).drop("key", "value")


def with_duplicates(records: DataFrame) -> DataFrame:
    """Give the outcome `duplicate` to all but the first arrival of each id.

    Columns in: `record_id`, `outcome`, `batch_id`, `kafka_timestamp`, `kafka_partition`,
        `kafka_offset`, others.
    Columns out: the same.
    Grain: one message.
    """
    order = ("batch_id", "kafka_timestamp", "kafka_partition", "kafka_offset")
    nth = F.row_number().over(Window.partitionBy("record_id").orderBy(*order))
    return (
        records.withColumn("_nth", nth)
        .withColumn(
            "outcome", F.when(F.col("_nth") > 1, F.lit(DUPLICATE)).otherwise(F.col("outcome"))
        )
        .drop("_nth")
    )


def spans(entries: Sequence[Entry], ranges: Ranges) -> list[tuple[int, int, int, int]]:
    """Batch, partition, first offset and the one after the last; every offset is in one of them.

    Offsets that a later batch read again belong to the first one, those that none has read to
    `NO_BATCH`.
    """
    found = []
    for partition, (start, end) in ranges.items():
        at = start
        for entry in entries:
            low, high = entry.offsets.get(partition, (at, at))
            low, high = max(low, at), min(high, end)
            if low < high:
                if at < low:
                    found.append((NO_BATCH, partition, at, low))
                found.append((entry.batch_id, partition, low, high))
                at = high
        if at < end:
            found.append((NO_BATCH, partition, at, end))
    return found


def _is_stored() -> Column:
    return F.col("outcome").isin(*STORED)


def _columns(shape: Shape, pipeline: Pipeline) -> list[Column]:
    """Columns of classified records as Cassandra gives them back."""
    stand_ins: dict[str, str] = pipeline.stand_ins
    columns: list[Any] = []
    for name, kind in shape.items():
        column = F.col(name)
        if kind == "timestamp":
            column = F.timestamp_millis(F.unix_millis(column))
        elif kind.startswith("array<"):
            column = F.when(F.size(column) > 0, column)
        column = column.cast(kind)
        if name in stand_ins:
            column = F.coalesce(column, F.lit(stand_ins[name]))
        columns.append(column.alias(name))
    return columns


def _forwarded(topic: Any) -> Column:
    """The hash of the message that a topic gets of a record; null if it gets none."""
    wanted = _is_stored()
    if topic.takes.outcome:
        wanted &= F.col("outcome") == topic.takes.outcome
    if topic.takes.where:
        wanted &= F.expr(topic.takes.where)
    return F.when(wanted, hash_of([*message_of(topic)]))
