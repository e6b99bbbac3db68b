"""Charts of aggregates, from documents as jobs store them."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from bson.decimal128 import Decimal128
from pymongo.database import Database

from dashboard.aggregates import read_chart
from dashboard.ledger_history import read_history
from dashboard.source import Bar, LedgerHistory
from settings import Settings
from spark_jobs.aggregates import (
    Aggregate,
    average,
    count,
    day,
    distinct,
    hour,
    maximum,
    minimum,
    total,
)
from spark_jobs.sinks.mongodb import connect_mongodb

MEASURES = {
    "count": count(),
    "revenue": total("amount"),
    "largest": maximum("amount"),
    "first_at": minimum("at"),
    "mean": average("amount"),
    "buyers": distinct("buyer"),
}
BY_COUNTRY = Aggregate("by_country", by=("country",), measures=MEASURES)
BY_PAIR = Aggregate("by_pair", by=("country", "status"), measures=MEASURES)
BY_DAY = Aggregate("by_day", by=(day("at"),), measures=MEASURES)
BY_DAY_AND_STATUS = Aggregate("by_day_and_status", by=(day("at"), "status"), measures=MEASURES)
BY_SENSOR_AND_HOUR = Aggregate("by_hour", by=("sensor", hour("at")), measures=MEASURES)
WHOLE = Aggregate("whole", measures=MEASURES)
START = datetime(2026, 11, 1, tzinfo=UTC)


def figures(number: int, **more: Any) -> dict[str, Any]:
    return {
        "count": number,
        "revenue": Decimal128(Decimal(number) * Decimal("1.50")),
        "largest": number * 10,
        "first_at": START + timedelta(hours=number),
        "mean": number / 4,
        "buyers": number // 2,
        "applied": {"q": 3},
        **more,
    }


@pytest.fixture
def database(settings: Settings) -> Iterator[Database[dict[str, Any]]]:
    with connect_mongodb(settings) as client:
        name = f"charts_{uuid.uuid4().hex[:8]}"
        yield client[name]
        client.drop_database(name)


def insert(database: Database[dict[str, Any]], aggregate: Aggregate, rows: list[Any]) -> None:
    names = [dimension.field for dimension in aggregate.dimensions]
    documents = [
        {
            "_id": "|".join(values) or "all",
            **dict(zip(names, values, strict=True)),
            **figures(number),
        }
        for *values, number in rows
    ]
    database[aggregate.name].insert_many(documents)


def test_values_are_bars_the_largest_first_with_their_sum(
    database: Database[dict[str, Any]],
) -> None:
    insert(database, BY_COUNTRY, [("FR", 7), ("BE", 12), ("unknown", 1)])

    chart = read_chart(database, BY_COUNTRY, "count")

    assert chart.bars == (Bar("BE", 12), Bar("FR", 7), Bar("unknown", 1))
    assert (chart.kind, chart.total, chart.groups) == ("bars", 20, 3)
    # Decimals stay exact.
    revenue = read_chart(database, BY_COUNTRY, "revenue")
    assert revenue.total == Decimal("30.00")
    assert revenue.bars[0] == Bar("BE", Decimal("18.00"))
    assert read_chart(database, BY_COUNTRY, "mean").total is None
    first = read_chart(database, BY_COUNTRY, "first_at").bars[0]
    assert first.number is None


def test_of_many_values_the_largest_are_bars_and_the_others_are_counted(
    database: Database[dict[str, Any]],
) -> None:
    insert(database, BY_PAIR, [(f"c{n:03}", "paid", n) for n in range(1, 501)])

    chart = read_chart(database, BY_PAIR, "count")

    assert [bar.label for bar in chart.bars] == [f"c{n} · paid" for n in range(500, 488, -1)]
    assert chart.groups == 500
    assert chart.total == 125_250


def test_days_are_a_line_without_gaps_up_to_the_newest(
    database: Database[dict[str, Any]],
) -> None:
    insert(database, BY_DAY, [("2026-11-01", 3), ("2026-11-02", 4), ("2026-11-05", 6)])
    insert(database, BY_DAY, [("unknown", 9)])

    chart = read_chart(database, BY_DAY, "count")

    assert chart.times == tuple(f"2026-11-0{n}" for n in range(1, 6))
    assert chart.lines == {"count": (3, 4, None, None, 6)}
    assert chart.total == 13
    assert chart.bars == ()
    mean = read_chart(database, BY_DAY, "mean")
    assert mean.lines == {"mean": (0.75, 1.0, None, None, 1.5)}
    assert mean.total is None


def test_the_only_day_is_shown_with_all_its_measures(database: Database[dict[str, Any]]) -> None:
    insert(database, BY_DAY, [("2026-11-01", 8)])

    chart = read_chart(database, BY_DAY, "count")

    assert (chart.kind, chart.times) == ("figures", ("2026-11-01",))
    assert list(chart.figures) == list(MEASURES)
    assert chart.figures["buyers"] == 4


def test_only_the_last_sixty_days_are_shown(database: Database[dict[str, Any]]) -> None:
    days = [(START + timedelta(days=n)).strftime("%Y-%m-%d") for n in range(100)]
    insert(database, BY_DAY, [(each, 1) for each in days])

    chart = read_chart(database, BY_DAY, "count")

    assert chart.times == tuple(days[40:])
    assert chart.total == 60


def test_values_over_days_are_lines_and_the_bars_are_their_sums(
    database: Database[dict[str, Any]],
) -> None:
    rows = [("2026-11-01", "paid", 3), ("2026-11-01", "open", 1), ("2026-11-02", "paid", 4)]
    insert(database, BY_DAY_AND_STATUS, rows)

    chart = read_chart(database, BY_DAY_AND_STATUS, "count")

    assert chart.lines == {"paid": (3, 4), "open": (1, None)}
    assert chart.bars == (Bar("paid", 7), Bar("open", 1))
    assert (chart.total, chart.groups, chart.unit) == (8, 2, "day")
    largest = read_chart(database, BY_DAY_AND_STATUS, "largest")
    assert largest.bars == (Bar("paid", 40), Bar("open", 10))
    assert largest.total is None
    # An estimate of several days does not follow from that of each.
    buyers = read_chart(database, BY_DAY_AND_STATUS, "buyers")
    assert buyers.bars == ()
    assert buyers.lines == {"paid": (1, 2), "open": (0, None)}


def test_hours_of_many_sensors_are_lines_of_the_largest_five(
    database: Database[dict[str, Any]],
) -> None:
    hours = [(START + timedelta(hours=n)).strftime("%Y-%m-%dT%H") for n in range(200)]
    rows = [(f"s{s:02}", at, s + 1) for at in hours for s in range(20)]
    insert(database, BY_SENSOR_AND_HOUR, rows)

    chart = read_chart(database, BY_SENSOR_AND_HOUR, "count")

    assert chart.times == tuple(hours[-72:])
    assert chart.lines == {f"s{s}": (s + 1,) * 72 for s in range(19, 14, -1)}
    assert [bar.value for bar in chart.bars] == [(s + 1) * 72 for s in range(19, 7, -1)]
    assert chart.groups == 20
    assert chart.total == 72 * sum(range(1, 21))


def test_an_aggregate_without_dimensions_is_its_figures(
    database: Database[dict[str, Any]],
) -> None:
    insert(database, WHOLE, [(8,)])

    chart = read_chart(database, WHOLE, "count")

    assert list(chart.figures) == list(MEASURES)
    assert chart.figures["count"] == 8
    assert chart.figures["revenue"] == Decimal("12.00")
    assert read_chart(database, BY_DAY_AND_STATUS, "count").is_empty
    assert read_chart(database, BY_COUNTRY, "count").is_empty
    assert read_chart(database, Aggregate("none", measures=MEASURES), "count").is_empty


def test_a_ledger_is_added_up_over_time(database: Database[dict[str, Any]]) -> None:
    def entry(batch: int, minute: float, read: int, pipeline: str = "orders") -> dict[str, Any]:
        return {
            "_id": f"{pipeline}/{batch}",
            "pipeline": pipeline,
            "batch_id": batch,
            "updated_at": START + timedelta(minutes=minute),
            "read": read,
            "stored": read - 1,
            "dead_lettered": 1,
            "filtered": 0,
            "duplicates": 0,
        }

    assert read_history(database, "orders") == LedgerHistory()
    first = [entry(0, 0.5, 10), entry(1, 1.0, 20), entry(2, 7.9, 40), entry(3, 7.95, 80)]
    database["batches"].insert_many([*first, entry(9, 3, 1000, "sensors")])

    # Eight minutes in steps of ten seconds.
    found = read_history(database, "orders")

    assert (found.seconds, found.batches) == (10, 4)
    assert found.times[0] == START.timestamp() + 30
    assert found.times[-1] == START.timestamp() + 470
    stored = {place: n for place, n in enumerate(found.lines["stored"]) if n}
    assert stored == {0: 9, 3: 19, 44: 39 + 79}
    assert sum(found.lines["dead_lettered"]) == 4
    # With one a day later the steps are quarters of an hour.
    database["batches"].insert_one(entry(4, 1440, 5))
    found = read_history(database, "orders")
    assert (found.seconds, len(found.times)) == (900, 97)
    assert found.lines["stored"][0] == 9 + 19 + 39 + 79
    assert found.lines["stored"][-1] == 4
    # Of more batches the newest count.
    assert read_history(database, "orders", most=2).batches == 2
