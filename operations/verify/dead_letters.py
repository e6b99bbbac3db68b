"""Compares the dead letters of confirmed batches with the ledger and with their source messages.

On the topic each copy is compared, and copies count once; in MongoDB each document. What the
source messages say comes from the caller, who has read them; where the broker no longer has them,
numbers, coordinates and form are checked.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from pymongo.database import Database
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from operations.pipelines import topic_offsets
from operations.verify.coverage import batch_finder, first_ranges
from operations.verify.differences import shortened
from operations.verify.letter_documents import (
    Judged,
    compare_documents,
    expected_documents,
    read_documents,
)
from operations.verify.letter_messages import (
    differing_letters,
    foreign_letters,
    letters_of,
    name_differing,
    name_foreign,
)
from operations.verify.messages import Messages, is_within
from operations.verify.on_spark import kept
from operations.verify.snapshot import LedgerSnapshot
from runtime.config.topic_names import dead_letter_topic
from settings import Settings
from spark_jobs.pipeline import Pipeline
from spark_jobs.sinks.dead_letters import COLLECTION as SUMMARIES
from spark_jobs.sources.kafka import read_origins
from spark_jobs.sources.local_rows import local_rows
from spark_jobs.state.ledger import Document
from spark_jobs.state.offset_ranges import Ranges
from spark_jobs.targets import PLACE
from spark_jobs.transforms.deduplicate import BATCH_RANGES, with_batch_ids


@dataclass
class Kept:
    """The dead letters in one place: how many, in total and by confirmed batch, and what differs.

    `ends` has the highest source offset in each partition.
    """

    place: str
    total: int = 0
    by_batch: Counter[int] = field(default_factory=Counter)
    ends: dict[int, int] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)

    @property
    def judged(self) -> int:
        """Distinct dead letters of confirmed batches."""
        return sum(self.by_batch.values())


@dataclass(frozen=True)
class DeadLetterAccount:
    """Compares a pipeline's dead letters with its ledger and its source messages.

    `messages` is None if the broker has none of the source messages; `rejected` are those of them
    that were rejected.
    """

    spark: SparkSession
    settings: Settings
    database: Database[Document]
    pipeline: Pipeline
    snapshot: LedgerSnapshot
    offsets: Ranges
    messages: Messages | None
    rejected: DataFrame | None

    @property
    def topic(self) -> str:
        """The topic whose messages were rejected."""
        return self.pipeline.topic(self.settings)

    def on_topic(self) -> Kept:
        """What the dead-letter topic holds."""
        name = dead_letter_topic(self.topic)
        found, place = Kept(name), f"Kafka {name}"
        # Kept, as it is read several times; without payloads it is small.
        origins = read_origins(self.spark, self.settings, name, topic_offsets(self.settings, name))

        def compare(known: Ranges) -> list[str]:
            differing = differing_letters(letters, self._rejected(known), known)
            return name_differing(place, self.topic, differing)

        with kept(origins.transform(letters_of, self.topic)) as letters:
            if self._count(letters, found):
                foreign = letters.transform(foreign_letters, [*self.offsets])
                found.faults += name_foreign(place, self.topic, name, foreign)
            found.faults += self._compared(compare)
        return found

    def _compared(self, compare: Callable[[Ranges], list[str]]) -> list[str]:
        return compare({}) if self.messages is None else self.messages.faults(compare)

    def _rejected(self, known: Ranges) -> DataFrame | None:
        """The rejected messages in these offsets; None if there are no such offsets."""
        if self.rejected is None or not known:
            return None
        return self.rejected.filter(is_within(known))

    def _count(self, letters: DataFrame, kept: Kept) -> int:
        """Count the letters; returns how many name no partition of the topic."""
        ranges = [
            (e.batch_id, partition, start, end)
            for e in self.snapshot.entries
            for partition, (start, end) in e.offsets.items()
        ]
        batches = local_rows(self.spark, ranges, BATCH_RANGES)
        foreign = 0
        for row in count_by_batch(letters, batches).collect():
            kept.total += row.copies
            if row.batch_id is not None:
                kept.by_batch[row.batch_id] += row.messages
            if row.kafka_partition in self.offsets:
                last = kept.ends.get(row.kafka_partition, row.last_offset)
                kept.ends[row.kafka_partition] = max(last, row.last_offset)
            else:
                foreign += row.copies
        return foreign

    def as_summaries(self) -> Kept:
        """What the summaries in MongoDB hold."""
        place = f"{self.database.name}.{SUMMARIES} ({self.topic})"
        first = first_ranges(self.snapshot.entries)
        until, batch_of = self.snapshot.read_until, batch_finder(self.snapshot.entries)
        confirmed = {p: (first.get(p, (0, 0))[0], until.get(p, 0)) for p in self.offsets}
        kept = Kept(place)

        def count(partition: int, offset: int) -> None:
            kept.total += 1
            if (batch_id := batch_of(partition, offset)) is not None:
                kept.by_batch[batch_id] += 1
            kept.ends[partition] = max(offset, kept.ends.get(partition, offset))

        def compare(known: Ranges) -> list[str]:
            kept.total, kept.by_batch, kept.ends = 0, Counter(), {}
            rejected = self._rejected(known)
            noted, foreign = compare_documents(
                Judged(self.topic, confirmed, known),
                read_documents(self.database[SUMMARIES], self.topic),
                iter(()) if rejected is None else expected_documents(rejected, self.topic),
                count,
            )
            kept.total += foreign
            return noted.faults(f"MongoDB {place}")

        kept.faults += self._compared(compare)
        return kept

    def faults(self, store: str, kept: Kept) -> list[str]:
        """Which batches differ from the ledger, and which messages differ from their source."""
        place = f"{store} {kept.place}"
        numbers = [
            f"{place}: batch {entry.batch_id}: {kept.by_batch[entry.batch_id]} dead letters, the"
            f" ledger says {entry.counts.dead_lettered}"
            f" ({kept.by_batch[entry.batch_id] - entry.counts.dead_lettered:+d})"
            for entry in self.snapshot.entries
            if kept.by_batch[entry.batch_id] != entry.counts.dead_lettered
        ]
        return shortened(place, numbers) + kept.faults + self._beyond(place, kept)

    def _beyond(self, place: str, kept: Kept) -> list[str]:
        """Dead letters of messages that the source topic has never had."""
        if all(last < self.offsets[p][1] for p, last in kept.ends.items() if p in self.offsets):
            return []
        # A job may have read on since.
        now = topic_offsets(self.settings, self.topic)
        return [
            f"{place}: `{self.topic}/{partition}/{last}` belongs to no message, as partition"
            f" {partition} of the topic ends at {now[partition][1]}"
            for partition, last in sorted(kept.ends.items())
            if partition in now and last >= now[partition][1]
        ]


def count_by_batch(coordinates: DataFrame, ranges: DataFrame) -> DataFrame:
    """Count a place's messages of each batch and partition.

    Columns in: `kafka_partition`, `kafka_offset`, copies included; `ranges` are `BATCH_RANGES`.
    Columns out: `batch_id` bigint, `kafka_partition` int, `messages` bigint (distinct ones),
        `copies` bigint (all), `last_offset` bigint.
    Grain: one partition of a batch.
    Nulls: `batch_id` for messages of no batch; coordinates as they come.
    """
    return (
        coordinates.groupBy(*PLACE)
        .agg(F.count(F.lit(1)).alias("copies"))
        .transform(with_batch_ids, ranges, "left")
        .groupBy("batch_id", "kafka_partition")
        .agg(
            F.count(F.lit(1)).alias("messages"),
            F.sum("copies").alias("copies"),
            F.max("kafka_offset").alias("last_offset"),
        )
    )
