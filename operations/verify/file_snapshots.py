"""Checks that each snapshot file equals the GROUP BY over all stored records."""

from __future__ import annotations

from collections import Counter
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from operations.verify.differences import differences
from operations.verify.expected_aggregates import GROUPINGS, Document, ExpectedAggregates
from operations.verify.sink_contents import SinkReading
from spark_jobs.sinks.files.reading import applied_batch, read_snapshot

WHOLE = "all"
# Snapshot -> the collection whose documents add up to it, and the column it is grouped by.
SOURCES = {
    "metrics": ("ticket_metrics", None),
    "tickets_by_type": ("tickets_by_type", "request_type"),
    "tickets_by_priority": ("tickets_by_priority", "priority"),
}


def snapshot_faults(
    reading: SinkReading, records: DataFrame | None, source: str
) -> tuple[list[str], list[str]]:
    """Faults and notes of a pipeline's snapshots."""
    pipeline, settings = reading.pipeline, reading.settings
    if "files" not in settings.sinks or not pipeline.snapshots or records is None:
        return [], []
    applied = applied_batch(reading.spark, settings, pipeline)
    if applied is not None and applied > reading.last_batch:
        return [], [f"files: the snapshots hold batch {applied}, which is unfinished: not checked"]
    aggregates = GROUPINGS[pipeline.name].group(records)
    clients: Any = records.agg(F.count_distinct("client_id").alias("clients")).first()
    faults = []
    for snapshot in pipeline.snapshots:
        expected = expected_rows(snapshot.name, aggregates, clients.clients)
        column = SOURCES[snapshot.name][1]
        for form in settings.output_format:
            rows = [
                row.asDict()
                for row in read_snapshot(reading.spark, settings, snapshot, form).collect()
            ]
            found = [row | {"_id": row[column] if column else WHOLE} for row in rows]
            faults += differences(f"files {snapshot.name} ({form})", source, expected, found)
    return faults, []


def expected_rows(name: str, aggregates: ExpectedAggregates, clients: int) -> dict[str, Document]:
    """The rows that a snapshot must hold, by the value it is grouped by.

    Args:
        name: The snapshot's name.
        aggregates: What the ticket collections must hold, by day.
        clients: Number of distinct clients over all days.
    """
    collection, column = SOURCES[name]
    totals: dict[str, Counter[str]] = {}
    for document in aggregates[collection].values():
        key = document[column] if column else WHOLE
        numbers = {k: v for k, v in document.items() if not isinstance(v, str)}
        totals.setdefault(key, Counter()).update(numbers)
    rows = {key: ({column: key} if column else {}) | dict(sums) for key, sums in totals.items()}
    if column is None:
        for row in rows.values():
            row["unique_clients"] = clients
    return rows
