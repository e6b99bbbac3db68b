"""Records of every type, and the documents that a summary of them gives."""

from __future__ import annotations

from typing import Any

from pyspark.sql import DataFrame, SparkSession

from spark_jobs.aggregates import Aggregate, Measure
from spark_jobs.changes import BatchSummary, derived, roll_up
from spark_jobs.transforms.summarise import summarise

SCHEMA = (
    "outcome string, reasons array<string>, at timestamp, on date, country string, site int,"
    " is_open boolean, units int, big bigint, amount decimal(12,2), long decimal(24,4),"
    " level double, customer string"
)
NULLS = dict.fromkeys(
    ("at", "on", "country", "site", "is_open", "units", "big", "amount", "long", "level")
)
Documents = dict[str, dict[str, Any]]


def records_of(spark: SparkSession, *records: dict[str, Any]) -> DataFrame:
    """A frame of records; a column that is not given is null."""
    defaults = {"outcome": "valid", "reasons": [], **NULLS, "customer": None}
    return spark.createDataFrame([tuple((defaults | r).values()) for r in records], SCHEMA)


def summary_of(records: DataFrame, *aggregates: Aggregate) -> BatchSummary:
    collected = summarise(records, aggregates).collect()
    return roll_up((row.asDict() for row in collected), aggregates)


def documents(records: DataFrame, *aggregates: Aggregate) -> dict[str, Documents]:
    """Collection -> `_id` -> fields that users see, after one batch."""
    found: dict[str, Documents] = {aggregate.name: {} for aggregate in aggregates}
    for change in summary_of(records, *aggregates).changes:
        hidden = {*change.aggregate.sketches.values()}
        stored = {k: v for k, v in change.values.items() if k not in hidden}
        measures = derived(change.aggregate, change.values)
        found[change.collection][change.document_id] = change.labels | stored | measures
    return found


def whole(measures: dict[str, Measure], where: str | None = None) -> Aggregate:
    return Aggregate("whole", (), measures, where)
