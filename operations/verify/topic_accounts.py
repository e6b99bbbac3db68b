"""Compares topics of forwarded records with the ledger: every record once, copies aside."""

from __future__ import annotations

from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from operations.pipelines import topic_offsets
from operations.verify.account import StoreCount
from operations.verify.arrivals import is_within
from operations.verify.differences import named
from operations.verify.sink_contents import SinkReading, Wanted
from spark_jobs.sources.kafka import read_origins
from spark_jobs.targets import PLACE


def account_of_topics(
    reading: SinkReading, records: DataFrame | None
) -> tuple[list[StoreCount], list[str]]:
    """The numbers of each topic, and what differs; nothing for a pipeline without topics.

    Args:
        reading: The pipeline, and what is confirmed.
        records: The stored records of confirmed batches; None if they are no longer known.
    """
    entries, settings = reading.snapshot.entries, reading.settings
    written = entries[-1].sinks if entries else ()
    if not any(s.may_repeat and s.name in written for s in reading.sinks):
        return [], []
    counts = reading.snapshot.counts
    stores: list[StoreCount] = []
    faults: list[str] = []
    for name, topic in reading.pipeline.forward_topics(settings).items():
        wanted = Wanted(topic.takes)
        origins = _origins(reading, name)
        until = {p: (0, end) for p, end in reading.snapshot.read_until.items()}
        judged = origins.filter(is_within(until)).distinct()
        found = judged.count()
        places = None if records is None else records.filter(wanted.records).select(*PLACE)
        expected = wanted.booked(counts)
        if expected is None:
            expected = found if places is None else places.count()
        numbers = (origins.count(), found, expected)
        stores.append(StoreCount("Kafka", name, "messages", *numbers, "distinct records"))
        if found != expected and places is not None:
            faults += _names(name, reading.pipeline.topic(settings), places, judged)
    return stores, faults


def _origins(reading: SinkReading, name: str) -> DataFrame:
    """Source coordinates of the messages on a topic, copies included."""
    ranges = topic_offsets(reading.settings, name)
    own = F.col("source_topic") == reading.pipeline.topic(reading.settings)
    return (
        read_origins(reading.spark, reading.settings, name, ranges)
        .filter(own)
        .select(
            F.col("source_partition").alias("kafka_partition"),
            F.col("source_offset").alias("kafka_offset"),
        )
    )


def _names(name: str, source: str, wanted: DataFrame, found: DataFrame) -> list[str]:
    missing = wanted.exceptAll(found).select("*", F.lit(True).alias("is_missing"))
    extra = found.exceptAll(wanted).select("*", F.lit(False).alias("is_missing"))

    def words(row: Any) -> str:
        message = f"`{source}/{row.kafka_partition}/{row.kafka_offset}`"
        return f"{message} is missing" if row.is_missing else f"{message} does not belong there"

    return named(f"Kafka {name}", missing.union(extra).orderBy(*PLACE), words)
