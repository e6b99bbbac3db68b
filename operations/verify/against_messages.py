"""Compares the rows of the first table with the messages that they were made from.

For each block of offsets, number and sums of hashes must be the same. Only the messages and rows of
blocks that differ are read again, compared column by column, and named by id.
"""

from __future__ import annotations

from functools import partial, reduce
from operator import and_
from typing import Any, Final

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from operations.verify.contents import BLOCK_OFFSETS, Contents, block_of
from operations.verify.differences import named
from operations.verify.hashes import differs, sums_by, without_empty_lists
from operations.verify.messages import DUPLICATE, Messages, is_within
from operations.verify.on_spark import kept
from operations.verify.rows import differing_rows
from spark_jobs.state.offset_ranges import Ranges, overlap
from spark_jobs.targets import PLACE
from spark_jobs.transforms.outcomes import STORED

MILLISECONDS_PER_DAY: Final = 24 * 3600 * 1000
BLOCK: Final = ("kafka_partition", "_block")


def content_faults(messages: Messages, contents: Contents, ranges: Ranges) -> list[str]:
    """Where the first table differs from what the messages in offset ranges must have become.

    Names ids that are in no table, ids that are not on the topic, columns that differ, and ids sent
    again too late.
    """
    wanted, found = _sides(messages, contents, ranges)
    differing = sums_by(wanted, found, by=BLOCK).filter(differs()).select(*BLOCK)
    with kept(differing) as blocks:
        if blocks.isEmpty():
            return []
        ids = _in(found, blocks).select("id")
        right = contents.tables[contents.source]
        left = right.filter("false").select(*messages.shape)
        if hull := _hull(blocks, ranges):
            left = _in(messages.as_stored(hull).withColumn("_block", block_of()), blocks).join(
                wanted.select(*PLACE), [*PLACE], "left_semi"
            )
        with kept(left.select(*messages.shape)) as left:
            own = left.select(F.expr(contents.key).cast("string").alias("id"))
            chosen = ids.union(own).distinct()
            key = F.expr(contents.key).cast("string")
            right = right.join(chosen, key == F.col("id"), "left_semi").select(
                *without_empty_lists(messages.shape)
            )
            return _named(messages, contents, differing_rows(left, right, contents.key))


def _sides(messages: Messages, contents: Contents, ranges: Ranges) -> tuple[DataFrame, DataFrame]:
    """Messages that must be stored, and rows of confirmed batches: id, coordinates and hash."""
    rows = contents.prints[contents.source].filter("_is_confirmed")
    rows = rows.select(F.col("_id").alias("id"), *PLACE, F.col("_hash_0").alias("hash"))
    is_before = is_within({partition: (0, low) for partition, (low, _) in ranges.items()})
    found = rows.filter(~is_before)
    valid = messages.rows.filter(F.col("outcome").isin(*STORED))
    wanted = valid.filter(is_within(ranges)).select("id", *PLACE, "hash")
    if not messages.is_whole or ranges != messages.ranges:
        # Their first arrival lies before these offsets.
        wanted = wanted.join(rows.filter(is_before), "id", "left_anti")
    if ranges != messages.ranges:
        found = found.join(valid.filter(~is_within(ranges)), "id", "left_anti")
    return wanted.withColumn("_block", block_of()), found.withColumn("_block", block_of())


def _hull(blocks: DataFrame, ranges: Ranges) -> dict[int, tuple[int, int]]:
    """Partition -> the offsets of all blocks that differ, as far as they were read."""
    edges = blocks.groupBy("kafka_partition").agg(
        F.min("_block").alias("first"), F.max("_block").alias("last")
    )
    hull = {
        row.kafka_partition: (row["first"] * BLOCK_OFFSETS, (row["last"] + 1) * BLOCK_OFFSETS)
        for row in edges.filter("kafka_partition IS NOT NULL AND first IS NOT NULL").collect()
    }
    return overlap(hull, ranges)


def _in(rows: DataFrame, blocks: DataFrame) -> DataFrame:
    wanted = blocks.select(*(F.col(name).alias(f"{name}_") for name in BLOCK))
    pairs = (F.col(name).eqNullSafe(F.col(f"{name}_")) for name in BLOCK)
    return rows.join(wanted, reduce(and_, pairs), "left_semi")


def _named(messages: Messages, contents: Contents, differing: DataFrame) -> list[str]:
    source = contents.source
    others = [rows for place, rows in contents.prints.items() if place != source]
    elsewhere = [rows.select(F.col("_id").alias("id")) for rows in others]
    is_missing = F.col("times").isNull()
    with kept(differing) as unlike:
        lost = unlike.filter(is_missing)
        for ids in elsewhere:
            lost = lost.join(ids, "id", "left_anti")
        faults = named(
            f"Cassandra {source.partition('.')[0]}",
            lost.orderBy("id"),
            lambda row: f"`{row.id}` is lost: the topic holds it as a valid message, no table does",
        )
        unlike = unlike.join(lost, "id", "left_anti")
        # Lost ids explain their part of the difference.
        again: list[str] = []
        if messages.snapshot.counts.stored - contents.confirmed[source] > len(faults):
            late = _sent_too_late(messages)
            unlike = unlike.join(late, "id", "left_anti")
            again = _again(messages, source, late)
        words = partial(_words, messages.pipeline.topic(messages.settings))
        return faults + named(f"Cassandra {source}", unlike.orderBy("id"), words) + again


def _words(topic: str, row: Any) -> str:
    if row.is_extra:
        return f"`{row.id}` is there, but the topic holds no valid message of it"
    if row.times is None:
        return f"`{row.id}` is missing; the topic holds it as a valid message"
    if row.times > 1:
        return f"`{row.id}` is there {row.times} times"
    return f"`{row.id}` differs from its message on {topic} in {', '.join(row.columns)}"


def _sent_too_late(messages: Messages) -> DataFrame:
    """Ids of which messages are further apart than ids are remembered.

    These times alone prove nothing, as a backlog of many days may be read in one.
    """
    days = messages.settings.deduplication_days
    span = F.max("sent_ms") - F.min("sent_ms")
    sent = messages.rows.filter(F.col("outcome").isin(DUPLICATE, *STORED))
    spans = sent.groupBy("id").agg(span.alias("span"))
    return spans.filter(F.col("span") > days * MILLISECONDS_PER_DAY).select("id")


def _again(messages: Messages, source: str, late: DataFrame) -> list[str]:
    days = messages.settings.deduplication_days
    return named(
        f"Cassandra {source}",
        late.orderBy("id"),
        lambda row: (
            f"`{row.id}` came again after DEDUPLICATION_DAYS ({days}): outside the promise, the"
            " ledger and the aggregates count it again"
        ),
    )
