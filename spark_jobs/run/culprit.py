"""Finds the message that makes a batch fail, which Spark does not name, by bisecting the batch."""

from __future__ import annotations

from py4j.protocol import Py4JError
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from settings import Settings
from spark_jobs.pipeline import Pipeline
from spark_jobs.sources.kafka import OffsetRanges, read_messages
from spark_jobs.state.store_errors import OUTAGE_PATTERN


def first_failing(
    spark: SparkSession, settings: Settings, pipeline: Pipeline, ranges: OffsetRanges
) -> str | None:
    """The first message that cannot be read or classified, as `topic/partition/offset`.

    None if all can, or if Spark or the broker is down. Reads the batch about twice.
    """
    topic = pipeline.topic(settings)

    def fails(partition: int, start: int, end: int) -> bool:
        messages = read_messages(spark, settings, topic, {partition: (start, end)})
        try:
            classified = messages.transform(pipeline.classify, settings)
            classified.write.format("noop").mode("overwrite").save()
        except (Py4JError, PySparkException) as error:
            if OUTAGE_PATTERN.search(str(error)):
                raise
            return True
        return False

    try:
        # A dead session would fail for every message.
        spark.range(1).count()
        for partition, (start, end) in sorted(ranges.items()):
            if start < end and fails(partition, start, end):
                while end - start > 1:
                    middle = (start + end) // 2
                    start, end = (
                        (start, middle) if fails(partition, start, middle) else (middle, end)
                    )
                return f"{topic}/{partition}/{start}"
    except (Py4JError, PySparkException):
        pass
    return None
