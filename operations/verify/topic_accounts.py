"""Compares topics of forwarded records with what was to be forwarded, copies aside."""

from __future__ import annotations

from functools import partial
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from operations.pipelines import topic_offsets
from operations.verify.account import StoreCount
from operations.verify.coverage import first_ranges, read_until
from operations.verify.differences import named
from operations.verify.hashes import hash_of
from operations.verify.messages import Messages, is_within
from operations.verify.on_spark import kept
from operations.verify.sink_contents import SinkReading, Wanted
from operations.verify.snapshot import LedgerSnapshot
from spark_jobs.registry import pipelines_of
from spark_jobs.sources.kafka import read_origins
from spark_jobs.state.added_topics import first_batches
from spark_jobs.state.offset_ranges import Ranges, overlap
from spark_jobs.targets import PLACE


def account_of_topics(
    reading: SinkReading, records: DataFrame | None, messages: Messages | None
) -> tuple[list[StoreCount], list[str]]:
    """The numbers of each topic, and what differs; nothing for a pipeline without topics.

    Args:
        reading: The pipeline, and what is confirmed.
        records: The stored records of confirmed batches; None if they are no longer known.
        messages: What the topic holds; None if that is nothing.
    """
    entries, settings = reading.snapshot.entries, reading.settings
    written = entries[-1].sinks if entries else ()
    if not any(s.may_repeat and s.name in written for s in reading.sinks):
        return [], []
    counts, added = reading.snapshot.counts, first_batches(reading.database, reading.pipeline.name)
    stores: list[StoreCount] = []
    faults: list[str] = []
    for number, (name, topic) in enumerate(reading.pipeline.forward_topics(settings).items()):
        wanted = Wanted(topic.takes)
        with kept(_copies(reading, name)) as copies:
            fed = _fed(reading.snapshot, added.get(topic.name, 0))
            judged = F.when(is_within(fed), F.struct(*PLACE))
            found: Any = copies.agg(
                F.count(F.lit(1)).alias("copies"), F.count_distinct(judged).alias("judged")
            ).first()
            expected = None if topic.name in added else wanted.booked(counts)
            if expected is None and messages is not None and messages.is_whole:
                taken = F.col(f"forward_{number}").isNotNull() & is_within(fed)
                expected = messages.rows.filter(taken).count()
            if expected is None:
                expected = found.judged
            numbers = (found.copies, found.judged, expected)
            stores.append(StoreCount("Kafka", name, "messages", *numbers, "distinct records"))
            if messages is not None:
                compare = partial(_faults, messages, name, number, copies, fed)
                faults += messages.faults(compare)
    return stores, faults


def _fed(snapshot: LedgerSnapshot, first_batch: int) -> dict[int, tuple[int, int]]:
    """Partition -> the offsets of confirmed batches whose records a topic must have."""
    if not first_batch:
        return {p: (0, end) for p, end in snapshot.read_until.items()}
    later = [entry for entry in snapshot.entries if entry.batch_id >= first_batch]
    until = read_until(later)
    return {p: (start, until[p]) for p, (start, _) in first_ranges(later).items()}


def _copies(reading: SinkReading, name: str) -> DataFrame:
    """The messages on a topic, copies included: source coordinates, own place, and a hash.

    Messages of other pipelines that forward to the same topic are left out.
    """
    settings, own = reading.settings, reading.pipeline.topic(reading.settings)
    others = {
        pipeline.topic(settings)
        for pipeline in pipelines_of(settings)
        if name in pipeline.forward_topics(settings)
    }
    is_own = F.col("source_topic") == own
    return (
        read_origins(reading.spark, settings, name, topic_offsets(settings, name))
        .filter(~F.coalesce(F.col("source_topic").isin(*others - {own}), F.lit(False)))
        .select(
            F.when(is_own, F.col("source_partition")).alias("kafka_partition"),
            F.when(is_own, F.col("source_offset")).alias("kafka_offset"),
            F.concat_ws("/", "partition", "offset").alias("place"),
            hash_of(["key", "value"]).alias("hash"),
        )
    )


def _faults(
    messages: Messages, name: str, number: int, copies: DataFrame, fed: Ranges, ranges: Ranges
) -> list[str]:
    """Records that a topic lacks, and messages that no record was forwarded as."""
    wanted = messages.rows.filter(is_within(overlap(ranges, fed))).select(
        *PLACE, F.col(f"forward_{number}").alias("wanted")
    )
    is_foreign = F.col("kafka_partition").isNull() | F.col("kafka_offset").isNull()
    found = copies.filter(is_within(ranges) | is_foreign)
    source = messages.pipeline.topic(messages.settings)
    unlike = (
        wanted.filter("wanted IS NOT NULL")
        .join(found, [*PLACE], "full_outer")
        .filter("wanted IS NULL OR hash IS NULL OR wanted <> hash")
        .select("place", *PLACE, "wanted", is_foreign.alias("is_foreign"))
    )

    def words(row: Any) -> str:
        message, origin = (
            f"`{name}/{row.place}`",
            f"`{source}/{row.kafka_partition}/{row.kafka_offset}`",
        )
        if row.place is None:
            return f"{origin} is missing"
        if row.is_foreign:
            return f"message {message} names no message of {source} in its headers: no job sent it"
        if row.wanted is None:
            return f"{origin} does not belong there (message {message})"
        return f"message {message} differs from what {origin} was forwarded as"

    with kept(unlike.orderBy(*PLACE, "place")) as differing:
        # The first of each kind.
        return [
            *named(f"Kafka {name}", differing.filter("place IS NULL"), words),
            *named(f"Kafka {name}", differing.filter("place IS NOT NULL"), words),
        ]
