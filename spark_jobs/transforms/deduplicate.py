"""First arrivals: of all messages with the same id, the first one passes.

A micro-batch that is repeated after a crash must choose the same rows; otherwise tables written
before and after the crash would hold different rows for one id. Spark's
`dropDuplicatesWithinWatermark` alone keeps whichever row a task meets first; with sorted input that
is the lowest (Kafka timestamp, partition, offset).
"""

from __future__ import annotations

from datetime import datetime, timedelta

from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import StructType

PROCESSED_AT = "processed_at"
# Number of offsets per key of the join that finds each message's batch.
BUCKET_OFFSETS = 1000
# The offsets of one partition that a micro-batch read.
BATCH_RANGES = (
    StructType()
    .add("batch_id", "long")
    .add("partition", "integer")
    .add("first_offset", "long")
    .add("until", "long")
)


def select_first_arrivals(
    records: DataFrame, *, days: int, partitions: int, not_before: datetime
) -> DataFrame:
    """Drop every row whose `record_id` came earlier, in this batch or a previous one.

    Columns in: `record_id` string, `kafka_timestamp`, `kafka_partition`, `kafka_offset`, others.
    Columns out: the same.
    Grain: one id.
    Units: ids are remembered for `days` of processing time, and a batch or two longer. The clock
        is the batch's own, which Spark records before it runs the batch. `not_before` keeps it
        ahead of a watermark that lies in the future (after the machine's clock was wrong for a
        while), as Spark silently drops rows behind the watermark.

    `partitions` must be the query's `spark.sql.shuffle.partitions`: with any other number Spark
    would shuffle again, and the order would be lost.
    """
    clock = F.greatest(F.current_timestamp(), F.lit(not_before))
    # In a lambda, which is never part of compiled code: see docs/experiments.md.
    clock = F.transform(F.array(clock), lambda time: time)[0]
    return (
        records.withColumn(PROCESSED_AT, clock)
        .withWatermark(PROCESSED_AT, f"{int(watermark_delay(days).total_seconds())} seconds")
        .repartition(partitions, "record_id")
        .sortWithinPartitions("record_id", "kafka_timestamp", "kafka_partition", "kafka_offset")
        .dropDuplicatesWithinWatermark(["record_id"])
        .drop(PROCESSED_AT)
    )


def with_batch_ids(records: DataFrame, ranges: DataFrame, join: str = "inner") -> DataFrame:
    """Add the micro-batch that read each record; records that none has read are dropped.

    With a `left` join they stay, without a batch.

    Columns in: `kafka_partition`, `kafka_offset`, others; of `ranges` those of `BATCH_RANGES`
        (`until` is the offset after the last).
    Columns out: the records' columns, `batch_id` bigint.
    Grain: one record.
    """
    # By buckets, so that it is an equi-join: each message is compared with the few ranges near it.
    first, last = f"first_offset div {BUCKET_OFFSETS}", f"(until - 1) div {BUCKET_OFFSETS}"
    buckets = ranges.filter("until > first_offset").select(
        "*", F.explode(F.sequence(F.expr(first), F.expr(last))).alias("bucket")
    )
    of_message = F.expr(f"kafka_offset div {BUCKET_OFFSETS}")
    is_inside = F.col("kafka_offset").between(F.col("first_offset"), F.col("until") - 1)
    return records.join(
        F.broadcast(buckets),
        (F.col("kafka_partition") == F.col("partition"))
        & (F.col("bucket") == of_message)
        & is_inside,
        join,
    ).select(*records.columns, "batch_id")


def select_first_of_batches(records: DataFrame) -> DataFrame:
    """Recompute from their batches which messages `select_first_arrivals` let pass.

    An id that came again after `DEDUPLICATION_DAYS`, and so passed twice, passes once here.

    Columns in: `record_id`, `outcome`, `batch_id`, `kafka_timestamp`, `kafka_partition`,
        `kafka_offset` of all batches since the first.
    Columns out: `batch_id` bigint, `kafka_partition` int, `kafka_offset` bigint,
        `outcome` string.
    Grain: one id; for records that are not valid, the id is their coordinates on the topic.
    """
    order = ("batch_id", "kafka_timestamp", "kafka_partition", "kafka_offset", "outcome")
    return (
        records.groupBy("record_id")
        .agg(F.min(F.struct(*order)).alias("first"))
        .select("first.batch_id", "first.kafka_partition", "first.kafka_offset", "first.outcome")
    )


def watermark_delay(days: int) -> timedelta:
    """The watermark's delay that makes Spark remember ids for `days`.

    Spark counts it twice: an id expires one delay after it came, and the watermark that makes it
    expire is one delay behind the clock (`StreamingDeduplicateWithinWatermarkExec`).
    """
    return timedelta(days=days) / 2
