"""Checks that each snapshot file equals the GROUP BY over all stored records."""

from __future__ import annotations

from collections import Counter
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from operations.verify.differences import differences
from operations.verify.expected_aggregates import GROUPINGS, Document, ExpectedAggregates
from operations.verify.sink_contents import SinkReading

WHOLE = "all"
# Snapshot -> the collection whose documents add up to it, and the column it is grouped by.
SOURCES = {
    "metrics": ("ticket_metrics", None),
    "tickets_by_type": ("tickets_by_type", "request_type"),
    "tickets_by_priority": ("tickets_by_priority", "priority"),
}


def totals_faults(
    reading: SinkReading, records: DataFrame, source: str
) -> tuple[list[str], list[str]]:
    """Faults and notes about the totals that sinks store."""
    faults: list[str] = []
    notes: list[str] = []
    for sink in reading.sinks:
        if (totals := sink.totals()) is None:
            continue
        if totals.last_batch is not None and totals.last_batch > reading.last_batch:
            last = totals.last_batch
            notes.append(
                f"{sink.store}: the snapshots hold batch {last}, which is unfinished: not checked"
            )
            continue
        aggregates = GROUPINGS[reading.pipeline.name].group(records)
        clients: Any = records.agg(F.count_distinct("client_id").alias("clients")).first()
        for name, place, rows in totals.tables:
            expected = expected_rows(name, aggregates, clients.clients)
            column = SOURCES[name][1]
            found = [row | {"_id": row[column] if column else WHOLE} for row in rows]
            faults += differences(f"{sink.store} {place}", source, expected, found)
    return faults, notes


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
