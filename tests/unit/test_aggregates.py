"""From summary rows to counts and changes of documents."""

from __future__ import annotations

from typing import Any

import datasketches

from spark_jobs.aggregates import (
    Change,
    estimate,
    merge_sketches,
    roll_up_profiles,
    roll_up_tickets,
)


def sketch(*clients: str) -> bytes:
    made = datasketches.hll_sketch(14, datasketches.tgt_hll_type.HLL_8)
    for client in clients:
        made.update(client)
    return bytes(made.serialize_compact())


def ticket_row(records: int, *clients: str, **changes: Any) -> dict[str, Any]:
    return {
        "outcome": "valid",
        "reasons": [],
        "day": "2026-11-22",
        "assigned_team": "Billing",
        "request_type": "billing",
        "priority": "low",
        "records": records,
        "clients": sketch(*clients),
    } | changes


REJECTED = {"outcome": "rejected", "day": None, "assigned_team": None, "request_type": None}


def test_ticket_rows_add_up_along_each_dimension() -> None:
    summary = roll_up_tickets(
        [
            ticket_row(2, "C1", "C2"),
            ticket_row(1, "C2", priority="critical"),
            ticket_row(4, "C3", request_type="technical", assigned_team="Technical Support"),
            ticket_row(3, **REJECTED, reasons=["missing_priority", "invalid_request"]),
            ticket_row(5, **REJECTED, reasons=["missing_priority"]),
        ]
    )

    assert summary.outcomes == {"valid": 7, "rejected": 8}
    assert summary.reasons == {"missing_priority": 8, "invalid_request": 3}
    counts = {
        (c.collection, c.document_id): c.increments
        for c in summary.changes
        if c.collection != "ticket_metrics"
    }
    assert counts == {
        ("tickets_by_team", "2026-11-22|Billing"): {"count": 3},
        ("tickets_by_team", "2026-11-22|Technical Support"): {"count": 4},
        ("tickets_by_type", "2026-11-22|billing"): {"count": 3},
        ("tickets_by_type", "2026-11-22|technical"): {"count": 4},
        ("tickets_by_priority", "2026-11-22|low"): {"count": 6},
        ("tickets_by_priority", "2026-11-22|critical"): {"count": 1},
    }
    (metrics,) = [c for c in summary.changes if c.collection == "ticket_metrics"]
    assert metrics.document_id == "2026-11-22"
    assert metrics.increments == {
        "total_tickets": 7,
        "billing_count": 3,
        "technical_count": 4,
        "account_count": 0,
        "general_count": 0,
        "critical_priority_count": 1,
    }
    assert metrics.client_sketch is not None
    assert estimate(metrics.client_sketch) == 3


def test_sketches_merge_to_the_number_of_distinct_clients() -> None:
    merged = merge_sketches([sketch("C1", "C2"), None, sketch("C2", "C3")])

    assert estimate(merged) == 3
    assert estimate(merge_sketches([])) == 0


def profile_row(dimension: str, value: str, records: int, age_sum: int | None) -> dict[str, Any]:
    return {"dimension": dimension, "value": value, "records": records, "age_sum": age_sum}


def test_profile_rows_become_one_change_for_each_value() -> None:
    summary = roll_up_profiles(
        [
            profile_row("outcome", "valid", 3, 90),
            profile_row("outcome", "filtered", 2, None),
            profile_row("outcome", "rejected", 1, None),
            profile_row("reason", "missing_email", 1, None),
            profile_row("gender", "female", 2, 60),
            profile_row("gender", "unknown", 1, 30),
            profile_row("domain_name", "example.com", 3, 90),
        ]
    )

    assert summary.outcomes == {"valid": 3, "filtered": 2, "rejected": 1}
    assert summary.reasons == {"missing_email": 1}
    assert summary.changes == [
        Change("profiles_by_gender", "female", {"gender": "female"}, {"count": 2}),
        Change("profiles_by_gender", "unknown", {"gender": "unknown"}, {"count": 1}),
        Change("profiles_by_domain", "example.com", {"domain_name": "example.com"}, {"count": 3}),
        Change("profile_metrics", "all", {}, {"total_profiles": 3, "age_sum": 90}),
    ]


def test_batch_without_a_valid_profile_changes_no_document() -> None:
    summary = roll_up_profiles([profile_row("outcome", "filtered", 2, None)])

    assert summary.changes == []
