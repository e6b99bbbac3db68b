"""Reads the topic again, on Spark, to see what confirmed batches must have made of it.

Without this a dropped message would pass for a duplicate. Messages are classified by the pipeline's
own code; only outcomes, ids, coordinates and times are compared. It costs one read of the topic.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from typing import Final

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from operations.verify.contents import Contents
from operations.verify.coverage import first_ranges
from operations.verify.differences import named
from operations.verify.on_spark import KEPT
from operations.verify.snapshot import LedgerSnapshot
from settings import Settings
from spark_jobs.pipeline import Pipeline
from spark_jobs.sources.kafka import read_messages
from spark_jobs.start_checks.fingerprint import fingerprint
from spark_jobs.state.ledger import Counts
from spark_jobs.state.offset_ranges import Ranges
from spark_jobs.transforms import outcomes

STORED: Final = "stored"


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
    starts, ends = (
        F.create_map(*(F.lit(n) for p, pair in ranges.items() for n in (p, pair[side])))
        for side in (0, 1)
    )
    partition, offset = F.col("kafka_partition"), F.col("kafka_offset")
    return F.coalesce((offset >= starts[partition]) & (offset < ends[partition]), F.lit(False))


@dataclass(frozen=True)
class Arrivals:
    """Reads a pipeline's topic again and compares it with ledger and tables."""

    spark: SparkSession
    settings: Settings
    pipeline: Pipeline
    snapshot: LedgerSnapshot
    offsets: Ranges

    def differences(self, contents: Contents | None) -> tuple[list[str], list[str]]:
        """Faults and notes; messages that the broker no longer has are not compared.

        Names ids that are in no table, ids that are not on the topic, and ids sent again too late.
        """
        ranges = readable_ranges(self.snapshot, self.offsets)
        if not ranges:
            return [], []
        arrivals = (
            read_messages(self.spark, self.settings, self.pipeline.topic(self.settings), ranges)
            .transform(self.pipeline.classify, self.settings)
            .transform(select_arrivals, contents.key if contents else "record_id")
            .persist(KEPT)
        )
        try:
            faults = self._numbers(arrivals) if has_all(self.snapshot, ranges) else []
            if contents is not None:
                ids = arrivals.filter(F.col("outcome") == STORED)
                faults += self._ids(ids, contents, ranges)
        finally:
            arrivals.unpersist()
        if faults and (other := self._other_code()):
            return [], [other]
        return faults, []

    def _numbers(self, arrivals: DataFrame) -> list[str]:
        """Where the ledger's numbers differ from the topic's."""
        by_outcome = arrivals.groupBy("outcome").agg(F.sum("messages").alias("messages"))
        found = {row.outcome: row.messages for row in by_outcome.collect()}
        counts: Counts = self.snapshot.counts
        return [
            f"ledger: {what} is {booked}, in these offsets the topic has {present}"
            f" ({booked - present:+d})"
            for what, booked, present in (
                ("read", counts.read, sum(found.values())),
                ("dead-lettered", counts.dead_lettered, found.get("rejected", 0)),
                ("filtered", counts.filtered, found.get("filtered", 0)),
            )
            if booked != present
        ]

    def _ids(self, arrivals: DataFrame, contents: Contents, ranges: Ranges) -> list[str]:
        """The ids in which topic and tables differ."""
        source = contents.source
        stored = reduce(DataFrame.union, map(_ids, contents.prints.values()))
        lost = arrivals.join(stored, "id", "left_anti")
        aged_out = is_within({p: (0, low) for p, (low, _) in ranges.items()})
        unknown = (
            contents.prints[source]
            .filter(F.col("_is_confirmed") & ~aged_out)
            .transform(_ids)
            .join(arrivals, "id", "left_anti")
        )
        faults = named(
            f"Cassandra {source.split('.')[0]}",
            lost.orderBy("id"),
            lambda row: f"`{row.id}` is lost: the topic holds it as a valid message, no table does",
        )
        faults += named(
            f"Cassandra {source}",
            unknown.orderBy("id"),
            lambda row: f"`{row.id}` is there, but the topic holds no valid message of it",
        )
        # Lost ids explain their part of the difference. Message times alone prove nothing, as a
        # backlog of many days may be read in one.
        if self.snapshot.counts.stored - contents.confirmed[source] > len(faults):
            days = self.settings.deduplication_days
            again = arrivals.filter(F.col("last_ms") - F.col("first_ms") > days * 24 * 3600 * 1000)
            faults += named(
                f"Cassandra {source}",
                again.orderBy("id"),
                lambda row: (
                    f"`{row.id}` came again after DEDUPLICATION_DAYS ({days}): outside the"
                    " promise, the ledger and the aggregates count it again"
                ),
            )
        return faults

    def _other_code(self) -> str | None:
        """A note if batches were made by code that may classify messages differently."""
        present = fingerprint(self.pipeline, self.settings, self.spark).rows
        made = [(e.batch_id, e.code_fingerprint) for e in self.snapshot.entries]
        others = [batch_id for batch_id, code in made if code and code.partition("/")[2] != present]
        if not others:
            return None
        return (
            f"{len(others)} batches, up to {others[-1]}, were made by different code, so single"
            " messages of theirs cannot be checked"
        )


def _ids(prints: DataFrame) -> DataFrame:
    return prints.select(F.col("_id").alias("id"))


def select_arrivals(classified: DataFrame, key: str) -> DataFrame:
    """Count messages by outcome, those that may be stored by id, with the first and last time.

    `key` is SQL that gives the id of a record, as in the tables.

    Columns in: `outcome`, `kafka_timestamp` of classified messages, and those of the key.
    Columns out: `outcome` string (`rejected`, `filtered` or `stored`), `id` string, `messages`
        bigint, `first_ms`, `last_ms` bigint (Kafka's time, since 1970).
    Grain: one id of messages that may be stored; one outcome of others.
    Nulls: `id`, unless the outcome is `stored`.
    """
    sent, is_stored = F.unix_millis("kafka_timestamp"), F.col("outcome").isin(*outcomes.STORED)
    return (
        classified.select(
            F.when(is_stored, F.lit(STORED)).otherwise(F.col("outcome")).alias("outcome"),
            F.when(is_stored, F.expr(key).cast("string")).alias("id"),
            sent.alias("sent"),
        )
        .groupBy("outcome", "id")
        .agg(
            F.count(F.lit(1)).alias("messages"),
            F.min("sent").alias("first_ms"),
            F.max("sent").alias("last_ms"),
        )
    )
