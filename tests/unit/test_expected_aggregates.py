"""Verification by content, its pure part: differences of documents."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from bson.int64 import Int64

from operations.verify.differences import Figure, differences, excesses

PLACE, SOURCE = "MongoDB m.tickets_by_team", "support.tickets"


def test_shift_from_one_group_to_another_is_named_though_the_sum_agrees() -> None:
    expected = {"d|Billing": {"count": 5}, "d|Technical Support": {"count": 7}}
    found = [{"_id": "d|Billing", "count": 6}, {"_id": "d|Technical Support", "count": 6}]

    assert differences(PLACE, SOURCE, expected, found) == [
        f"{PLACE}: `d|Billing`: `count` is 6, by the rows of {SOURCE} it is 5 (+1)",
        f"{PLACE}: `d|Technical Support`: `count` is 6, by the rows of {SOURCE} it is 7 (-1)",
    ]


def test_missing_and_extra_documents_are_named() -> None:
    expected = {"d|Billing": {"day": "d", "count": 5}}

    assert differences(PLACE, SOURCE, expected, [{"_id": "e|Billing", "count": 5}]) == [
        f"{PLACE}: `e|Billing` is there, but no row of {SOURCE} belongs to it",
        f"{PLACE}: `d|Billing` is missing; the rows of {SOURCE} give count 5",
    ]


NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("exact", "found", "agrees"),
    [
        (5, 5, True),
        (5, 5.0, False),
        (Figure(5.0, "total"), 5, False),
        (Figure(7, "label"), 7.0, False),
        (Figure(7, "label"), Int64(7), True),
        (5, Decimal(5), False),
        (5, 6, False),
        (5, "5", False),
        (5, None, False),
        (1, True, False),
        (5, math.nan, False),
        (5, math.inf, False),
        ("2026-11-22", "2026-11-22", True),
        ("2026-11-22", "2026-11-23", False),
        (Figure(7, "label"), 7, True),
        (Figure(True, "label"), True, True),
        (Figure(True, "label"), 1, False),
        (Figure(2**70, "total"), 2**70, True),
        (Figure(2**70, "total"), 2**70 + 1, False),
        (Figure(2**70, "total"), float(2**70), False),
        (Figure(Decimal("0.00"), "total"), 0, False),
        (Figure(Decimal("0.30"), "total"), Decimal("0.3"), True),
        (Figure(Decimal("0.3"), "total"), 0.3, False),
        (Figure(0.3, "total", 1e-9), 0.30000000000000004, True),
        (Figure(0.3, "total", 1e-9), 0.3000001, False),
        (Figure(-math.inf, "total", math.inf), -math.inf, True),
        (Figure(1e308, "total", math.inf), math.inf, True),
        (Figure(math.inf, "maximum"), math.inf, True),
        (Figure(math.inf, "maximum"), 1e308, False),
        (Figure(None, "minimum"), None, True),
        (Figure(None, "minimum"), 0, False),
        (Figure("a", "minimum"), "b", False),
        (Figure(NOON, "maximum"), NOON, True),
        (Figure(NOON, "maximum"), "2026-11-22T12:00:00Z", False),
        (Figure(10, "estimate", 2.0), 12, True),
        (Figure(10, "estimate", 2.0), 13, False),
        (Figure(10, "estimate", 2.0), 7, False),
        (Figure(30.5, "average", 1e-6), 30.5000009, True),
        (Figure(30.5, "average", 1e-6), 30.5000011, False),
    ],
)
def test_values_agree_exactly_or_within_their_tolerance(
    exact: Any, found: Any, agrees: bool
) -> None:
    faults = differences(PLACE, SOURCE, {"x": {"field": exact}}, [{"_id": "x", "field": found}])

    assert (faults == []) is agrees


def test_difference_of_an_estimate_says_how_far_it_may_differ() -> None:
    expected = {"x": {"clients": Figure(100, "estimate", 3.0)}}

    assert differences(PLACE, SOURCE, expected, [{"_id": "x", "clients": 104}]) == [
        f"{PLACE}: `x`: `clients` is 104, by the rows of {SOURCE} it is 100 (+4);"
        " an estimate may differ by 3"
    ]


def test_difference_between_decimals_is_shown_exactly() -> None:
    expected = {"x": {"revenue": Figure(Decimal("20.10"), "total")}}

    assert differences(PLACE, SOURCE, expected, [{"_id": "x", "revenue": Decimal("20.15")}]) == [
        f"{PLACE}: `x`: `revenue` is 20.15, by the rows of {SOURCE} it is 20.10 (+0.05)"
    ]


def test_at_most_twenty_differences_of_a_place_are_named() -> None:
    faults = differences(PLACE, SOURCE, {str(n): {"count": 1} for n in range(100, 123)}, [])

    assert len(faults) == 21
    assert faults[19] == f"{PLACE}: `119` is missing; the rows of {SOURCE} give count 1"
    assert faults[20] == f"{PLACE}: … and 3 more"


def about(clients: int) -> Figure:
    return Figure(clients, "estimate", 2.0)


LEAST = {"d": {"day": "d", "total_tickets": 5, "unique_clients": about(4)}}
MOST = {
    "d": {"day": "d", "total_tickets": 9, "unique_clients": about(6)},
    "e": {"day": "e", "total_tickets": 2, "unique_clients": about(1)},
}


@pytest.mark.parametrize(
    ("document", "agrees"),
    [
        ({"_id": "d", "day": "d", "total_tickets": 5, "unique_clients": 4}, True),
        ({"_id": "d", "day": "d", "total_tickets": 9, "unique_clients": 8}, True),
        ({"_id": "d", "day": "d", "total_tickets": 4, "unique_clients": 4}, False),
        ({"_id": "d", "day": "d", "total_tickets": 10, "unique_clients": 6}, False),
        ({"_id": "d", "day": "d", "total_tickets": 9, "unique_clients": 9}, False),
        ({"_id": "d", "day": "x", "total_tickets": 9, "unique_clients": 6}, False),
        ({"_id": "e", "day": "e", "total_tickets": 0, "unique_clients": 0}, True),
        ({"_id": "f", "day": "f", "total_tickets": 1, "unique_clients": 1}, False),
        ({"_id": "d", "day": "d", "total_tickets": None, "unique_clients": 4}, False),
    ],
)
def test_document_of_an_unfinished_batch_lies_between_its_bounds(
    document: dict[str, Any], agrees: bool
) -> None:
    assert (excesses(PLACE, SOURCE, LEAST, MOST, [document]) == []) is agrees


@pytest.mark.parametrize(
    ("age_sum", "average", "agrees"),
    [(60, 30.0, True), (90, 45.0, True), (60, 30.1, False), (130, 65.0, False), (30, 15.0, False)],
)
def test_average_of_an_unfinished_batch_is_the_quotient_of_its_parts(
    age_sum: int, average: float, agrees: bool
) -> None:
    parts = ("age_sum", "total_profiles")
    least = {
        "all": {
            "total_profiles": 1,
            "age_sum": Figure(40, "total"),
            "average_age": Figure(40.0, "average", 1e-6, parts),
        }
    }
    most = {
        "all": {
            "total_profiles": 3,
            "age_sum": Figure(120, "total"),
            "average_age": Figure(40.0, "average", 1e-6, parts),
        }
    }
    document = {"_id": "all", "total_profiles": 2, "age_sum": age_sum, "average_age": average}

    assert (excesses(PLACE, SOURCE, least, most, [document]) == []) is agrees


@pytest.mark.parametrize(
    ("field", "least", "most", "fall", "found", "agrees"),
    [
        # Further rows: -30 and +10.
        ("total", 100, 80, -30, 70, True),
        ("total", 100, 80, -30, 110, True),
        ("total", 100, 80, -30, 69, False),
        ("total", 100, 80, -30, 111, False),
        ("total", Decimal("1.50"), Decimal("2.50"), 0, Decimal("2.51"), False),
        ("total", Decimal("1.50"), Decimal("2.50"), Decimal("0.00"), 2.0, False),
        ("total", 0, 0, 0.0, 0, True),
        ("total", None, 2.5, 0.0, 2.5, True),
        ("total", 2, 3, 0, 3.0, False),
        ("minimum", 5, 3, 0, 4, True),
        ("minimum", 5, 3, 0, 6, False),
        ("minimum", 5, 3, 0, 2, False),
        ("minimum", None, 3, 0, 9, True),
        ("maximum", "b", "d", 0, "c", True),
        ("maximum", "b", "d", 0, "e", False),
        ("label", True, True, 0, True, True),
        ("label", -7, -7, 0, -7, True),
        ("label", -7, -7, 0, -8, False),
    ],
)
def test_field_of_an_unfinished_batch_lies_between_its_bounds(
    field: str, least: Any, most: Any, fall: Any, found: Any, agrees: bool
) -> None:
    lowest, highest = ({"x": {"value": Figure(value, field)}} for value in (least, most))
    document = {"_id": "x", "value": found}

    faults = excesses(PLACE, SOURCE, lowest, highest, [document], {"x": {"value": fall}})

    assert (faults == []) is agrees
