"""Pipeline *tickets*: topic `client_tickets` -> keyspace `support`, ticket aggregates.

Run it alone: `python -m spark_jobs.tickets --help`, or `spark-submit spark_jobs/tickets.py`.
"""

from __future__ import annotations

import sys
from pathlib import Path

if __package__ in {None, ""}:  # spark-submit of this file: make the project importable
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import StructType

from settings import Settings
from spark_jobs.aggregates import Aggregate, count, day, distinct
from spark_jobs.changes import BatchSummary
from spark_jobs.pipeline import Pipeline
from spark_jobs.run.command import main
from spark_jobs.targets import LINEAGE, FileSet, Snapshot, SqlTable, Table, Takes
from spark_jobs.transforms.routing import TEAMS
from spark_jobs.transforms.tickets import classify_tickets

KEYSPACE = "support"
COLUMNS = (
    "ticket_id",
    "client_id",
    "created_at",
    "request",
    "request_type",
    "priority",
    "assigned_team",
    *LINEAGE,
)

# Columns as readers of the files see them; the day's folder adds one more.
FILE_SCHEMA = (
    StructType()
    .add("ticket_id", "string")
    .add("client_id", "string")
    .add("created_at", "timestamp")
    .add("request", "string")
    .add("request_type", "string")
    .add("priority", "string")
    .add("assigned_team", "string")
)
URGENT = ("high", "critical")

DAY = day("created_at")
BY_TEAM = Aggregate("tickets_by_team", (DAY, "assigned_team"), {"count": count()})
BY_TYPE = Aggregate("tickets_by_type", (DAY, "request_type"), {"count": count()})
BY_PRIORITY = Aggregate("tickets_by_priority", (DAY, "priority"), {"count": count()})
METRICS = Aggregate(
    "ticket_metrics",
    (DAY,),
    {
        "total_tickets": count(),
        **{
            f"{request_type}_count": count(f"request_type = '{request_type}'")
            for request_type in TEAMS
        },
        "critical_priority_count": count("priority = 'critical'"),
        "unique_clients": distinct("client_id", parts=("clients_sketch",)),
    },
)


def _classify(messages: DataFrame, settings: Settings) -> DataFrame:
    return classify_tickets(messages)


def _select_tickets(records: DataFrame) -> DataFrame:
    return records.select(*COLUMNS)


def _select_tickets_by_team(records: DataFrame) -> DataFrame:
    return records.select(*COLUMNS, "created_hour")


def _select_for_files(records: DataFrame) -> DataFrame:
    return records.select(*(name for name in COLUMNS if name not in LINEAGE))


def _select_urgent_for_files(records: DataFrame) -> DataFrame:
    return _select_for_files(records).filter(F.col("priority").isin(*URGENT))


def _team_hours(summary: BatchSummary) -> int:
    """Most partitions of `tickets_by_team` in a batch: each hour of its days for each team."""
    days = sum(change.collection == METRICS.name for change in summary.changes)
    return days * 24 * len(TEAMS)


TICKETS = Pipeline(
    name="tickets",
    topic=lambda settings: settings.tickets_topic,
    tables=(
        Table(KEYSPACE, "tickets", _select_tickets),
        Table(
            *(KEYSPACE, "tickets_by_team", _select_tickets_by_team, _team_hours),
            derived={"created_hour": "date_trunc('HOUR', created_at)"},
        ),
    ),
    sql_tables=(SqlTable("tickets", _select_tickets, key=("ticket_id",)),),
    classify=_classify,
    hash_key_id=lambda settings: None,
    aggregates=(BY_TEAM, BY_TYPE, BY_PRIORITY, METRICS),
    file_sets=(
        FileSet("tickets_with_assignment", _select_for_files, FILE_SCHEMA, "created_at"),
        FileSet(
            *("high_priority_tickets", _select_urgent_for_files, FILE_SCHEMA, "created_at"),
            Takes(where="priority IN ('high', 'critical')"),
        ),
    ),
    snapshots=(
        Snapshot("metrics", METRICS, tuple(METRICS.measures)),
        Snapshot("tickets_by_type", BY_TYPE, ("request_type", "count"), "request_type"),
        Snapshot("tickets_by_priority", BY_PRIORITY, ("priority", "count"), "priority"),
    ),
)

if __name__ == "__main__":
    sys.exit(main([TICKETS]))
