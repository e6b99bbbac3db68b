"""Verification by content, its pure part: groups of rows, differences of documents."""

from __future__ import annotations

import math
from typing import Any

import pytest

from operations.verify.differences import differences, excesses
from operations.verify.expected_aggregates import profile_documents, ticket_documents

PLACE, SOURCE = "MongoDB m.tickets_by_team", "support.tickets"


def combination(rows: int, day: str = "2026-11-22", **changes: str) -> dict[str, Any]:
    labels = {"assigned_team": "Billing", "request_type": "billing", "priority": "low"}
    return {"day": day, "rows": rows} | labels | changes


def test_tickets_are_grouped_by_utc_day_and_value() -> None:
    documents = ticket_documents(
        [
            combination(1),
            combination(1, priority="critical"),
            combination(1, request_type="account", assigned_team="Account Management"),
            combination(1, day="2026-11-23"),
        ],
        {"2026-11-22": 2, "2026-11-23": 1},
    )

    assert documents["tickets_by_team"] == {
        "2026-11-22|Billing": {"day": "2026-11-22", "assigned_team": "Billing", "count": 2},
        "2026-11-22|Account Management": {
            "day": "2026-11-22",
            "assigned_team": "Account Management",
            "count": 1,
        },
        "2026-11-23|Billing": {"day": "2026-11-23", "assigned_team": "Billing", "count": 1},
    }
    assert {name: d["count"] for name, d in documents["tickets_by_type"].items()} == {
        "2026-11-22|billing": 2,
        "2026-11-22|account": 1,
        "2026-11-23|billing": 1,
    }
    assert {name: d["count"] for name, d in documents["tickets_by_priority"].items()} == {
        "2026-11-22|low": 2,
        "2026-11-22|critical": 1,
        "2026-11-23|low": 1,
    }
    assert documents["ticket_metrics"]["2026-11-22"] == {
        "day": "2026-11-22",
        "total_tickets": 3,
        "billing_count": 2,
        "technical_count": 0,
        "account_count": 1,
        "general_count": 0,
        "critical_priority_count": 1,
        "unique_clients": 2,
    }
    assert documents["ticket_metrics"]["2026-11-23"]["unique_clients"] == 1


def test_profiles_are_grouped_by_every_dimension_with_unknown_for_absent() -> None:
    counts = [
        ("nationality", "FR", 2),
        ("nationality", None, 1),
        ("nationality", "unknown", 1),
        ("gender", "female", 3),
        ("gender", None, 1),
        ("domain_name", "example.com", 3),
        ("domain_name", None, 1),
        ("age", "14", 1),
        ("age", "17", 1),
        ("age", "65", 1),
        ("age", "24", 1),
    ]

    documents = profile_documents(
        {"dimension": dimension, "value": value, "rows": rows} for dimension, value, rows in counts
    )

    assert documents == {
        "profiles_by_nationality": {
            "FR": {"nationality": "FR", "count": 2},
            "unknown": {"nationality": "unknown", "count": 2},
        },
        "profiles_by_gender": {
            "female": {"gender": "female", "count": 3},
            "unknown": {"gender": "unknown", "count": 1},
        },
        "profiles_by_age_band": {
            "14-17": {"age_band": "14-17", "count": 2},
            "18-24": {"age_band": "18-24", "count": 1},
            "65+": {"age_band": "65+", "count": 1},
        },
        "profiles_by_domain": {
            "example.com": {"domain_name": "example.com", "count": 3},
            "unknown": {"domain_name": "unknown", "count": 1},
        },
        "profile_metrics": {"all": {"total_profiles": 4, "age_sum": 120, "average_age": 30.0}},
    }


def test_without_rows_no_documents_are_expected() -> None:
    assert not any(ticket_documents([], {}).values())
    assert not any(profile_documents([]).values())


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


@pytest.mark.parametrize(
    ("column", "exact", "found", "agrees"),
    [
        ("count", 5, 5, True),
        ("count", 5, 5.0, True),
        ("count", 5, 6, False),
        ("count", 5, "5", False),
        ("count", 5, None, False),
        ("count", 1, True, False),
        ("count", 5, math.nan, False),
        ("day", "2026-11-22", "2026-11-22", True),
        ("day", "2026-11-22", "2026-11-23", False),
        ("unique_clients", 10, 12, True),
        ("unique_clients", 10, 13, False),
        ("unique_clients", 10, 7, False),
        ("unique_clients", 1000, 1030, True),
        ("unique_clients", 1000, 1031, False),
        ("average_age", 30.5, 30.5000009, True),
        ("average_age", 30.5, 30.5000011, False),
    ],
)
def test_numbers_agree_exactly_or_within_their_tolerance(
    column: str, exact: Any, found: Any, agrees: bool
) -> None:
    faults = differences(PLACE, SOURCE, {"x": {column: exact}}, [{"_id": "x", column: found}])

    assert (faults == []) is agrees


def test_at_most_twenty_differences_of_a_place_are_named() -> None:
    faults = differences(PLACE, SOURCE, {str(n): {"count": 1} for n in range(100, 123)}, [])

    assert len(faults) == 21
    assert faults[19] == f"{PLACE}: `119` is missing; the rows of {SOURCE} give count 1"
    assert faults[20] == f"{PLACE}: … and 3 more"


LEAST = {"d": {"day": "d", "total_tickets": 5, "unique_clients": 4}}
MOST = {
    "d": {"day": "d", "total_tickets": 9, "unique_clients": 6},
    "e": {"day": "e", "total_tickets": 2, "unique_clients": 1},
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
    least = {"all": {"total_profiles": 1, "age_sum": 40, "average_age": 40.0}}
    most = {"all": {"total_profiles": 3, "age_sum": 120, "average_age": 40.0}}
    document = {"_id": "all", "total_profiles": 2, "age_sum": age_sum, "average_age": average}

    assert (excesses(PLACE, SOURCE, least, most, [document]) == []) is agrees
