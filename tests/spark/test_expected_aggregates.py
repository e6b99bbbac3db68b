"""Verification's own GROUP BY, and that the summary of a micro-batch equals it."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from pyspark.sql import DataFrame

from operations.verify.differences import differences
from operations.verify.expected_aggregates import columns_of, expected_aggregates, negative_sums
from spark_jobs.aggregates import (
    Aggregate,
    Measure,
    average,
    count,
    day,
    distinct,
    hour,
    maximum,
    minimum,
    total,
)
from tests.support.summaries import documents, whole

Rows = Callable[..., DataFrame]


def random_record(chance: random.Random) -> dict[str, Any]:
    def maybe(value: Any) -> Any:
        return None if chance.random() < 0.2 else value

    moment = datetime(2026, 11, 20, tzinfo=UTC) + timedelta(milliseconds=chance.randrange(10**9))
    return {
        "at": maybe(moment),
        "on": maybe(moment.date()),
        "country": maybe(chance.choice(["FR", "DE", "a|b", "", "unknown", "été"])),
        "site": maybe(chance.randrange(-2, 3)),
        "is_open": maybe(chance.random() < 0.5),
        "units": maybe(chance.randrange(-(2**31), 2**31)),
        "big": maybe(chance.randrange(-(2**63), 2**63)),
        "amount": maybe(Decimal(chance.randrange(-(10**12), 10**12)).scaleb(-2)),
        "long": maybe(Decimal(chance.randrange(-(10**24), 10**24)).scaleb(-4)),
        "level": maybe(chance.uniform(-1e9, 1e9)),
        "customer": maybe(f"C{chance.randrange(40)}"),
    }


def every_measure(column: str, where: str | None = None) -> dict[str, Measure]:
    return {
        f"{column}_total": total(column, where),
        f"{column}_min": minimum(column, where),
        f"{column}_max": maximum(column, where),
        f"{column}_mean": average(column, where),
        f"{column}_distinct": distinct(column, where),
    }


NUMBERS = {
    "count": count(),
    "count_open": count("is_open"),
    **every_measure("units"),
    **every_measure("big", "site > 0"),
    **every_measure("amount"),
    **every_measure("long", "country <> 'FR'"),
    **every_measure("level"),
}
TYPICAL = (
    whole(NUMBERS),
    Aggregate("by_day", (day("at"),), NUMBERS),
    Aggregate("by_hour", (hour("at"), "is_open"), {"count": count(), "last": maximum("at")}),
    Aggregate("by_country", ("country", "site"), NUMBERS, "units > 0 OR site = 1"),
    Aggregate("by_date", ("on", "country"), {"first": minimum("customer"), "n": count()}),
)


@pytest.mark.parametrize("seed", range(3))
def test_summary_equals_the_group_by_that_verification_computes(rows: Rows, seed: int) -> None:
    chance = random.Random(seed)
    records = rows(*(random_record(chance) for _ in range(400))).persist()

    found = documents(records, *TYPICAL)
    expected = expected_aggregates(records, TYPICAL)

    for name, by_id in expected.items():
        stored = [document | {"_id": key} for key, document in found[name].items()]
        assert len(stored) > 0
        assert differences(name, "the records", by_id, stored) == []
    records.unpersist()


def test_negative_sums_tell_how_far_rows_lower_a_total_or_that_of_an_average(rows: Rows) -> None:
    records = rows(
        {"country": "FR", "units": 5}, {"country": "FR", "units": -3}, {"country": "DE", "units": 2}
    )
    units = Aggregate("units", ("country",), {"n": count(), "units": total("units")})
    means = Aggregate("means", ("country",), {"mean": average("units")})
    counts = Aggregate("counts", ("country",), {"n": count()})

    found = negative_sums(records, [units, means, counts])

    assert {key: d["units"].value for key, d in found["units"].items()} == {"FR": -3, "DE": 0}
    assert {key: d["mean_sum"].value for key, d in found["means"].items()} == {"FR": -3, "DE": 0}
    assert "counts" not in found


def test_columns_that_aggregates_read_are_found_in_conditions_too() -> None:
    aggregate = Aggregate(
        "a", (day("at"), "country"), {"n": count("level > 1"), "sum": total("units")}, "site = 1"
    )
    present = ["at", "on", "country", "site", "units", "level", "customer"]

    assert columns_of([aggregate], present) == ["at", "country", "site", "units", "level"]
