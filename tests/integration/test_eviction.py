"""Ids that deduplication remembers are read through now and then, not at the end of each batch."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from spark_jobs.session.session import deduplication_partitions
from spark_jobs.transforms.deduplicate import select_first_arrivals
from tests.support.builders import NOON

COLUMNS = "record_id string, kafka_timestamp timestamp, kafka_partition int, kafka_offset bigint"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
IN_A_MONTH = datetime.now(UTC) + timedelta(days=30)


class Stream:
    """A stream of ids through deduplication; each `take` is a micro-batch."""

    def __init__(self, spark: SparkSession, folder: Path) -> None:
        self.spark, self.folder, self.number = spark, folder, 0
        self.source = folder / "source"
        self.source.mkdir()

    def take(self, *ids: str, not_before: datetime = EPOCH) -> tuple[int, dict[str, int]]:
        """How many of the ids passed, and what the state says of the batch."""
        self.number += 1
        rows = [(each, NOON, 0, number) for number, each in enumerate(ids)]
        batch = self.spark.createDataFrame(rows, COLUMNS).coalesce(1)
        batch.write.mode("append").parquet(str(self.source))
        passed: list[int] = []
        query = (
            self.spark.readStream.schema(COLUMNS)
            .parquet(str(self.source))
            .transform(
                select_first_arrivals,
                days=7,
                partitions=deduplication_partitions(self.spark),
                not_before=not_before,
            )
            .writeStream.option("checkpointLocation", str(self.folder / "checkpoint"))
            .trigger(availableNow=True)
            .foreachBatch(lambda rows, _: passed.append(rows.count()))
            .start()
        )
        assert query.awaitTermination(120)
        (state,) = query.recentProgress[-1]["stateOperators"]
        return passed[-1], {**state["customMetrics"], "removed": state["numRowsRemoved"]}


def test_a_batch_does_not_read_all_remembered_ids(job_spark: SparkSession, tmp_path: Path) -> None:
    stream = Stream(job_spark, tmp_path)
    assert stream.take(*(f"id-{n}" for n in range(1000)))[0] == 1000

    passed, state = stream.take("id-7", "new")

    assert passed == 1
    assert state["rocksdbTotalBytesReadThroughIterator"] == 0


@pytest.mark.usefixtures("no_pause")
def test_ids_whose_time_is_over_are_forgotten(job_spark: SparkSession, tmp_path: Path) -> None:
    stream = Stream(job_spark, tmp_path)
    assert stream.take("A", "B")[0] == 2
    # The clock of this batch moves the watermark, by which the next one forgets.
    stream.take("C", not_before=IN_A_MONTH)

    _, state = stream.take("D", not_before=IN_A_MONTH)

    assert state["removed"] == 2
    assert stream.take("A", "C", not_before=IN_A_MONTH)[0] == 1
