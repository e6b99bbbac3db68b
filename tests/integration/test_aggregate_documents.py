"""Documents of every measure in MongoDB: exact, whatever batch comes again."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from bson.decimal128 import Decimal128
from pymongo.database import Database

from settings import Settings
from spark_jobs.aggregates import Aggregate, average, count, maximum, minimum, total
from spark_jobs.changes import Change
from spark_jobs.sinks.mongodb import (
    MongoAggregates,
    confirmed_database,
    connect_mongodb,
    from_bson,
)

MEASURES = Aggregate(
    "measures",
    ("country",),
    {
        "n": count(),
        "big": total("big"),
        "revenue": total("amount"),
        "level": total("level"),
        "first": minimum("at"),
        "name": maximum("name"),
        "mean": average("amount"),
    },
)


@pytest.fixture
def aggregates(stack_settings: Settings) -> Iterator[MongoAggregates]:
    settings = stack_settings.model_copy(update={"mongo_database": f"t{uuid.uuid4().hex[:10]}"})
    with connect_mongodb(settings) as client:
        database: Database[Any] = confirmed_database(client, settings)
        yield MongoAggregates(database, "q", ("measures",))
        client.drop_database(settings.mongo_database)


def batch(big: int, amount: str, level: float, hour: int, name: str | None) -> Change:
    values = {
        **{"n": 1, "big": big, "revenue": Decimal(amount), "level": level},
        **{"first": datetime(2026, 11, 22, hour, tzinfo=UTC), "name": name},
        **{"mean_sum": Decimal(amount), "mean_count": 1},
    }
    return Change("measures", "FR", {"country": "FR"}, values, MEASURES)


BATCHES = [
    batch(2**63 - 1, "12345678901234567890.10", 0.5, 9, None),
    batch(2**63 - 1, "0.20", 0.25, 8, "é"),
    batch(5, "-0.31", -1.5, 10, "a"),
]


def document(sink: MongoAggregates) -> dict[str, Any]:
    (found,) = sink.database["measures"].find()
    return from_bson({k: v for k, v in found.items() if k not in {"updated_at", "applied"}})


WHOLE = {
    "_id": "FR",
    "country": "FR",
    "n": 3,
    "big": 2**64 + 3,
    "revenue": Decimal("12345678901234567889.99"),
    "level": -0.75,
    "first": datetime(2026, 11, 22, 8, tzinfo=UTC),
    "name": "é",
    "mean": Decimal("4115226300411522629.996666666666667"),
    "mean_sum": Decimal("12345678901234567889.99"),
    "mean_count": 3,
}


def test_repeated_batches_leave_exact_sums_and_extremes(aggregates: MongoAggregates) -> None:
    for number, change in enumerate(BATCHES):
        aggregates.apply([change], number)
        aggregates.apply([change], number)

    assert document(aggregates) == WHOLE
    stored = aggregates.database["measures"].find_one({})
    assert stored is not None
    assert isinstance(stored["revenue"], Decimal128)
    assert isinstance(stored["big"], Decimal128)


def test_sum_returns_to_an_integer_when_64_bits_hold_it(aggregates: MongoAggregates) -> None:
    for number, change in enumerate(BATCHES):
        aggregates.apply([change], number)

    back = BATCHES[0].values | {"big": -(2**64)}
    aggregates.apply([replace(BATCHES[0], values=back)], 3)

    stored = aggregates.database["measures"].find_one({})
    assert stored is not None
    assert stored["big"] == 3
