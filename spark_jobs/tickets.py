"""Pipeline *tickets*: topic `client_tickets` -> keyspace `support`, ticket aggregates.

Run it alone: `python -m spark_jobs.tickets --help`, or `spark-submit spark_jobs/tickets.py`.
"""

from __future__ import annotations

import sys
from pathlib import Path

if __package__ in {None, ""}:  # spark-submit of this file: make the project importable
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from pyspark.sql import DataFrame

from schemas.contract import load_contract
from spark_jobs.aggregates import Aggregate, count, day, distinct
from spark_jobs.changes import BatchSummary
from spark_jobs.pipeline import Input, Pipeline
from spark_jobs.run.command import main
from spark_jobs.targets import FileSet, Snapshot, SqlTable, Table
from spark_jobs.transforms.pseudonymise import Digests
from spark_jobs.transforms.routing import TEAMS
from spark_jobs.transforms.tickets import classify_tickets

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


def _classify(messages: DataFrame, digests: Digests | None) -> DataFrame:
    return classify_tickets(messages)


def _team_hours(summary: BatchSummary) -> int:
    """Most partitions of `tickets_by_team` in a batch: each hour of its days for each team."""
    days = sum(change.collection == METRICS.name for change in summary.changes)
    return days * 24 * len(TEAMS)


TICKETS = Pipeline(
    name="tickets",
    contract=load_contract("ticket"),
    id_columns=("ticket_id",),
    clear=("assigned_team",),
    made_by=Input("producers.tickets"),
    classify_by=_classify,
    tables=(
        Table("support.tickets"),
        Table(
            "support.tickets_by_team",
            _team_hours,
            derived={"created_hour": "date_trunc('HOUR', created_at)"},
            spread={"assigned_team": len(TEAMS)},
        ),
    ),
    sql_tables=(SqlTable("tickets"),),
    file_sets=(
        FileSet("tickets_with_assignment", "created_at"),
        FileSet("high_priority_tickets", "created_at", where="priority IN ('high', 'critical')"),
    ),
    snapshots=(
        Snapshot("metrics", METRICS, tuple(METRICS.measures)),
        Snapshot("tickets_by_type", BY_TYPE, ("request_type", "count"), "request_type"),
        Snapshot("tickets_by_priority", BY_PRIORITY, ("priority", "count"), "priority"),
    ),
    aggregates=(BY_TEAM, BY_TYPE, BY_PRIORITY, METRICS),
)

if __name__ == "__main__":
    sys.exit(main([TICKETS]))
