"""How a batch's rows are grouped for Cassandra; nothing is started."""

from __future__ import annotations

from collections import Counter

import pytest

from spark_jobs.aggregates import Aggregate
from spark_jobs.changes import BatchSummary, Change
from spark_jobs.profiles import PROFILES
from spark_jobs.sinks.cassandra import connector_options
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
