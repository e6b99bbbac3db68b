"""Ids and event times that `millrace new` finds."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from errors import PipelineError
from operations.new.proposal import Proposal, proposal
from operations.new.sample import Sample

MICROS = 1_767_323_045_678_901
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


def proposed(records: list[dict[str, Any]], *ids: str, name: str = "orders") -> Proposal:
    read = json.loads(json.dumps(records), parse_float=Decimal)
    return proposal(Sample("sample.jsonl", "json", read), name, ids, NOW)


def ids(records: list[dict[str, Any]], *asked: str, name: str = "orders") -> tuple[str, ...]:
    return proposed(records, *asked, name=name).plan.ids


def event_time(*records: dict[str, Any]) -> str | None:
    fields = proposed([{"id": n, **record} for n, record in enumerate(records)]).fields
    return next((each.column for each in fields if each.field.is_event_time), None)


@pytest.mark.parametrize(
    ("records", "expected"),
    [
        ([{"a": n, "id": n} for n in range(5)], "id"),
        ([{"customer_id": n, "order_id": n} for n in range(5)], "order_id"),
        ([{"customer_id": n % 2, "number": f"A{n}"} for n in range(5)], "number"),
        ([{"customer_id": n, "id": n, "orderId": n} for n in range(5)], "id"),
        ([{"Buchungsnummer": n, "x": n} for n in range(5)], "buchungsnummer"),
        ([{"x": f"00000000-0000-4000-8000-00000000000{n}"} for n in range(5)], "x"),
        ([{"sku": "x1", "x": n} for n in range(1)], "sku"),
        ([{"ticket": f"T{n}", "x": n} for n in range(5)], "ticket"),
        ([{"customer": {"id": n}, "reference": f"r{n}"} for n in range(5)], "reference"),
        (
            [{"login": {"uuid": f"00000000-0000-4000-8000-00000000000{n}"}} for n in range(5)],
            "login_uuid",
        ),
    ],
)
def test_the_likeliest_field_that_differs_is_the_id(
    records: list[dict[str, Any]], expected: str
) -> None:
    assert ids(records) == (expected,)


def test_copies_of_a_record_do_not_hide_its_id() -> None:
    records = [{"id": n, "amount": n} for n in range(5)]

    made = proposed([*records, records[2], records[2]])

    assert made.plan.ids == ("id",)
    assert made.repeats == 2


def reading(sensor: str, second: int, metric: str = "t", **more: Any) -> dict[str, Any]:
    at = f"2026-01-02T03:04:{second:02}Z"
    return {"sensor_id": sensor, "metric": metric, "time": at, "value": 1.5, **more}


def test_a_device_and_its_time_are_an_id() -> None:
    records = [reading(sensor, second) for sensor in "ab" for second in range(5)]

    assert ids(records) == ("sensor_id", "time")
    # In a short sample a device may come once.
    assert ids([reading("a", 1), reading("b", 1)]) == ("sensor_id", "time")
    assert ids([reading("a", 1)]) == ("sensor_id", "time")


def test_a_third_field_is_taken_if_two_do_not_do() -> None:
    records = [reading(s, at, m) for s in "ab" for at in range(5) for m in ("t", "h")]

    assert ids(records) == ("sensor_id", "metric", "time")


def test_instants_in_one_millisecond_are_one_instant() -> None:
    at = "2026-01-02T03:04:05.0001{}Z"
    records = [{"sensor_id": "a", "time": at.format(n), "x": n} for n in range(3)]

    with pytest.raises(PipelineError, match="The sample has no id"):
        ids(records)


def test_without_an_id_the_fields_that_would_do_are_named() -> None:
    records = [{"path": f"/{n}", "at": "2026-01-02T03:04:05Z", "size": n % 2} for n in range(4)]

    with pytest.raises(PipelineError) as caught:
        ids(records)

    assert "Name the field, or fields, that identify a record with `--id FIELD,…`" in str(
        caught.value
    )
    assert "These differ in every record of the sample: `--id path`" in str(caught.value)
    with pytest.raises(PipelineError, match="No two fields together differ"):
        ids([{"a": 1, "b": 1, "n": n} for n in (0.1, 0.2)])


def test_personal_data_is_an_id_only_when_asked() -> None:
    records = [{"email": f"a{n}@example.com", "n": 1} for n in range(4)]
    with pytest.raises(PipelineError):
        ids(records)

    made = proposed(records, "email")

    assert made.plan.ids == ("email",)
    assert made.plan.clear == ("email",)
    assert made.contract["properties"]["email"]["x-sensitivity"] == "personal"


def test_asked_ids_become_types_that_an_id_can_have() -> None:
    made = proposed([{"a": 1.5, "b": {"c": "x"}, "d": 1} for _ in range(3)], "b.c", "a")

    assert made.plan.ids == ("a", "b_c")
    assert made.contract["properties"]["a"]["type"] == ["string", "number"]
    assert made.repeats == 2


def test_all_faults_of_asked_ids_are_said_at_once() -> None:
    record: dict[str, Any] = {"amount": 1, "ok": True, "tags": [1], "text": "x" * 256, "pin": "1"}
    record["created"] = MICROS
    records: list[dict[str, Any]] = [record | {"note": "a"}, record]

    with pytest.raises(PipelineError) as caught:
        ids(records, "amuont", "ok", "tags", "note", "text", "pin", "created")

    assert str(caught.value).splitlines()[1:] == [
        "  - `amuont`: the sample has no such field. Did you mean `amount`?",
        "  - `ok`: a boolean identifies nothing",
        "  - `tags`: an array identifies nothing",
        "  - `note`: absent, null or blank in 1 record(s)",
        "  - `text`: a text of more than 255 characters, which no store takes as key",
        "  - `pin`: its name means a secret, and an id is stored as it is",
        "  - `created`: an instant in microseconds, and instants are stored by the millisecond",
    ]


def test_an_instant_in_microseconds_is_never_proposed_as_part_of_an_id() -> None:
    records = [{"device": "a", "created": MICROS + n * 1_000} for n in range(5)]

    with pytest.raises(PipelineError, match="The sample has no id"):
        ids(records)


EARLY, LATE = "2026-01-02T03:04:05Z", "2026-11-22T12:00:01Z"


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        ({"updated_at": EARLY, "created_at": EARLY}, "created_at"),
        ({"shipped_at": EARLY, "timestamp": EARLY}, "timestamp"),
        ({"day": "2026-01-02", "x": EARLY}, "x"),
        ({"booked": "2026-01-02"}, "booked"),
        ({"ts": 1_767_323_045}, "ts"),
        ({"created_at": LATE, "at": EARLY}, "at"),
        ({"expires_at": EARLY}, None),
        ({"birth_date": "1990-01-02"}, None),
        ({"times": [EARLY]}, None),
        ({"text": "2026-01-02 03:04:05"}, None),
    ],
)
def test_the_event_time_is_when_it_happened(record: dict[str, Any], expected: str | None) -> None:
    assert event_time(record, record) == (
        expected if expected != "timestamp_value" else "timestamp"
    )


def test_a_time_that_is_always_there_comes_before_one_that_is_not() -> None:
    assert event_time({"created_at": EARLY, "seen": EARLY}, {"seen": EARLY}) == "seen"
    assert event_time({"created_at": EARLY}, {"x": 1}, {"created_at": EARLY}) == "created_at"
    assert event_time({"created_at": EARLY}, {"x": 1}, {"x": 1}) is None
