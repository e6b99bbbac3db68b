"""Records of every type, and the documents that a summary of them gives."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession

from spark_jobs.aggregates import Aggregate, Measure
from spark_jobs.changes import BatchSummary, Change, derived, roll_up
from spark_jobs.transforms.summarise import combine, summarise

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
    """The summary by document, which that by combinations must equal."""
    one, other = (
        roll_up((row.asDict() for row in way(records, aggregates).collect()), aggregates)
        for way in (summarise, combine)
    )
    assert (one.outcomes, one.reasons) == (other.outcomes, other.reasons)
    assert [*map(rounded, shown(one.changes))] == [*map(rounded, shown(other.changes))]
    return one


def rounded(found: tuple[str, str, dict[str, Any]]) -> Any:
    """The same with doubles that do not depend on the order in which they were added."""
    *place, document = found
    return place, {k: pytest.approx(v) if isinstance(v, float) else v for k, v in document.items()}


def shown(changes: Iterable[Change]) -> list[tuple[str, str, dict[str, Any]]]:
    """Collection, `_id` and the fields that users see, after one batch."""
    found = []
    for change in changes:
        hidden = {*change.aggregate.sketches.values()}
        stored = {k: v for k, v in change.values.items() if k not in hidden}
        measures = derived(change.aggregate, change.values)
        document = change.labels | stored | measures
        found.append((change.collection, change.document_id, document))
    return found


def documents(records: DataFrame, *aggregates: Aggregate) -> dict[str, Documents]:
    """Collection -> `_id` -> fields that users see, after one batch."""
    found: dict[str, Documents] = {aggregate.name: {} for aggregate in aggregates}
    for collection, name, document in shown(summary_of(records, *aggregates).changes):
        found[collection][name] = document
    return found


def whole(measures: dict[str, Measure], where: str | None = None) -> Aggregate:
    return Aggregate("whole", (), measures, where)
