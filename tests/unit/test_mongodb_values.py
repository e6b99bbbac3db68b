"""Values as MongoDB stores them, and the updates that a batch makes."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from bson.decimal128 import Decimal128

from errors import SinkRejected
from spark_jobs.aggregates import Aggregate, average, count, maximum, total
from spark_jobs.changes import Change
from spark_jobs.sinks.mongodb import MongoAggregates, from_bson, to_bson

NOW = datetime(2026, 11, 22, tzinfo=UTC)
REVENUE = Aggregate(
    "revenue",
    ("country",),
    {"n": count(), "sum": total("x"), "mean": average("x"), "high": maximum("x")},
)


@pytest.mark.parametrize(
    ("value", "stored"),
    [
        (2**63 - 1, 2**63 - 1),
        (-(2**63), -(2**63)),
        (2**63, Decimal128("9223372036854775808")),
        (-(2**63) - 1, Decimal128("-9223372036854775809")),
        (Decimal("12.50"), Decimal128("12.50")),
        (0.1, 0.1),
        ("2026-11-22", "2026-11-22"),
        (True, True),
        (None, None),
        (NOW, NOW),
    ],
)
def test_value_is_stored_exactly_and_comes_back(value: Any, stored: Any) -> None:
    assert to_bson({"v": value}) == {"v": stored}
    back = from_bson({"v": stored})
    assert back == {"v": value}
    assert type(back["v"]) is type(value)


def test_small_integer_that_is_stored_as_a_decimal_stays_one() -> None:
    assert isinstance(from_bson({"v": Decimal128("5")})["v"], Decimal)


class FakeCollection:
    """The documents that a batch finds, and the updates that it makes."""

    name = "revenue"

    def __init__(self, *found: dict[str, Any]) -> None:
        self.found = found
        self.updates: list[Any] = []

    def find(self, wanted: dict[str, Any]) -> Any:
        return [d for d in self.found if d["_id"] in wanted["_id"]["$in"]]

    def bulk_write(self, updates: list[Any], *, ordered: bool) -> None:
        self.updates += updates


def apply(collection: FakeCollection, change: Change, batch_id: int) -> list[Any]:
    sink = MongoAggregates({"revenue": collection}, "q")  # type: ignore[arg-type]
    sink.apply([change], batch_id, NOW)
    return [(update._filter, update._doc) for update in collection.updates]  # noqa: SLF001


def batch(amount: Any) -> Change:
    values = {"n": 1, "sum": amount, "mean_sum": amount, "mean_count": 1, "high": amount}
    return Change("revenue", "FR", {"country": "FR"}, values, REVENUE)


def test_first_batch_sets_every_measure() -> None:
    assert apply(FakeCollection(), batch(Decimal("12.50")), 0) == [
        (
            {"_id": "FR", "applied.q": {"$exists": False}},
            {
                "$set": {
                    "country": "FR",
                    "n": 1,
                    "sum": Decimal128("12.50"),
                    "mean_sum": Decimal128("12.50"),
                    "mean_count": 1,
                    "mean": Decimal128("12.50"),
                    "high": Decimal128("12.50"),
                    "updated_at": NOW,
                    "applied.q": 0,
                }
            },
        )
    ]


STORED = {
    "_id": "FR",
    "n": 1,
    "sum": Decimal128("12.50"),
    "mean_sum": Decimal128("12.50"),
    "mean_count": 1,
    "high": Decimal128("12.50"),
    "applied": {"q": 3},
}


def test_later_batch_is_added_and_an_applied_one_changes_nothing() -> None:
    ((guard, update),) = apply(FakeCollection(STORED), batch(Decimal("-2.51")), 4)

    assert guard == {"_id": "FR", "applied.q": 3}
    assert update["$set"]["sum"] == Decimal128("9.99")
    assert update["$set"]["mean"] == Decimal128("4.995")
    assert update["$set"]["high"] == Decimal128("12.50")
    assert apply(FakeCollection(STORED), batch(Decimal("-2.51")), 3) == []


def test_sum_beyond_34_digits_is_refused_and_says_so() -> None:
    full = STORED | {"sum": Decimal128("9" * 34)}

    with pytest.raises(
        SinkRejected, match=r"number in revenue needs more than 34 digits.*contract"
    ):
        apply(FakeCollection(full), batch(Decimal("0.1")), 4)


def test_counts_alone_are_left_to_the_store_to_increment() -> None:
    counts = Aggregate("revenue", ("country",), {"n": count()})
    change = Change("revenue", "FR", {"country": "FR"}, {"n": 7}, counts)

    assert apply(FakeCollection(), change, 4) == [
        (
            {"_id": "FR", "applied.q": {"$not": {"$gte": 4}}},
            {
                "$inc": {"n": 7},
                "$set": {"country": "FR", "updated_at": NOW, "applied.q": 4},
            },
        )
    ]
