"""Aggregates: declarations, and from summary rows to counts and changes of documents."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, NamedTuple

import datasketches
import pytest

from spark_jobs.aggregates import (
    Aggregate,
    Part,
    all_dimensions,
    all_groupings,
    all_parts,
    average,
    count,
    day,
    distinct,
    hour,
    maximum,
    minimum,
    total,
)
from spark_jobs.changes import Change, derived, estimate, merge_sketches, merged, roll_up
from spark_jobs.profiles import PROFILES
from spark_jobs.tickets import TICKETS

DAY = day("created_at")


class Micros(NamedTuple):
    micros: int


def sketch(*clients: str) -> bytes:
    made = datasketches.hll_sketch(14, datasketches.tgt_hll_type.HLL_8)
    for client in clients:
        made.update(client)
    return bytes(made.serialize_compact())


def row(
    aggregates: Sequence[Aggregate],
    grouping: int,
    dimensions: dict[str, Any],
    parts: dict[Part, Any],
    outcome: str = "valid",
    reasons: Sequence[str] = (),
) -> dict[str, Any]:
    """A row of the summary; parts that are not given count nothing."""
    return {
        "grouping": grouping,
        "outcome": outcome,
        "reasons": list(reasons),
        **{
            f"dimension_{n}": dimensions.get(d.field)
            for n, d in enumerate(all_dimensions(aggregates))
        },
        **{
            f"part_{n}": parts.get(p, 0 if p.kind == "count" else None)
            for n, p in enumerate(all_parts(aggregates))
        },
    }


RECORDS = Part("count")


def test_ticket_rows_become_the_documents_of_each_collection() -> None:
    tickets = TICKETS.aggregates
    # By team, by type, by priority, by day: in the order of their declaration.
    of_day = {
        RECORDS: 7,
        Part("count", where="(request_type = 'billing')"): 3,
        Part("count", where="(request_type = 'technical')"): 4,
        Part("count", where="(priority = 'critical')"): 1,
        Part("sketch", "client_id"): sketch("C1", "C2", "C3"),
    }
    on = {"day": "2026-11-22"}
    summary = roll_up(
        [
            row(tickets, 0, {}, {RECORDS: 7}),
            row(tickets, 0, {}, {RECORDS: 3}, "rejected", ["missing_priority", "invalid_request"]),
            row(tickets, 0, {}, {RECORDS: 5}, "rejected", ["missing_priority"]),
            row(tickets, 1, on | {"assigned_team": "Billing"}, {RECORDS: 3}),
            row(tickets, 1, on | {"assigned_team": "Technical Support"}, {RECORDS: 4}),
            row(tickets, 2, on | {"request_type": "billing"}, {RECORDS: 3}),
            row(tickets, 3, on | {"priority": "low"}, {RECORDS: 6}),
            row(tickets, 4, on, of_day),
        ],
        tickets,
    )

    assert summary.outcomes == {"valid": 7, "rejected": 8}
    assert summary.reasons == {"missing_priority": 8, "invalid_request": 3}
    assert [(c.collection, c.document_id, c.labels) for c in summary.changes] == [
        ("tickets_by_team", "2026-11-22|Billing", on | {"assigned_team": "Billing"}),
        (
            "tickets_by_team",
            "2026-11-22|Technical Support",
            on | {"assigned_team": "Technical Support"},
        ),
        ("tickets_by_type", "2026-11-22|billing", on | {"request_type": "billing"}),
        ("tickets_by_priority", "2026-11-22|low", on | {"priority": "low"}),
        ("ticket_metrics", "2026-11-22", on),
    ]
    assert [c.values for c in summary.changes[:4]] == [
        {"count": 3},
        {"count": 4},
        {"count": 3},
        {"count": 6},
    ]
    metrics = summary.changes[4]
    assert metrics.values == {
        "total_tickets": 7,
        "billing_count": 3,
        "technical_count": 4,
        "account_count": 0,
        "general_count": 0,
        "critical_priority_count": 1,
        "clients_sketch": sketch("C1", "C2", "C3"),
    }
    assert derived(metrics.aggregate, metrics.values) == {"unique_clients": 3}


def test_profile_rows_become_the_documents_of_each_collection() -> None:
    profiles = PROFILES.aggregates
    summary = roll_up(
        [
            row(profiles, 0, {}, {RECORDS: 3}),
            row(profiles, 0, {}, {RECORDS: 2}, "filtered"),
            row(profiles, 0, {}, {RECORDS: 1}, "rejected", ["missing_email"]),
            row(profiles, 2, {"gender": "female"}, {RECORDS: 2}),
            # An absent value and the text that stands for it share a document.
            row(profiles, 2, {"gender": None}, {RECORDS: 1}),
            row(profiles, 2, {"gender": "unknown"}, {RECORDS: 4}),
            row(profiles, 3, {"age_band": "14-17"}, {RECORDS: 3}),
            row(profiles, 4, {"domain_name": "example.com"}, {RECORDS: 3}),
            row(profiles, 5, {}, {RECORDS: 3, Part("sum", "age"): 90}),
        ],
        profiles,
    )

    by_gender, by_band, by_domain, metrics = profiles[1:]
    assert summary.outcomes == {"valid": 3, "filtered": 2, "rejected": 1}
    assert summary.reasons == {"missing_email": 1}
    female, unknown = {"gender": "female"}, {"gender": "unknown"}
    domain = {"domain_name": "example.com"}
    assert summary.changes == [
        Change("profiles_by_gender", "female", female, {"count": 2}, by_gender),
        Change("profiles_by_gender", "unknown", unknown, {"count": 5}, by_gender),
        Change("profiles_by_age_band", "14-17", {"age_band": "14-17"}, {"count": 3}, by_band),
        Change("profiles_by_domain", "example.com", domain, {"count": 3}, by_domain),
        Change("profile_metrics", "all", {}, {"total_profiles": 3, "age_sum": 90}, metrics),
    ]
    assert derived(metrics, summary.changes[-1].values) == {"average_age": 30.0}


def test_batch_without_a_valid_record_changes_no_document() -> None:
    rejected = row(PROFILES.aggregates, 0, {}, {RECORDS: 2}, "filtered")

    assert roll_up([rejected], PROFILES.aggregates).changes == []
    assert roll_up([], PROFILES.aggregates).changes == []


PAID = "status = 'paid'"
MEASURES = {
    "count": count(),
    "big": count("amount > 100"),
    "revenue": total("amount"),
    "lowest": minimum("amount"),
    "latest": maximum("created_at"),
    "mean": average("amount"),
    "buyers": distinct("customer_id"),
}
PAID_ORDERS = Aggregate("paid_orders", (DAY, "country"), MEASURES, PAID)


def test_parts_of_measures_are_named_after_them_and_take_both_conditions() -> None:
    assert PAID_ORDERS.parts == {
        "count": Part("count", None, f"({PAID})"),
        "big": Part("count", None, f"({PAID}) AND (amount > 100)"),
        "revenue": Part("sum", "amount", f"({PAID})"),
        "lowest": Part("min", "amount", f"({PAID})"),
        "latest": Part("max", "created_at", f"({PAID})"),
        "mean_sum": Part("sum", "amount", f"({PAID})"),
        "mean_count": Part("count", "amount", f"({PAID})"),
        "buyers_sketch": Part("sketch", "customer_id", f"({PAID})"),
    }
    # The same number is computed once.
    assert len(all_parts([PAID_ORDERS])) == len({*PAID_ORDERS.parts.values(), RECORDS})


def test_aggregates_with_the_same_dimensions_share_a_grouping() -> None:
    counts = Aggregate("a", (DAY, "country"), {"count": count()})
    totals = Aggregate("b", (day("created_at"), "country"), {"sum": total("amount")})

    assert all_groupings([counts, totals]) == (counts.dimensions,)
    assert all_groupings([counts, Aggregate("c")]) == (counts.dimensions, ())


def test_group_without_a_record_that_meets_the_condition_has_no_document() -> None:
    every = Aggregate("every", ("country",), {"count": count()})
    paid = Aggregate("paid", ("country",), {"count": count()}, PAID)
    both = (every, paid)
    rows = [
        row(both, 1, {"country": "FR"}, {RECORDS: 3, paid.rows: 0}),
        row(both, 1, {"country": "DE"}, {RECORDS: 2, paid.rows: 1, paid.parts["count"]: 1}),
    ]

    found = {(c.collection, c.document_id): c.values for c in roll_up(rows, both).changes}
    assert found == {
        ("every", "FR"): {"count": 3},
        ("every", "DE"): {"count": 2},
        ("paid", "DE"): {"count": 1},
    }


@pytest.mark.parametrize(
    ("by", "values", "name", "labels"),
    [
        ((), {}, "all", {}),
        ((hour("at"),), {"hour": "2026-11-22T05"}, "2026-11-22T05", {"hour": "2026-11-22T05"}),
        (("site",), {"site": 7}, "7", {"site": 7}),
        (("site",), {"site": -1}, "-1", {"site": -1}),
        (("is_open",), {"is_open": True}, "true", {"is_open": True}),
        (("is_open",), {"is_open": False}, "false", {"is_open": False}),
        (("site",), {"site": None}, "unknown", {"site": "unknown"}),
        (("site",), {"site": "a|b"}, "a|b", {"site": "a|b"}),
        (("a", "b"), {"a": "x|y", "b": "z"}, "x\\|y|z", {"a": "x|y", "b": "z"}),
        (("a", "b"), {"a": "x", "b": "y|z"}, "x|y\\|z", {"a": "x", "b": "y|z"}),
        (("a", "b"), {"a": "x\\", "b": "y"}, "x\\\\|y", {"a": "x\\", "b": "y"}),
        (("a", "b"), {"a": "", "b": ""}, "|", {"a": "", "b": ""}),
    ],
)
def test_document_is_named_by_its_dimensions(
    by: tuple[Any, ...], values: dict[str, Any], name: str, labels: dict[str, Any]
) -> None:
    aggregates = (Aggregate("a", by, {"count": count()}),)

    (change,) = roll_up([row(aggregates, 1, values, {RECORDS: 1})], aggregates).changes

    assert (change.document_id, change.labels) == (name, labels)


AT_NOON = datetime(2026, 11, 22, 12, 0, 0, 5000, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "read"),
    [
        (Decimal("12.50"), Decimal("12.50")),
        (Decimal("9223372036854775808"), 2**63),
        (5, 5),
        (0.5, 0.5),
        ("é", "é"),
        (Micros(1_795_348_800_005_000), AT_NOON),
        (Micros(-2_208_988_800_000_000), datetime(1900, 1, 1, tzinfo=UTC)),
        (Micros(253_402_300_799_999_000), datetime(9999, 12, 31, 23, 59, 59, 999_000, tzinfo=UTC)),
        (None, None),
    ],
)
def test_extreme_is_read_as_the_value_that_was_stored(value: Any, read: Any) -> None:
    aggregates = (Aggregate("a", (), {"lowest": minimum("value")}),)
    parts = {RECORDS: 1, Part("min", "value"): value}

    (change,) = roll_up([row(aggregates, 1, {}, parts)], aggregates).changes

    assert change.values == {"lowest": read}
    assert type(change.values["lowest"]) is type(read)


def test_sum_without_values_is_zero_and_an_average_without_values_is_null() -> None:
    aggregates = (Aggregate("a", (), {"sum": total("x"), "mean": average("x")}),)

    (change,) = roll_up([row(aggregates, 1, {}, {RECORDS: 2})], aggregates).changes

    assert change.values == {"sum": 0, "mean_sum": 0, "mean_count": 0}
    assert derived(aggregates[0], change.values) == {"mean": None}


ALL = Aggregate(
    "all",
    (),
    {"n": count(), "sum": total("x"), "low": minimum("x"), "high": maximum("x")},
)


@pytest.mark.parametrize(
    ("before", "batch", "after"),
    [
        ({}, (1, -5, -5, -5), (1, -5, -5, -5)),
        ((2, 7, 3, 4), (1, -10, -10, -10), (3, -3, -10, 4)),
        ((2, 7, 3, 4), (1, 0, None, None), (3, 7, 3, 4)),
        ((1, 0, None, None), (1, 2, 2, 2), (2, 2, 2, 2)),
        ((1, 2**63 - 1, 0, 0), (1, 1, 0, 0), (2, 2**63, 0, 0)),
        ((1, 2**80, 0, 0), (1, -(2**80) + 3, 0, 0), (2, 3, 0, 0)),
        (
            (1, Decimal("99999999999999999999.99"), Decimal(1), Decimal(1)),
            (1, Decimal("0.02"), Decimal("0.02"), Decimal("0.02")),
            (2, Decimal("100000000000000000000.01"), Decimal("0.02"), Decimal(1)),
        ),
        (
            (1, 0, None, None),
            (1, Decimal("1.10"), Decimal(1), Decimal(1)),
            (2, Decimal("1.10"), Decimal(1), Decimal(1)),
        ),
        ((1, 0.1, 0.1, 0.1), (1, 0.2, 0.2, 0.2), (2, 0.1 + 0.2, 0.1, 0.2)),
        ((1, 1, "b", "b"), (1, 1, "a", "ｚ"), (2, 2, "a", "ｚ")),
    ],
)
def test_batch_is_added_exactly(before: Any, batch: Any, after: Any) -> None:
    fields = ("n", "sum", "low", "high")
    document = dict(zip(fields, before, strict=True)) if before else {}

    found = merged(ALL, document, dict(zip(fields, batch, strict=True)))

    assert tuple(found.values()) == after
    assert [type(value) for value in found.values()] == [type(value) for value in after]


def test_sum_that_no_decimal_of_the_store_can_hold_is_refused_not_rounded() -> None:
    before = {"n": 1, "sum": Decimal("9" * 34), "low": None, "high": None}
    batch = {"n": 1, "sum": Decimal("0.1"), "low": None, "high": None}

    with pytest.raises(ArithmeticError):
        merged(ALL, before, batch)


def test_average_of_decimals_is_a_decimal_and_of_others_a_double() -> None:
    mean = Aggregate("a", (), {"mean": average("x")})

    assert derived(mean, {"mean_sum": Decimal("10.00"), "mean_count": 3}) == {
        "mean": Decimal("3.333333333333333333333333333333333")
    }
    assert derived(mean, {"mean_sum": 10, "mean_count": 4}) == {"mean": 2.5}
    assert derived(mean, {"mean_sum": -0.5, "mean_count": 2}) == {"mean": -0.25}


def test_sketches_merge_to_the_number_of_distinct_clients() -> None:
    two = merge_sketches([sketch("C1", "C2"), None, sketch("C2", "C3")])

    assert estimate(two) == 3
    assert estimate(merge_sketches([])) == 0
    clients = Aggregate("a", (), {"clients": distinct("client_id")})
    after = merged(clients, {"clients_sketch": two}, {"clients_sketch": sketch("C4")})
    assert derived(clients, after) == {"clients": 4}


@pytest.mark.parametrize("aggregate", [*TICKETS.aggregates, *PROFILES.aggregates, PAID_ORDERS])
def test_declaration_without_faults_has_none(aggregate: Aggregate) -> None:
    assert aggregate.faults() == []


@pytest.mark.parametrize(
    ("aggregate", "faults"),
    [
        (Aggregate("a"), ["it has no measure"]),
        (Aggregate("batches", (), {"n": count()}), ["the name cannot be used"]),
        (Aggregate("a.b", (), {"n": count()}), ["the name cannot be used"]),
        (Aggregate("a", ("applied",), {"n": count()}), ["field `applied` cannot be used"]),
        (Aggregate("a", (), {"$n": count(), "_id": count()}), ["field `$n`", "field `_id`"]),
        (Aggregate("a", ("n",), {"n": count()}), ["field `n` is declared 2 times"]),
        (Aggregate("a", (day("x"), day("y")), {"n": count()}), ["field `day` is declared 2 times"]),
        (
            Aggregate("a", ("mean_sum",), {"mean": average("x")}),
            ["field `mean_sum` is declared 2 times"],
        ),
        (
            Aggregate("a", (), {"low": minimum("x"), "mean": average("x", parts=("low", "n"))}),
            ["part `low` of an average is a minimum"],
        ),
        (Aggregate("batches", ("_id",)), ["field `_id`", "the name", "it has no measure"]),
    ],
)
def test_faults_of_a_declaration_are_all_named(aggregate: Aggregate, faults: list[str]) -> None:
    found = aggregate.faults()

    assert len(found) == len(faults)
    for sentence, beginning in zip(found, faults, strict=True):
        assert sentence.startswith(f"aggregate `{aggregate.name}`: {beginning}")
