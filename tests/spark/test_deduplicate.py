"""First arrivals: which of several messages with one id passes, whatever order they come in."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from spark_jobs.transforms.deduplicate import select_first_arrivals
from tests.support.builders import NOON

COLUMNS = (
    "record_id string, kafka_timestamp timestamp, kafka_partition int, kafka_offset bigint,"
    " request string"
)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
CHECK = "spark.sql.streaming.unsupportedOperationCheck"
# As in the session of these tests.
PARTITIONS = 2


@pytest.fixture
def streams_of_jobs(spark: SparkSession) -> Iterator[None]:
    """A job's session does not refuse the sorted deduplication."""
    spark.conf.set(CHECK, "false")
    yield
    spark.conf.unset(CHECK)


def arrivals(spark: SparkSession, folder: Path, batches: list[list[Any]]) -> list[tuple[Any, ...]]:
    """What passes when each list is a micro-batch, read in the order of the list."""
    source, checkpoint = folder / "source", folder / "checkpoint"
    source.mkdir()
    for rows in batches:
        spark.createDataFrame(rows, COLUMNS).coalesce(1).write.mode("append").parquet(str(source))
        query = (
            spark.readStream.schema(COLUMNS)
            .parquet(str(source))
            .transform(select_first_arrivals, days=7, partitions=PARTITIONS, not_before=EPOCH)
            .writeStream.format("parquet")
            .option("path", str(folder / "out"))
            .option("checkpointLocation", str(checkpoint))
            .trigger(availableNow=True)
            .start()
        )
        assert query.awaitTermination(120)
    passed = spark.read.schema(COLUMNS).parquet(str(folder / "out"))
    return sorted((row.record_id, row.request) for row in passed.collect())


@pytest.mark.usefixtures("streams_of_jobs")
def test_the_lowest_time_partition_and_offset_passes_though_it_is_read_last(
    spark: SparkSession, tmp_path: Path
) -> None:
    later = NOON + timedelta(milliseconds=1)
    batch = [
        row
        for n in range(20)
        for row in (
            (f"time-{n}", later, 0, 0, "later"),
            (f"time-{n}", NOON, 2, 9, "first"),
            (f"partition-{n}", NOON, 1, 0, "later"),
            (f"partition-{n}", NOON, 0, 9, "first"),
            (f"offset-{n}", NOON, 1, 10, "later"),
            (f"offset-{n}", NOON, 1, 9, "first"),
        )
    ]

    passed = arrivals(spark, tmp_path, [batch])

    names = [f"{kind}-{n}" for kind in ("time", "partition", "offset") for n in range(20)]
    assert passed == [(name, "first") for name in sorted(names)]


@pytest.mark.usefixtures("streams_of_jobs")
def test_an_earlier_batch_wins_over_an_earlier_time(spark: SparkSession, tmp_path: Path) -> None:
    first = [("A", NOON, 0, 5, "in the first batch"), ("B", NOON, 0, 6, "in the first batch")]
    second = [("A", NOON - timedelta(days=1), 0, 1, "older"), ("C", NOON, 0, 7, "new")]

    passed = arrivals(spark, tmp_path, [first, second])

    assert passed == [("A", "in the first batch"), ("B", "in the first batch"), ("C", "new")]
