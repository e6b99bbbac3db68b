"""The summary of a micro-batch, for any aggregates."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from operations.verify.differences import differences
from operations.verify.expected_aggregates import expected_aggregates
from spark_jobs.aggregates import (
    Aggregate,
    Bands,
    average,
    band,
    count,
    day,
    distinct,
    hour,
    maximum,
    minimum,
    total,
)
from spark_jobs.changes import merged
from spark_jobs.tickets import TICKETS
from spark_jobs.transforms.age import AGE_BANDS
from spark_jobs.transforms.summarise import combine, summarise
from spark_jobs.transforms.tickets import classify_tickets
from tests.support.builders import ticket
from tests.support.summaries import documents, summary_of, whole

Rows = Callable[..., DataFrame]


@pytest.fixture(params=["UTC", "America/New_York"])
def session_zone(request: pytest.FixtureRequest, spark: SparkSession) -> Iterator[str]:
    before = spark.conf.get("spark.sql.session.timeZone")
    spark.conf.set("spark.sql.session.timeZone", request.param)
    yield request.param
    spark.conf.set("spark.sql.session.timeZone", str(before))


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


MEASURES = [
    (count(), 4),
    (count("units > 0"), 1),
    (count("units IS NULL"), 1),
    (total("units"), 2_147_483_647 - 5 + 0),
    (total("big"), 3 * (2**63 - 1)),
    (total("amount"), Decimal("-9999999989.98")),
    (total("long"), Decimal("199999999999999999999.9998")),
    (total("amount", "units < 0"), Decimal("10.01")),
    (total("units", "country = 'nowhere'"), 0),
    (minimum("units"), -5),
    (maximum("units"), 2_147_483_647),
    (minimum("amount"), Decimal("-9999999999.99")),
    (maximum("amount"), Decimal("10.01")),
    (minimum("level"), -0.5),
    (maximum("level"), 1e300),
    (minimum("country"), "DE"),
    (maximum("country"), "été"),
    (minimum("on"), "1900-01-01"),
    (maximum("on"), "2026-11-22"),
    (minimum("at"), at("1900-01-01T00:00:00Z")),
    (maximum("at"), at("2026-11-22T23:59:59.999Z")),
    (minimum("units", "country = 'nowhere'"), None),
    (maximum("at", "country = 'nowhere'"), None),
    (average("big"), float(2**63 - 1)),
    (average("amount"), Decimal("-3333333329.993333333333333333333333")),
    (average("amount", "units = -5"), Decimal("10.01")),
    (average("level", "level < 1"), 0.0),
    (average("units", "country = 'nowhere'"), None),
    (distinct("country"), 3),
    (distinct("units"), 3),
    (distinct("amount"), 3),
    (distinct("is_open"), 2),
    (distinct("at"), 2),
    (distinct("country", "units > 0"), 1),
    (distinct("country", "country = 'nowhere'"), 0),
]


def test_measures_are_computed_over_values_that_are_not_null(rows: Rows, session_zone: str) -> None:
    largest, nearly = 2**63 - 1, Decimal("99999999999999999999.9999")
    records = rows(
        {
            **{"units": 2_147_483_647, "big": largest, "amount": None, "long": nearly},
            **{"level": 0.5, "country": "FR", "is_open": True},
            **{"at": at("2026-11-22T23:59:59.999Z"), "on": date(2026, 11, 22)},
        },
        {
            **{"units": -5, "big": largest, "amount": Decimal("10.01"), "long": nearly},
            **{"level": -0.5, "country": "été", "is_open": False},
            **{"at": at("1900-01-01T00:00:00Z"), "on": date(1900, 1, 1)},
        },
        {"units": 0, "big": largest, "amount": Decimal("-9999999999.99"), "country": "DE"},
        {"amount": Decimal("0.00"), "level": 1e300},
    )
    every = whole({f"m{n}": measure for n, (measure, _) in enumerate(MEASURES)})

    found = documents(records, every)["whole"]["all"]

    for n, (measure, value) in enumerate(MEASURES):
        assert (measure, found[f"m{n}"]) == (measure, value)
        assert type(found[f"m{n}"]) is type(value), measure
    expected = expected_aggregates(records, [every])["whole"]
    assert differences("", "", expected, [found | {"_id": "all"}]) == []


def test_records_are_grouped_by_utc_day_and_hour_whatever_the_session_says(
    rows: Rows, session_zone: str
) -> None:
    times = (
        "2026-11-22T00:00:00Z",
        "2026-11-22T23:59:59.999Z",
        "2026-11-23T00:00:00Z",
        "2026-11-22T23:30:00-05:00",
        "1969-12-31T23:59:59.999Z",
        "9999-12-31T23:59:59.999Z",
    )
    records = rows(*({"at": at(time)} for time in times), {})
    by_day = Aggregate("by_day", (day("at"),), {"count": count()})
    by_hour = Aggregate("by_hour", (hour("at"),), {"count": count()})

    found = documents(records, by_day, by_hour)

    assert {name: d["count"] for name, d in found["by_day"].items()} == {
        "1969-12-31": 1,
        "2026-11-22": 2,
        "2026-11-23": 2,
        "9999-12-31": 1,
        "unknown": 1,
    }
    assert {name: d["count"] for name, d in found["by_hour"].items()} == {
        "1969-12-31T23": 1,
        "2026-11-22T00": 1,
        "2026-11-22T23": 1,
        "2026-11-23T00": 1,
        "2026-11-23T04": 1,
        "9999-12-31T23": 1,
        "unknown": 1,
    }
    assert found["by_hour"]["2026-11-22T00"]["hour"] == "2026-11-22T00"


def test_dimensions_keep_integers_and_booleans_and_turn_all_else_into_text(rows: Rows) -> None:
    records = rows(
        {"site": -1, "is_open": True, "amount": Decimal("1.50"), "on": date(2026, 1, 2)},
        {"country": "unknown"},
        {},
    )
    names = ("site", "is_open", "amount", "on", "country")
    aggregates = [Aggregate(name, (name,), {"count": count()}) for name in names]

    found = documents(records, *aggregates)

    assert found == {
        "site": {
            "-1": {"site": -1, "count": 1},
            "unknown": {"site": "unknown", "count": 2},
        },
        "is_open": {
            "true": {"is_open": True, "count": 1},
            "unknown": {"is_open": "unknown", "count": 2},
        },
        "amount": {
            "1.50": {"amount": "1.50", "count": 1},
            "unknown": {"amount": "unknown", "count": 2},
        },
        "on": {
            "2026-01-02": {"on": "2026-01-02", "count": 1},
            "unknown": {"on": "unknown", "count": 2},
        },
        "country": {"unknown": {"country": "unknown", "count": 3}},
    }


@pytest.mark.parametrize("bands", [AGE_BANDS, AGE_BANDS[::-1]], ids=["falling", "rising"])
def test_bands_of_ages_meet_without_gap_in_any_order(rows: Rows, bands: Bands) -> None:
    expected: dict[str, set[int | None]] = {
        "unknown": {None, -1, 13},
        "14-17": {14, 17},
        "18-24": {18, 24},
        "25-34": {25, 34},
        "35-44": {35, 44},
        "45-54": {45, 54},
        "55-64": {55, 64},
        "65+": {65, 126},
    }
    records = rows(*({"units": age} for ages in expected.values() for age in ages))
    by_band = Aggregate("by_band", (band("units", bands),), {"count": count()})
    found = documents(records, by_band)

    assert {name: d["count"] for name, d in found["by_band"].items()} == {
        name: len(ages) for name, ages in expected.items()
    }
    assert found["by_band"]["65+"] == {"units_band": "65+", "count": 2}
    assert expected_aggregates(records, [by_band]) == found


def test_records_that_are_not_stored_count_by_outcome_and_reason_alone(rows: Rows) -> None:
    records = rows(
        {"country": "FR", "units": 1},
        {"outcome": "rejected", "reasons": ["missing_id", "invalid_at"], "units": 10},
        {"outcome": "rejected", "reasons": ["missing_id"], "units": 100},
        {"outcome": "filtered", "country": "FR", "units": 1000},
        # Alerts are stored, with their reasons.
        {"outcome": "alert", "reasons": ["missing_name"], "country": "FR", "units": 10_000},
    )
    units = Aggregate("units", ("country",), {"count": count(), "units": total("units")})

    summary = summary_of(records, units)

    assert summary.outcomes == {"valid": 1, "rejected": 2, "filtered": 1, "alert": 1}
    assert summary.reasons == {"missing_id": 2, "invalid_at": 1}
    assert [(c.document_id, c.values) for c in summary.changes] == [
        ("FR", {"count": 2, "units": 10_001})
    ]


def test_pipeline_without_aggregates_has_outcomes_and_reasons(rows: Rows) -> None:
    records = rows({}, {}, {"outcome": "rejected", "reasons": ["missing_id"]})

    summary = summary_of(records)

    assert (summary.outcomes, summary.reasons) == ({"valid": 2, "rejected": 1}, {"missing_id": 1})
    assert summary.changes == []


def test_empty_batch_has_neither_counts_nor_changes(rows: Rows) -> None:
    summary = summary_of(rows(), whole({"count": count(), "clients": distinct("customer")}))

    assert (summary.stored, summary.changes) == (0, [])


def test_aggregate_with_a_condition_has_no_document_for_a_group_without_such_records(
    rows: Rows,
) -> None:
    records = rows(
        {"country": "FR", "units": 5}, {"country": "FR", "units": 6}, {"country": "DE", "units": 1}
    )
    large = Aggregate("large", ("country",), {"count": count("units > 5")}, "units >= 5 OR false")
    every = Aggregate("every", ("country",), {"count": count("units > 5")})

    assert documents(records, large, every) == {
        "large": {"FR": {"country": "FR", "count": 1}},
        "every": {"FR": {"country": "FR", "count": 1}, "DE": {"country": "DE", "count": 0}},
    }
    assert expected_aggregates(records, [large, every]) == documents(records, large, every)


def test_texts_that_hold_the_separator_do_not_share_a_document(rows: Rows) -> None:
    records = rows(
        {"country": "a|b", "customer": "c"},
        {"country": "a", "customer": "b|c"},
        {"country": "a\\", "customer": "b"},
    )
    pairs = Aggregate("pairs", ("country", "customer"), {"count": count()})

    assert {*documents(records, pairs)["pairs"]} == {"a\\|b|c", "a|b\\|c", "a\\\\|b"}
    assert expected_aggregates(records, [pairs]) == documents(records, pairs)


def test_conditions_on_dimensions_and_on_other_columns_count_the_same_records(rows: Rows) -> None:
    records = rows(
        {"country": "FR", "site": 1, "units": 4, "customer": "a"},
        {"country": "FR", "site": 2, "units": 6, "customer": "b"},
        {"country": "DE", "site": 1, "units": 1, "customer": "a"},
        {"site": 1, "units": 9},
        {"outcome": "alert", "country": "DE", "units": 2, "customer": "c"},
    )
    by_site = Aggregate(
        "by_site",
        ("site",),
        {
            "french": count("`COUNTRY` = 'FR'"),
            "elsewhere": count("country <> 'FR' OR country IS NULL"),
            "large": count("units > 5 AND country = 'FR'"),
            "units": total("units", "country IN ('FR', 'DE')"),
            "lowest": minimum("units", "country IS NULL"),
            "mean": average("units", "country = 'FR'"),
            "customers": distinct("customer", "country = 'DE'"),
            "alerts": count("outcome = 'alert'"),
        },
    )
    germans = Aggregate("germans", ("country",), {"count": count()}, "country = 'DE'")

    found = documents(records, by_site, germans)

    zeros = {"french": 0, "elsewhere": 0, "large": 0, "units": 0, "lowest": None, "alerts": 0}
    nothing = zeros | {"mean_sum": 0, "mean_count": 0, "mean": None, "customers": 0}
    one = {"french": 1, "elsewhere": 2, "units": 5, "lowest": 9, "mean_sum": 4, "mean_count": 1}
    two = {"french": 1, "large": 1, "units": 6, "mean_sum": 6, "mean_count": 1, "mean": 6.0}
    assert found == {
        "by_site": {
            "1": nothing | {"site": 1} | one | {"mean": 4.0, "customers": 1},
            "2": nothing | {"site": 2} | two,
            "unknown": nothing
            | {"site": "unknown", "elsewhere": 1, "units": 2, "customers": 1, "alerts": 1},
        },
        "germans": {"DE": {"country": "DE", "count": 2}},
    }


def test_sum_beyond_the_longest_decimal_is_not_zero_but_one_that_no_store_takes(
    rows: Rows, spark: SparkSession
) -> None:
    largest = Decimal("9" * 34)
    records = spark.createDataFrame([(largest,)], "value decimal(34,0)").crossJoin(
        spark.range(20_000).select(F.lit("valid").alias("outcome"), F.array().alias("reasons"))
    )
    sums = whole({"sum": total("value"), "others": total("value", "value < 0")})

    (change,) = summary_of(records, sums).changes

    assert change.values["others"] == 0
    with pytest.raises(ArithmeticError):
        merged(sums, {"sum": 0, "others": 0}, change.values)


@pytest.mark.parametrize("way", [summarise, combine])
@pytest.mark.parametrize("column", ["country", "is_open", "at"])
def test_sum_of_what_is_no_number_is_refused(rows: Rows, way: Any, column: str) -> None:
    with pytest.raises(ValueError, match=f"`{column}` has type .* only numbers"):
        way(rows(), [whole({"sum": total(column)})])


@pytest.mark.parametrize("way", [summarise, combine])
def test_all_aggregates_of_a_batch_are_computed_in_one_spark_job(
    rows: Rows, spark: SparkSession, way: Any
) -> None:
    records = rows({"country": "FR"}, {"country": "DE"}).persist()
    records.count()
    aggregates = [
        Aggregate("a", (day("at"), "country"), {"n": count(), "clients": distinct("customer")}),
        Aggregate("b", ("site",), {"units": total("units")}),
        Aggregate("c", (), {"mean": average("level")}),
    ]
    spark.sparkContext.setJobGroup(way.__name__, "one summary")
    try:
        way(records, aggregates).collect()
        jobs = spark.sparkContext.statusTracker().getJobIdsForGroup(way.__name__)
    finally:
        spark.sparkContext.setLocalProperty("spark.jobGroup.id", "")
        records.unpersist()

    assert len(jobs) == 1


def ticket_at(number: int, created_at: str, kind: str, priority: str) -> dict[str, Any]:
    fields = {"created_at": created_at, "request_type": kind, "priority": priority}
    return ticket(ticket_id=f"T-{number}", client_id=f"C{number % 2}", **fields)


def test_tickets_have_the_documents_of_their_collections(
    frame: Callable[[Sequence[Any]], DataFrame],
) -> None:
    records = [
        ticket_at(1, "2026-11-21T23:59:59.999Z", "billing", "low"),
        ticket_at(2, "2026-11-22T00:00:00Z", "billing", "critical"),
        ticket_at(3, "2026-11-22T00:00:00Z", "technical", "low"),
        ticket_at(4, "2026-11-22T01:00:00+01:00", "billing", "low"),
        "no JSON",
    ]

    found = documents(classify_tickets(frame(records)), *TICKETS.aggregates)

    assert {name: d["count"] for name, d in found["tickets_by_team"].items()} == {
        "2026-11-21|Billing": 1,
        "2026-11-22|Billing": 2,
        "2026-11-22|Technical Support": 1,
    }
    assert found["tickets_by_type"]["2026-11-22|billing"] == {
        "day": "2026-11-22",
        "request_type": "billing",
        "count": 2,
    }
    assert {name: d["count"] for name, d in found["tickets_by_priority"].items()} == {
        "2026-11-21|low": 1,
        "2026-11-22|critical": 1,
        "2026-11-22|low": 2,
    }
    assert found["ticket_metrics"]["2026-11-22"] == {
        "day": "2026-11-22",
        "total_tickets": 3,
        "billing_count": 2,
        "technical_count": 1,
        "account_count": 0,
        "general_count": 0,
        "critical_priority_count": 1,
        "unique_clients": 2,
    }
