"""Turns a micro-batch's summary rows into its counts and its changes to documents."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import datasketches

from spark_jobs.transforms.outcomes import STORED
from spark_jobs.transforms.summarise import CLIENT_SKETCH_LG_K

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Change:
    """What one micro-batch adds to one MongoDB document."""

    collection: str
    document_id: str
    labels: dict[str, str]
    increments: dict[str, int]
    client_sketch: bytes | None = None


@dataclass(frozen=True)
class BatchSummary:
    """Counts of one micro-batch after deduplication, and its changes to the aggregates."""

    outcomes: Counter[str]
    reasons: Counter[str]
    changes: list[Change] = field(default_factory=list)

    @property
    def stored(self) -> int:
        """Number of records that go to the sinks."""
        return sum(self.outcomes[outcome] for outcome in STORED)


TICKET_COLLECTIONS = {
    "tickets_by_team": "assigned_team",
    "tickets_by_type": "request_type",
    "tickets_by_priority": "priority",
}
PROFILE_COLLECTIONS = {
    "profiles_by_nationality": "nationality",
    "profiles_by_gender": "gender",
    "profiles_by_age_band": "age_band",
    "profiles_by_domain": "domain_name",
}
REQUEST_TYPES = ("billing", "technical", "account", "general")
TICKET_METRICS = (
    "total_tickets",
    *(f"{request_type}_count" for request_type in REQUEST_TYPES),
    "critical_priority_count",
)


def roll_up_tickets(rows: Iterable[Row]) -> BatchSummary:
    """Counts and changes from the rows of `summarise_tickets`."""
    outcomes: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    by_value: Counter[tuple[str, str, str]] = Counter()
    metrics: defaultdict[str, Counter[str]] = defaultdict(Counter)
    sketches: defaultdict[str, list[bytes]] = defaultdict(list)
    for row in rows:
        records = int(row["records"])
        outcomes[row["outcome"]] += records
        for reason in row["reasons"]:
            reasons[reason] += records
        if row["outcome"] != "valid":
            continue
        day = row["day"]
        for collection, column in TICKET_COLLECTIONS.items():
            by_value[collection, day, row[column]] += records
        metrics[day]["total_tickets"] += records
        metrics[day][f"{row['request_type']}_count"] += records
        metrics[day]["critical_priority_count"] += records * (row["priority"] == "critical")
        sketches[day].append(bytes(row["clients"]))
    changes = [
        Change(
            collection,
            f"{day}|{value}",
            {"day": day, TICKET_COLLECTIONS[collection]: value},
            {"count": count},
        )
        for (collection, day, value), count in sorted(by_value.items())
    ]
    changes += [
        Change(
            "ticket_metrics",
            day,
            {"day": day},
            {name: metrics[day][name] for name in TICKET_METRICS},
            merge_sketches(sketches[day]),
        )
        for day in sorted(metrics)
    ]
    return BatchSummary(outcomes, reasons, changes)


def roll_up_profiles(rows: Iterable[Row]) -> BatchSummary:
    """Counts and changes from the rows of `summarise_profiles`."""
    outcomes: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    age_sum = 0
    counts: dict[tuple[str, str], int] = {}
    for row in rows:
        dimension, value, records = row["dimension"], row["value"], int(row["records"])
        if dimension == "outcome":
            outcomes[value] += records
            age_sum += int(row["age_sum"] or 0) if value == "valid" else 0
        elif dimension == "reason":
            reasons[value] += records
        else:
            counts[dimension, value] = records
    changes = [
        Change(collection, value, {dimension: value}, {"count": records})
        for collection, dimension in PROFILE_COLLECTIONS.items()
        for (name, value), records in sorted(counts.items())
        if name == dimension
    ]
    if outcomes["valid"]:
        totals = {"total_profiles": outcomes["valid"], "age_sum": age_sum}
        changes.append(Change("profile_metrics", "all", {}, totals))
    return BatchSummary(outcomes, reasons, changes)


def roll_up_customers(rows: Iterable[Row]) -> BatchSummary:
    """Counts from the rows of `summarise_customers`; no document changes."""
    outcomes: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    for row in rows:
        outcomes[row["outcome"]] += int(row["records"])
        for reason in row["reasons"]:
            reasons[reason] += int(row["records"])
    return BatchSummary(outcomes, reasons)


def merge_sketches(sketches: Iterable[bytes | None]) -> bytes:
    """One HyperLogLog sketch of all values in the given sketches."""
    union = datasketches.hll_union(CLIENT_SKETCH_LG_K)
    for sketch in sketches:
        if sketch is not None:
            union.update(datasketches.hll_sketch.deserialize(sketch))
    result = union.get_result(datasketches.tgt_hll_type.HLL_8)
    return bytes(result.serialize_compact())


def estimate(sketch: bytes) -> int:
    """Estimated number of distinct values in a sketch, rounded."""
    distinct: float = datasketches.hll_sketch.deserialize(sketch).get_estimate()
    return round(distinct)
