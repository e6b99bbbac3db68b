"""Recomputes, on Spark and from the topic, the records that confirmed batches must have stored.

This needs every message of those batches: otherwise the first message of an id is unknown.
"""

from __future__ import annotations

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from operations.verify.arrivals import has_all, is_within, readable_ranges
from operations.verify.snapshot import LedgerSnapshot
from settings import Settings
from spark_jobs.pipeline import Pipeline
from spark_jobs.sources.kafka import read_messages
from spark_jobs.state.offset_ranges import Ranges
from spark_jobs.targets import PLACE
from spark_jobs.transforms.deduplicate import select_first_of_batches, with_batch_ids
from spark_jobs.transforms.outcomes import STORED

BATCHES = "batch_id bigint, partition int, first_offset bigint, until bigint"


def expected_records(
    spark: SparkSession,
    settings: Settings,
    pipeline: Pipeline,
    snapshot: LedgerSnapshot,
    offsets: Ranges,
) -> DataFrame | None:
    """Classified records that confirmed batches stored; None if the broker lacks some messages.

    Columns out: those of the pipeline's classified messages.
    Grain: one stored record.
    """
    ranges = readable_ranges(snapshot, offsets)
    if not ranges or not has_all(snapshot, ranges):
        return None
    classified = (
        read_messages(spark, settings, pipeline.topic(settings), ranges)
        .transform(pipeline.classify, settings)
        .filter(is_within(ranges))
    )
    batches = spark.createDataFrame(
        [(e.batch_id, p, start, end) for e in snapshot.entries
         for p, (start, end) in e.offsets.items()],
        BATCHES,
    )  # fmt: skip
    first = (
        classified.select("record_id", "outcome", "kafka_timestamp", *PLACE)
        .transform(with_batch_ids, batches)
        .transform(select_first_of_batches)
        .filter(F.col("outcome").isin(*STORED))
        .select(*PLACE)
    )
    return classified.join(first, [*PLACE], "left_semi")
