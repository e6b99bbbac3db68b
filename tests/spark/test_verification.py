"""What `make verify` computes on Spark, on small frames: groups, unlike rows, dead letters."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from operations.verify.dead_letters import count_by_batch
from operations.verify.differences import Figure
from operations.verify.expected_aggregates import expected_aggregates
from operations.verify.messages import NO_BATCH, is_within, spans, with_duplicates
from operations.verify.on_spark import FEW_PLANS, MOST_PLAN_TEXT, batch_session, size_shuffles
from operations.verify.rows import differing_rows
from settings import Settings
from spark_jobs.profiles import PROFILES
from spark_jobs.session.session import INTERPRETED
from spark_jobs.sources.local_rows import local_rows
from spark_jobs.start_checks.fingerprint import fingerprint
from spark_jobs.state.ledger import Counts, Entry
from spark_jobs.tickets import TICKETS
from spark_jobs.transforms.deduplicate import BATCH_RANGES


def test_tickets_are_grouped_by_utc_day_with_exact_distinct_clients(spark: SparkSession) -> None:
    rows = [
        (datetime(2026, 11, 22, 0, 0, tzinfo=UTC), "Billing", "billing", "low", "C1"),
        (datetime(2026, 11, 22, 23, 59, 59, tzinfo=UTC), "Billing", "billing", "critical", "C1"),
        (datetime(2026, 11, 22, 5, 0, tzinfo=UTC), None, "account", "low", "C2"),
        (datetime(2026, 11, 23, 0, 0, tzinfo=UTC), "Billing", "billing", "low", "C1"),
        (None, "Billing", "billing", "low", "C1"),
    ]
    schema = (
        "created_at timestamp, assigned_team string, request_type string, priority string,"
        " client_id string"
    )

    groups = expected_aggregates(spark.createDataFrame(rows, schema), TICKETS.aggregates)

    assert {key: d["count"] for key, d in groups["tickets_by_team"].items()} == {
        "2026-11-22|Billing": 2,
        "2026-11-22|unknown": 1,
        "2026-11-23|Billing": 1,
        "unknown|Billing": 1,
    }
    assert groups["ticket_metrics"]["2026-11-22"] == {
        "day": "2026-11-22",
        "total_tickets": 3,
        "billing_count": 2,
        "technical_count": 0,
        "account_count": 1,
        "general_count": 0,
        "critical_priority_count": 1,
        "unique_clients": Figure(2, "estimate", 2.0, members=("C1", "C2")),
    }


def test_profiles_are_grouped_by_value_and_age_band(spark: SparkSession) -> None:
    rows = [("FR", "female", "a.b", 14), (None, None, "a.b", 65), ("FR", "female", None, None)]
    schema = "nationality string, gender string, domain_name string, age int"

    groups = expected_aggregates(spark.createDataFrame(rows, schema), PROFILES.aggregates)

    assert {key: d["count"] for key, d in groups["profiles_by_nationality"].items()} == {
        "FR": 2,
        "unknown": 1,
    }
    assert {key: d["count"] for key, d in groups["profiles_by_age_band"].items()} == {
        "14-17": 1,
        "65+": 1,
        "unknown": 1,
    }
    assert groups["profile_metrics"]["all"]["total_profiles"] == 3
    assert groups["profile_metrics"]["all"]["age_sum"].value == 79


def test_rows_that_are_missing_doubled_extra_or_changed_are_found(spark: SparkSession) -> None:
    schema = "ticket_id string, priority string, kafka_offset bigint"
    left = [("A", "low", 1), ("B", "low", 2), ("C", None, 3), ("D", "low", 4), ("E", None, 5)]
    right = [("A", "low", 1), ("C", "low", 9), ("D", "low", 4), ("D", "low", 4), ("E", None, 5)]

    differing = differing_rows(
        spark.createDataFrame(left, schema),
        spark.createDataFrame([*right, ("F", None, None)], schema),
        "ticket_id",
    )

    assert [(row.id, row.times, row.is_extra, row.columns) for row in differing.collect()] == [
        ("B", None, False, ["ticket_id", "priority", "kafka_offset"]),
        ("C", 1, False, ["priority", "kafka_offset"]),
        ("D", 2, False, []),
        ("F", 1, True, ["ticket_id"]),
    ]


def test_dead_letters_are_counted_once_for_the_batch_that_read_them(spark: SparkSession) -> None:
    # Batches of several thousand offsets, as the join goes by thousands.
    batches = [(0, 0, 0, 2500), (0, 1, 0, 0), (1, 0, 2500, 2600), (1, 1, 0, 7)]
    found = [(0, 0), (0, 999), (0, 2499), (0, 2499), (0, 2500), (1, 6), (1, 7), (None, None)]

    counted = count_by_batch(
        spark.createDataFrame(found, "kafka_partition int, kafka_offset bigint"),
        local_rows(spark, batches, BATCH_RANGES),
    )

    assert {(row[0], row[1]): tuple(row[2:]) for row in counted.collect()} == {
        # Batch and partition: messages, copies, the last offset.
        (0, 0): (3, 4, 2499),
        (1, 0): (1, 1, 2500),
        (1, 1): (1, 1, 6),
        (None, 1): (1, 1, 7),
        (None, None): (1, 1, None),
    }


def test_all_but_the_first_arrival_of_an_id_are_duplicates(spark: SparkSession) -> None:
    def at(second: int) -> datetime:
        return datetime(2026, 11, 22, 0, 0, second, tzinfo=UTC)

    rows: list[Any] = [
        # The earlier batch wins, then the earlier time, partition and offset.
        ("A", "valid", 1, at(0), 0, 9),
        ("A", "alert", 0, at(5), 1, 4),
        ("A", "valid", 0, at(5), 1, 3),
        ("A", "valid", 0, at(5), 2, 0),
        ("B", "valid", 1, at(7), 0, 8),
        ("0/1", "rejected", 0, at(1), 0, 1),
    ]
    schema = (
        "record_id string, outcome string, batch_id bigint, kafka_timestamp timestamp,"
        " kafka_partition int, kafka_offset bigint"
    )

    found = with_duplicates(spark.createDataFrame(rows, schema)).collect()

    assert {
        (row.record_id, row.outcome, row.kafka_partition, row.kafka_offset) for row in found
    } == {
        ("A", "duplicate", 0, 9),
        ("A", "duplicate", 1, 4),
        ("A", "valid", 1, 3),
        ("A", "duplicate", 2, 0),
        ("B", "valid", 0, 8),
        ("0/1", "rejected", 0, 1),
    }


def test_each_offset_belongs_to_the_first_batch_that_read_it() -> None:
    def entry(batch_id: int, start: int, end: int) -> Entry:
        return Entry("p", "t", "q", batch_id, {0: (start, end)}, Counts(), ())

    entries = [entry(0, 0, 10), entry(1, 5, 12), entry(2, 20, 30)]

    assert spans(entries, {0: (3, 25), 1: (0, 2)}) == [
        (0, 0, 3, 10),
        (1, 0, 10, 12),
        (NO_BATCH, 0, 12, 20),
        (2, 0, 20, 25),
        (NO_BATCH, 1, 0, 2),
    ]


@pytest.mark.parametrize(
    ("partition", "offset", "inside"),
    [(0, 5, True), (0, 9, True), (0, 10, False), (0, 4, False), (2, 5, False), (None, None, False)],
)
def test_coordinates_lie_within_ranges_or_not(
    spark: SparkSession, partition: int | None, offset: int | None, inside: bool
) -> None:
    schema = "kafka_partition int, kafka_offset bigint"
    row = spark.createDataFrame([(partition, offset)], schema).select(
        is_within({0: (5, 10), 1: (0, 3)})
    )

    assert row.first() == (inside,)


@pytest.mark.parametrize(("rows", "parts"), [(20_000, "1"), (20_001, "2"), (1_000_000, "10")])
def test_plans_of_few_rows_are_interpreted_and_those_of_many_compiled(
    spark: SparkSession, rows: int, parts: str
) -> None:
    own = batch_session(spark)
    for name in INTERPRETED | FEW_PLANS:
        own.conf.unset(name)

    size_shuffles(own, rows)

    assert own.conf.get("spark.sql.shuffle.partitions") == parts
    plan = own.range(3).selectExpr("id + 1 AS id").groupBy("id").count()._jdf.queryExecution()  # noqa: SLF001
    text = plan.executedPlan().toString()
    assert ("AdaptiveSparkPlan" in text) is (rows > 20_000)
    assert ("*(1)" in plan.sparkPlan().toString() or "AdaptiveSparkPlan" in text) is (rows > 20_000)


def test_sessions_that_cut_plans_short_identify_code_as_others_do(
    spark: SparkSession, tmp_path: Path
) -> None:
    """As text, a plan with cached data in it may fill the heap."""
    settings = Settings(millrace_home=tmp_path)
    own: Any = batch_session(spark)

    own.range(1).selectExpr(*(f"repeat('{n}', {n}) AS c{n}" for n in range(1000))).collect()

    executions = own._jsparkSession.sharedState().statusStore().executionsList()  # noqa: SLF001
    assert len(executions.last().physicalPlanDescription()) <= MOST_PLAN_TEXT + 100
    # A query's partitions are those of the session that runs it.
    expected = replace(fingerprint(TICKETS, settings, spark), partitions=1)
    assert fingerprint(TICKETS, settings, own) == expected
    with ThreadPoolExecutor() as pool:
        assert pool.submit(fingerprint, TICKETS, settings, own).result() == expected
