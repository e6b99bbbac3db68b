"""Compares the dead letters of confirmed batches, on the topic and as summaries, with the ledger.

Copies count once. Numbers are compared by batch; only if they differ is the source topic read
again, to name missing and extra messages. Payloads are not read. Summaries are read one by one,
by `_id` only.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from pymongo.database import Database
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from operations.pipelines import topic_offsets
from operations.verify.coverage import batch_finder
from operations.verify.differences import named, shortened
from operations.verify.messages import is_within, readable_ranges
from operations.verify.on_spark import KEPT
from operations.verify.snapshot import LedgerSnapshot
from runtime.config.topic_names import dead_letter_topic
from settings import Settings
from spark_jobs.pipeline import Pipeline
from spark_jobs.sinks.dead_letters import COLLECTION as SUMMARIES
from spark_jobs.sources.kafka import read_messages, read_origins
from spark_jobs.state.ledger import Document, Entry
from spark_jobs.state.offset_ranges import Ranges
from spark_jobs.transforms.outcomes import REJECTED

BLOCK_OFFSETS: Final = 1000
COORDINATES: Final = "kafka_partition int, kafka_offset bigint"
RANGES: Final = "batch_id bigint, kafka_partition int, start bigint, end bigint"


@dataclass
class Kept:
    """The number of dead letters in one place: in total, and by confirmed batch."""

    place: str
    total: int = 0
    by_batch: Counter[int] = field(default_factory=Counter)

    @property
    def judged(self) -> int:
        """Distinct dead letters of confirmed batches."""
        return sum(self.by_batch.values())


@dataclass(frozen=True)
class DeadLetterAccount:
    """Compares a pipeline's dead letters with its ledger."""

    spark: SparkSession
    settings: Settings
    database: Database[Document]
    pipeline: Pipeline
    snapshot: LedgerSnapshot
    offsets: Ranges

    @property
    def topic(self) -> str:
        """The topic whose messages were rejected."""
        return self.pipeline.topic(self.settings)

    def on_topic(self) -> Kept:
        """What the dead-letter topic holds."""
        kept = Kept(dead_letter_topic(self.topic))
        ranges = [
            (e.batch_id, partition, start, end)
            for e in self.snapshot.entries
            for partition, (start, end) in e.offsets.items()
        ]
        batches = self.spark.createDataFrame(ranges, RANGES)
        for row in count_by_batch(self._origins(), batches).collect():
            kept.total += row.copies
            if row.batch_id is not None:
                kept.by_batch[row.batch_id] = row.messages
        return kept

    def as_summaries(self) -> Kept:
        """What the summaries in MongoDB hold."""
        kept = Kept(f"{self.database.name}.{SUMMARIES} ({self.topic})")
        batch_of = batch_finder(self.snapshot.entries)
        for place in self._summaries():
            kept.total += 1
            batch_id = batch_of(*place) if place else None
            if batch_id is not None:
                kept.by_batch[batch_id] += 1
        return kept

    def faults(self, store: str, kept: Kept) -> list[str]:
        """Which batches differ from the ledger, and which messages make the difference."""
        place = f"{store} {kept.place}"
        differing = [
            entry
            for entry in self.snapshot.entries
            if kept.by_batch[entry.batch_id] != entry.counts.dead_lettered
        ]
        if not differing:
            return []
        numbers = [
            f"{place}: batch {entry.batch_id}: {kept.by_batch[entry.batch_id]} dead letters, the"
            f" ledger says {entry.counts.dead_lettered}"
            f" ({kept.by_batch[entry.batch_id] - entry.counts.dead_lettered:+d})"
            for entry in differing
        ]
        return shortened(place, numbers) + self._named(place, store, differing)

    def _named(self, place: str, store: str, entries: Sequence[Entry]) -> list[str]:
        """The messages of these batches that a place lacks or has in addition."""
        ranges = _common(_hull(entries), readable_ranges(self.snapshot, self.offsets))
        if not ranges:
            return []
        # Kept first: Spark would push the filter into the expressions of `classify` and evaluate
        # them once per mention, which for many fields does not end.
        classified = (
            read_messages(self.spark, self.settings, self.topic, ranges)
            .transform(self.pipeline.classify, self.settings)
            .select("outcome", "kafka_partition", "kafka_offset")
            .persist(KEPT)
        )
        if store == "Kafka":
            found = self._origins().distinct()
        else:
            # Only of the batches that differ.
            inside = [place for place in self._summaries() if place and _is_inside(*place, ranges)]
            found = self.spark.createDataFrame(inside, COORDINATES)
        rejected = classified.filter(F.col("outcome") == REJECTED).drop("outcome")
        try:
            return _names(place, self.topic, rejected, found.filter(is_within(ranges)))
        finally:
            classified.unpersist()

    def _origins(self) -> DataFrame:
        """Source coordinates of the messages on the dead-letter topic, null if not of this one."""
        name = dead_letter_topic(self.topic)
        ranges = topic_offsets(self.settings, name)
        own = F.col("source_topic") == self.topic
        return read_origins(self.spark, self.settings, name, ranges).select(
            F.when(own, F.col("source_partition")).alias("kafka_partition"),
            F.when(own, F.col("source_offset")).alias("kafka_offset"),
        )

    def _summaries(self) -> Iterator[tuple[int, int] | None]:
        """Source coordinates of the summaries; None if no job wrote one."""
        own = re.compile(rf"{re.escape(self.topic)}/(\d+)/(\d+)", re.ASCII)
        for document in self.database[SUMMARIES].find({"source_topic": self.topic}, {"_id": 1}):
            found = own.fullmatch(str(document["_id"]))
            yield (int(found[1]), int(found[2])) if found else None


