"""What the aggregates must hold: the GROUP BY over the stored rows, on Spark.

Independent of `spark_jobs.aggregates` and `spark_jobs.transforms.summarise`, which make the
documents, so that a fault there shows here. The driver collects one row per document, never the
stored rows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from spark_jobs.aggregates import PROFILE_COLLECTIONS, REQUEST_TYPES, TICKET_COLLECTIONS
from spark_jobs.transforms.age import AGE_BANDS

Document = dict[str, Any]
Row = Mapping[str, Any]
ExpectedAggregates = dict[str, dict[str, Document]]
"""Collection -> `_id` -> the fields that its document must have."""

UNKNOWN: Final = "unknown"
TICKET_LABELS: Final = tuple(TICKET_COLLECTIONS.values())


def group_tickets(tickets: DataFrame) -> ExpectedAggregates:
    """What the collections of tickets must hold.

    Columns in: `created_at`, `assigned_team`, `request_type`, `priority`, `client_id`.
    """
    by_day = tickets.select(
        F.coalesce(F.to_date("created_at").cast("string"), F.lit(UNKNOWN)).alias("day"),
        *(F.coalesce(F.col(name), F.lit(UNKNOWN)).alias(name) for name in TICKET_LABELS),
        "client_id",
    )
    counts = by_day.groupBy("day", *TICKET_LABELS).agg(F.count(F.lit(1)).alias("rows"))
    clients = by_day.groupBy("day").agg(F.count_distinct("client_id").alias("clients"))
    return ticket_documents(
        (row.asDict() for row in counts.collect()),
        {row.day: row.clients for row in clients.collect()},
    )


def ticket_documents(counts: Iterable[Row], clients: Mapping[str, int]) -> ExpectedAggregates:
    """Documents of all collections of tickets.

    Args:
        counts: Number of `rows` of each combination of `day`, team, type and priority.
        clients: Day -> number of its distinct clients.
    """
    found: ExpectedAggregates = {name: {} for name in (*TICKET_COLLECTIONS, "ticket_metrics")}
    metrics = found["ticket_metrics"]
    for row in counts:
        day, rows = row["day"], row["rows"]
        for collection, column in TICKET_COLLECTIONS.items():
            group = {"day": day, column: row[column], "count": 0}
            found[collection].setdefault(f"{day}|{row[column]}", group)["count"] += rows
        numbers = metrics.setdefault(day, _empty_metrics(day, clients[day]))
        numbers["total_tickets"] += rows
        numbers["critical_priority_count"] += rows if row["priority"] == "critical" else 0
        if row["request_type"] in REQUEST_TYPES:
            numbers[f"{row['request_type']}_count"] += rows
    return found


def _empty_metrics(day: str, clients: int) -> Document:
    names = ("total_tickets", *(f"{t}_count" for t in REQUEST_TYPES), "critical_priority_count")
    return {"day": day} | dict.fromkeys(names, 0) | {"unique_clients": clients}


def group_profiles(profiles: DataFrame) -> ExpectedAggregates:
    """What the collections of profiles must hold.

    Columns in: `nationality`, `gender`, `domain_name`, `age`.
    """
    values = profiles.select(
        "nationality", "gender", "domain_name", F.col("age").cast("string").alias("age")
    ).unpivot([], ["nationality", "gender", "domain_name", "age"], "dimension", "value")
    counts = values.groupBy("dimension", "value").agg(F.count(F.lit(1)).alias("rows"))
    return profile_documents(row.asDict() for row in counts.collect())


def profile_documents(counts: Iterable[Row]) -> ExpectedAggregates:
    """Documents of all collections of profiles.

    Args:
        counts: Number of `rows` of each `value` of each `dimension` (`nationality`, `gender`,
            `domain_name`, `age`); a value may be null.
    """
    by_value: dict[str, Counter[str]] = {name: Counter() for name in PROFILE_COLLECTIONS.values()}
    total = age_sum = 0
    for row in counts:
        name, value, rows = row["dimension"], row["value"], row["rows"]
        if name == "age":
            age = None if value is None else int(value)
            total += rows
            age_sum += rows * (age or 0)
            name, value = "age_band", _age_band(age)
        by_value[name][UNKNOWN if value is None else value] += rows
    found: ExpectedAggregates = {
        collection: {value: {column: value, "count": n} for value, n in by_value[column].items()}
        for collection, column in PROFILE_COLLECTIONS.items()
    }
    totals = {"total_profiles": total, "age_sum": age_sum, "average_age": age_sum / max(total, 1)}
    return found | {"profile_metrics": {"all": totals} if total else {}}


def _age_band(age: int | None) -> str:
    bands = (band for band, lowest in AGE_BANDS if age is not None and age >= lowest)
    return next(bands, UNKNOWN)


@dataclass(frozen=True)
class Grouping:
    """How a pipeline's rows are identified and grouped.

    Attributes:
        id_column: The record's own id.
        columns: What the grouping reads.
        group: Rows -> what the collections must hold.
    """

    id_column: str
    columns: tuple[str, ...]
    group: Callable[[DataFrame], ExpectedAggregates]


GROUPINGS: Final = {
    "tickets": Grouping("ticket_id", ("created_at", *TICKET_LABELS, "client_id"), group_tickets),
    "profiles": Grouping(
        "identifiant", ("nationality", "gender", "domain_name", "age"), group_profiles
    ),
}
