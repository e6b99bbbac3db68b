"""Which messages passed the deduplication, found out afterwards from the batches that read them."""

from __future__ import annotations

from datetime import timedelta

from pyspark.sql import SparkSession

from spark_jobs.sources.local_rows import local_rows
from spark_jobs.transforms.deduplicate import (
    BATCH_RANGES,
    select_first_of_batches,
    with_batch_ids,
)
from tests.support.builders import NOON

PLACES = "kafka_partition int, kafka_offset bigint"
RECORDS = (
    "record_id string, outcome string, batch_id bigint, kafka_timestamp timestamp,"
    " kafka_partition int, kafka_offset bigint"
)


def test_each_message_finds_the_batch_that_read_it(spark: SparkSession) -> None:
    read = [(0, 0, 0, 5), (0, 1, 0, 0), (1, 0, 5, 2500), (1, 1, 0, 1000), (3, 0, 2600, 2601)]
    ranges = local_rows(spark, read, BATCH_RANGES)
    places = [(0, 0), (0, 4), (0, 5), (0, 999), (0, 1000), (0, 2499), (0, 2500), (0, 2600)]
    places += [(0, 2601), (1, 0), (1, 999), (1, 1000), (2, 0)]

    found = with_batch_ids(spark.createDataFrame(places, PLACES), ranges)

    assert found.columns == ["kafka_partition", "kafka_offset", "batch_id"]
    assert sorted(map(tuple, found.collect())) == [
        (0, 0, 0),
        (0, 4, 0),
        (0, 5, 1),
        (0, 999, 1),
        (0, 1000, 1),
        (0, 2499, 1),
        (0, 2600, 3),
        (1, 0, 1),
        (1, 999, 1),
    ]


def test_first_batch_counts_before_time_and_time_before_place(spark: SparkSession) -> None:
    earlier = NOON - timedelta(milliseconds=1)
    records = [
        ("batch", "valid", 1, NOON, 2, 9),
        ("batch", "valid", 2, earlier, 0, 0),
        ("time", "valid", 1, NOON, 0, 1),
        ("time", "valid", 1, earlier, 2, 8),
        ("partition", "valid", 3, NOON, 1, 1),
        ("partition", "valid", 3, NOON, 0, 7),
        ("offset", "valid", 3, NOON, 1, 10),
        ("offset", "valid", 3, NOON, 1, 9),
        ("0/3", "rejected", 2, NOON, 0, 3),
    ]

    found = select_first_of_batches(spark.createDataFrame(records, RECORDS))

    assert found.columns == ["batch_id", "kafka_partition", "kafka_offset", "outcome"]
    assert sorted(map(tuple, found.collect())) == [
        (1, 2, 8, "valid"),
        (1, 2, 9, "valid"),
        (2, 0, 3, "rejected"),
        (3, 0, 7, "valid"),
        (3, 1, 9, "valid"),
    ]