def count_by_batch(coordinates: DataFrame, ranges: DataFrame) -> DataFrame:
    """Count a place's messages of each batch.

    The join uses blocks of offsets, so that the cost grows with messages plus batches, not with
    their product.

    Columns in: `kafka_partition`, `kafka_offset`, copies included; `ranges` has `batch_id`,
        `kafka_partition`, `start`, `end` (offset after the last).
    Columns out: `batch_id` bigint, `messages` bigint (distinct ones), `copies` bigint (all).
    Grain: one batch.
    Nulls: `batch_id` for messages of no batch.
    """
    distinct = coordinates.groupBy("kafka_partition", "kafka_offset").agg(
        F.count(F.lit(1)).alias("copies")
    )
    blocks = F.sequence(
        F.floor(F.col("start") / BLOCK_OFFSETS), F.floor((F.col("end") - 1) / BLOCK_OFFSETS)
    )
    of_block = ranges.filter("start < end").select(
        "batch_id", "kafka_partition", "start", "end", F.explode(blocks).alias("block")
    )
    same = (
        (F.col("found.kafka_partition") == F.col("read.kafka_partition"))
        & (F.floor(F.col("found.kafka_offset") / BLOCK_OFFSETS) == F.col("read.block"))
        & F.col("found.kafka_offset").between(F.col("read.start"), F.col("read.end") - 1)
    )
    return (
        distinct.alias("found")
        .join(of_block.alias("read"), same, "left")
        .groupBy("read.batch_id")
        .agg(F.count(F.lit(1)).alias("messages"), F.sum("copies").alias("copies"))
        .select("batch_id", "messages", "copies")
    )


def _names(place: str, topic: str, rejected: DataFrame, found: DataFrame) -> list[str]:
    missing = rejected.exceptAll(found).select("*", F.lit(True).alias("is_missing"))
    extra = found.exceptAll(rejected).select("*", F.lit(False).alias("is_missing"))

    def words(row: Any) -> str:
        message = f"`{topic}/{row.kafka_partition}/{row.kafka_offset}`"
        if row.is_missing:
            return f"{message} is missing; the source topic holds it as a rejected message"
        return f"{message} is there, but the source topic holds no such rejected message"

    both = missing.union(extra).orderBy("kafka_partition", "kafka_offset")
    return named(place, both, words)


def _hull(entries: Sequence[Entry]) -> dict[int, tuple[int, int]]:
    hull: dict[int, tuple[int, int]] = {}
    for entry in entries:
        for partition, (start, end) in entry.offsets.items():
            low, high = hull.get(partition, (start, end))
            hull[partition] = (min(low, start), max(high, end))
    return hull


def _common(left: Ranges, right: Ranges) -> dict[int, tuple[int, int]]:
    both = {
        p: (max(left[p][0], right[p][0]), min(left[p][1], right[p][1])) for p in {*left} & {*right}
    }
    return {p: (start, end) for p, (start, end) in both.items() if start < end}


def _is_inside(partition: int, offset: int, ranges: Ranges) -> bool:
    start, end = ranges.get(partition, (0, 0))
    return start <= offset < end
