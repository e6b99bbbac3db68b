"""How a batch's rows are grouped for Cassandra; nothing is started."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from operations.doctor.store_checks import said_of_its_log
from settings import Settings
from spark_jobs.aggregates import Aggregate
from spark_jobs.changes import BatchSummary, Change
from spark_jobs.profiles import PROFILES
from spark_jobs.sinks.cassandra import connector_options
from spark_jobs.sinks.cassandra_log import lag_seconds
from spark_jobs.targets import Table
from spark_jobs.tickets import TICKETS

BY_TEAM = TICKETS.tables[1]
BY_NATIONALITY = PROFILES.tables[1]


def summary(stored: int, collection: str, documents: int) -> BatchSummary:
    changes = [Change(collection, str(n), {}, {}, Aggregate(collection)) for n in range(documents)]
    return BatchSummary(Counter(valid=stored, rejected=9), Counter(), changes)


@pytest.mark.parametrize(
    ("table", "collection", "documents", "stored", "grouping"),
    [
        # A day has 24 hours of 4 teams: 96 partitions, each with 20 rows or more.
        (BY_TEAM, "ticket_metrics", 1, 1920, "partition"),
        (BY_TEAM, "ticket_metrics", 1, 1919, "none"),
        # 6 days are 576 partitions: more than lie open at once.
        (BY_TEAM, "ticket_metrics", 5, 100_000, "partition"),
        (BY_TEAM, "ticket_metrics", 6, 100_000, "none"),
        # 17 nations are 272 partitions.
        (BY_NATIONALITY, "profiles_by_nationality", 17, 5440, "partition"),
        (BY_NATIONALITY, "profiles_by_nationality", 17, 5439, "none"),
        # A repair has no summary.
        (BY_TEAM, "ticket_metrics", 0, 100_000, "none"),
        # Each row is a partition of its own.
        (TICKETS.tables[0], "ticket_metrics", 1, 100_000, "none"),
    ],
)
def test_rows_are_grouped_by_partition_where_many_lie_in_few(
    table: Table, collection: str, documents: int, stored: int, grouping: str
) -> None:
    options = connector_options(table, summary(stored, collection, documents))

    assert options["spark.cassandra.output.batch.grouping.key"] == grouping
    assert options["spark.cassandra.output.ignoreNulls"] == "true"


def test_batches_of_several_partitions_stay_small_enough_for_nearly_empty_rows() -> None:
    small = connector_options(BY_TEAM, summary(10, "ticket_metrics", 1))
    large = connector_options(BY_TEAM, summary(100_000, "ticket_metrics", 1))

    sizes = [options["spark.cassandra.output.batch.size.bytes"] for options in (small, large)]
    assert sizes == ["8192", "16384"]


@pytest.mark.parametrize(
    ("sync", "period", "lag_block", "seconds"),
    [
        ("periodic", "20", None, 0.03),
        ("periodic", "20", "50", 0.05),
        ("periodic", "10000", None, 15.0),
        # These sync before they confirm, and name a period all the same.
        ("batch", "20", None, 0),
        ("group", "0", None, 0),
    ],
)
def test_a_kill_may_lose_what_was_confirmed_since_the_last_sync(
    sync: str, period: str, lag_block: str | None, seconds: float
) -> None:
    settings = {
        "commitlog_sync": sync,
        "commitlog_sync_period_in_ms": period,
        "periodic_commitlog_sync_lag_block_in_ms": lag_block,
    }

    assert lag_seconds(settings) == pytest.approx(seconds)


@pytest.mark.parametrize("settings", [{}, {"commitlog_sync": "periodic"}])
def test_node_that_does_not_say_how_it_syncs_is_not_one_that_needs_no_wait(
    settings: dict[str, str | None],
) -> None:
    assert lag_seconds(settings) is None


class OneNode:
    """Answers any query with these rows."""

    def __init__(self, **settings: str | None) -> None:
        self.rows = [{"name": name, "value": value} for name, value in settings.items()]

    def execute(self, query: str) -> list[dict[str, str | None]]:
        return self.rows


@pytest.mark.parametrize(
    ("period", "nodes", "copies", "remark"),
    [
        ("20", 1, 1, ""),
        ("10000", 1, 1, "a crash may lose rows of the last 15 s"),
        (None, 1, 1, "GRANT SELECT ON system_views.settings"),
        ("20", 3, 1, "one copy on 3 nodes"),
        ("10000", 3, 3, ""),
    ],
)
def test_doctor_says_where_a_crash_may_lose_confirmed_rows(
    period: str | None, nodes: int, copies: int, remark: str
) -> None:
    session: Any = OneNode(commitlog_sync="periodic", commitlog_sync_period_in_ms=period)

    said = said_of_its_log(session, nodes, Settings(cassandra_replication_factor=copies))

    assert remark in said
    assert bool(said) is bool(remark)
