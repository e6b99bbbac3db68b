"""Records made from a contract: repeatable, with different ids, within every rule."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections import Counter
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from errors import DeliveryError
from producers.messages import Message
from producers.record_faults import KINDS
from producers.record_generator import RecordGenerator
from schemas.contract import Contract, contract_from
from settings import PROJECT_ROOT
from tests.support.rich_contracts import rich_contract

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
NAMES = ["orders", "readings", "members"]
ID = {"type": "string", "x-id": True}


def contract(**fields: dict[str, Any]) -> Contract:
    """A contract of required fields; its id is `id` unless a field has `x-id`."""
    if not any("x-id" in field for field in fields.values()):
        fields = {"id": ID, **fields}
    properties = {
        name: {"x-sensitivity": "public", "x-column": name.lower(), **field}
        for name, field in fields.items()
    }
    document = {"type": "object", "required": [*fields], "properties": properties}
    return contract_from("tested", document, stands_alone=True)


def made(of: Contract, count: int = 200, seed: int = 1, **options: Any) -> list[Message]:
    return [*RecordGenerator(of, seed, count=count, now=NOW, **options).messages()]


def values(field: dict[str, Any], count: int = 200) -> list[Any]:
    """What is made of one field, with numbers as their text."""
    of = contract(x=field)
    texts = (message.value for message in made(of, count))
    return [json.loads(text, parse_float=Decimal)["x"] for text in texts]


@pytest.mark.parametrize("name", NAMES)
def test_same_seed_and_instant_make_the_same_bytes(name: str) -> None:
    options = {"invalid_ratio": 0.2, "duplicate_ratio": 0.2}
    first, again, other = (made(rich_contract(name), seed=seed, **options) for seed in (5, 5, 6))

    assert first == again
    assert first != other


def test_another_process_makes_the_same_bytes() -> None:
    code = (
        "from tests.unit.test_generated_records import *;"
        "print(hash(tuple(made(rich_contract('members'), invalid_ratio=.3)) and 'x') and"
        " [m for m in made(rich_contract('members'), invalid_ratio=.3)])"
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-c", code],
            cwd=PROJECT_ROOT, env={"PYTHONHASHSEED": seed}, capture_output=True, check=True,
        ).stdout
        for seed in ("1", "2")
    }  # fmt: skip

    assert outputs == {f"{made(rich_contract('members'), invalid_ratio=0.3)}\n".encode()}


def test_a_shorter_run_is_the_beginning_of_a_longer_one() -> None:
    of = rich_contract("members")

    assert made(of, 10) == made(of, 100)[:10]


def test_count_zero_has_no_end() -> None:
    endless = RecordGenerator(rich_contract("readings"), 1).messages()

    assert len({next(endless).key for _ in range(2500)}) == 2500


@pytest.mark.parametrize("name", NAMES)
def test_ids_differ_within_a_run_and_between_seeds(name: str) -> None:
    keys = [message.key for seed in (1, 2, 3) for message in made(rich_contract(name), 500, seed)]

    assert len({*keys}) == 1500


@pytest.mark.parametrize(
    "field",
    [
        {"type": "string"},
        {"type": "string", "maxLength": 6},
        {"type": "string", "minLength": 40},
        {"type": "string", "pattern": "^[A-Z]{2}[0-9]{3}$"},
        {"type": "string", "pattern": "^(?=.*[0-9])[a-z0-9]{4}$"},
        {"type": "string", "format": "uuid"},
        {"type": "string", "format": "uuid", "pattern": "^[0-9a-f-]{35}[0-9]$"},
        {"type": "string", "format": "email"},
        {"type": "string", "format": "timestamp"},
        {"type": "string", "format": "date"},
        {"type": "string", "enum": [f"v{n}" for n in range(2000)]},
        {"type": "integer"},
        {"type": "integer", "minimum": -1000, "maximum": 999},
        {"type": "integer", "x-epoch": "seconds"},
        {"type": "integer", "x-epoch": "milliseconds", "maximum": 10_000_000},
    ],
)
def test_ids_of_every_kind_differ(field: dict[str, Any]) -> None:
    found = made(contract(n={"x-id": True, **field}), 2000)

    assert len({message.key for message in found}) == 2000
    assert all(json.loads(value)["n"] == _typed(key, field) for key, value in found)


def _typed(key: bytes | None, field: dict[str, Any]) -> Any:
    text = (key or b"").decode()
    return int(text) if field["type"] == "integer" else text


def test_of_an_id_of_several_fields_all_but_one_have_few_values() -> None:
    found = [json.loads(value) for _, value in made(rich_contract("readings"), 2000)]

    assert len({record["device"] for record in found}) == 50
    assert len({record["at"] for record in found}) > 1900


@pytest.mark.parametrize(
    ("field", "count", "size"),
    [
        ({"type": "string", "pattern": "^[0-9]{2}$"}, 101, 100),
        ({"type": "string", "enum": ["a", "b"]}, 3, 2),
        ({"type": "integer", "minimum": 1.5, "maximum": 5}, 5, 4),
        ({"type": "string", "pattern": "^(?=.*7)[0-9]{2}$"}, 20, 19),
    ],
)
def test_too_few_ids_are_reported_with_how_many_there_are(
    field: dict[str, Any], count: int, size: int
) -> None:
    of = contract(n={"x-id": True, **field})

    assert len({message.key for message in made(of, size)}) == size
    with pytest.raises(DeliveryError, match=rf"only {size} different ids .*`n`.*`--count`"):
        made(of, count)


def test_too_few_ids_are_reported_before_anything_is_made() -> None:
    of = contract(n={"x-id": True, "type": "string", "pattern": "^[0-9]{2}$"})

    with pytest.raises(DeliveryError, match="only 100 different ids"):
        RecordGenerator(of, 1, count=101)
    assert len(made(of, 150, duplicate_ratio=0.6)) == 150


@pytest.mark.parametrize(
    ("field", "low", "high"),
    [
        ({"type": "integer", "minimum": 3, "maximum": 5}, 3, 5),
        ({"type": "integer", "minimum": 2**63 - 3}, 2**63 - 3, 2**63 - 1),
        ({"type": "integer", "maximum": -(2**63) + 2}, -(2**63), -(2**63) + 2),
        ({"type": "integer", "minimum": 0.5, "maximum": 1.5}, 1, 1),
        ({"type": "integer"}, 0, 100_000),
        ({"type": "number", "minimum": -0.5, "maximum": 0.5}, Decimal("-0.5"), Decimal("0.5")),
        ({"type": "number", "minimum": 1e300, "maximum": 2e300}, 10**300, 2 * 10**300),
        ({"type": "number", "minimum": 7, "maximum": 7}, 7, 7),
        ({"type": "number", "format": "decimal", "x-precision": 4, "x-scale": 4},
         Decimal("0"), Decimal("0.9999")),
        ({"type": "number", "format": "decimal", "x-precision": 38, "x-scale": 2,
          "minimum": -1, "maximum": 1}, Decimal(-1), Decimal(1)),
    ],
)  # fmt: skip
def test_numbers_stay_within_their_bounds(field: dict[str, Any], low: Any, high: Any) -> None:
    found = values(field)

    assert low <= min(found)
    assert max(found) <= high
    assert len({*found}) > 1 or low == high


def test_a_few_numbers_without_a_maximum_are_much_greater() -> None:
    for shape in ({"type": "integer", "minimum": 0}, {"type": "number"}):
        great = sum(value > 1000 for value in values(shape, 1000))

        assert 5 < great < 80


def test_decimals_have_all_their_digits_and_are_numbers_or_texts_as_allowed() -> None:
    shape = {"format": "decimal", "x-precision": 38, "x-scale": 20}
    texts = made(contract(x={"type": ["string", "number"], **shape}))

    forms = Counter(
        re.fullmatch(rb'.*"x":("?)[0-9]{1,6}\.[0-9]{20}"?}', value)[1]  # type: ignore[index]
        for _, value in texts
    )
    assert {*forms} == {b"", b'"'}
    assert {type(value) for value in values({"type": "string", **shape})} == {str}


def test_instants_lie_in_the_week_before_and_never_ahead() -> None:
    shapes: list[tuple[dict[str, Any], float]] = [
        ({"type": "integer", "x-epoch": "seconds"}, 1),
        ({"type": "integer", "x-epoch": "milliseconds"}, 1e3),
        ({"type": "integer", "x-epoch": "microseconds"}, 1e6),
    ]
    week = (NOW - timedelta(days=7, seconds=1)).timestamp(), NOW.timestamp()
    for shape, unit in shapes:
        found = [value / unit for value in values(shape)]
        assert week[0] <= min(found) < max(found) <= week[1]
    texts = [
        datetime.fromisoformat(text) for text in values({"type": "string", "format": "timestamp"})
    ]
    assert week[0] <= min(texts).timestamp() < max(texts).timestamp() <= week[1]
    days = values({"type": "string", "format": "date", "x-event-time": True})
    assert {*days} <= {f"2026-11-{day}" for day in range(15, 23)}


@pytest.mark.parametrize(
    ("pattern", "form"),
    [
        ("^.*Z$", r".*\.\d{3}Z"),
        ("^[^.]*Z$", r"[^.]*Z"),
        ("^.*[+]00:00$", r".*\+00:00"),
        ("^[^+]*[+]0000$", r".*\+0000"),
        ("^2026-11-2.*$", r"2026-11-2.*"),
    ],
)
def test_timestamps_have_the_form_that_the_pattern_asks_for(pattern: str, form: str) -> None:
    found = values({"type": "string", "format": "timestamp", "pattern": pattern})

    assert all(re.fullmatch(form, text) for text in found)


@pytest.mark.parametrize(
    ("name", "field", "form"),
    [
        ("firstName", {}, r"\S.*"),
        ("mail", {"format": "email", "maxLength": 8}, r"[^@ ]+@[^@ ]{1,6}"),
        ("contact", {"format": "email"}, r"[a-z]+\.[a-z]+\d+@example\.(com|net|org)"),
        ("phone", {"pattern": "^[+][0-9]{8,12}$"}, r"\+[0-9]{8,12}"),
        ("phone", {}, r"[+0-9() -]+"),
        ("city", {"maxLength": 3}, r"\S{1,3}|\S.\S"),
        ("note", {"minLength": 200, "maxLength": 210}, r".{200,210}"),
        ("code", {"pattern": "^(?:AB|CD)-[0-9]{3}$"}, r"(?:AB|CD)-[0-9]{3}"),
        ("x", {"minLength": 2, "maxLength": 2}, r"\S\S"),
    ],
)
def test_texts_follow_their_name_as_far_as_pattern_and_lengths_allow(
    name: str, field: dict[str, Any], form: str
) -> None:
    of = contract(**{name: {"type": "string", **field}})
    found = [json.loads(value)[name] for _, value in made(of)]

    assert all(re.fullmatch(form, text) for text in found), found[:5]
    assert len({*found}) > 5


def test_enumerations_have_synonyms_sometimes_and_every_value() -> None:
    found = Counter(
        values({"type": "string", "enum": ["paid", "new"], "x-synonyms": {"bezahlt": "paid"}})
    )

    assert {*found} == {"paid", "new", "bezahlt"}
    assert found["bezahlt"] < found["paid"]


def test_optional_fields_and_objects_are_sometimes_absent_or_null() -> None:
    records = [json.loads(value) for _, value in made(rich_contract("orders"), 300)]

    gifts = Counter(str(record.get("is_gift", "absent")) for record in records)
    assert {*gifts} == {"True", "False", "None", "absent"}
    addresses = [record["customer"].get("address") for record in records]
    assert None in addresses
    assert all("city" in each and "lat" in each["geo"] for each in addresses if each)
    assert any("lon" not in each["geo"] for each in addresses if each)
    assert all("source" in record for record in records)


def test_what_must_never_be_sent_is_never_made() -> None:
    assert not any(b'"secret"' in message.value for message in made(rich_contract("members")))


def test_text_stands_for_a_number_sometimes_where_the_contract_lets_it() -> None:
    kinds = {type(value) for value in values({"type": "integer", "x-coerce": True})}

    assert kinds == {int, str}
    assert {type(value) for value in values({"type": "integer"})} == {int}


@pytest.mark.parametrize("name", NAMES)
def test_shares_of_faults_and_repeats_are_as_asked_and_counted(name: str) -> None:
    of = rich_contract(name)
    generator = RecordGenerator(of, 3, count=2000, now=NOW, invalid_ratio=0.3, duplicate_ratio=0.2)

    found = [*generator.messages()]

    counts = generator.made
    invalid = {kind: counts[f"invalid: {kind}"] for kind in KINDS}
    assert sum(counts.values()) == len(found) == 2000
    assert sum(invalid.values()) == pytest.approx(600, abs=80)
    assert counts["duplicate"] == pytest.approx(400, abs=80)
    # Each kind in turn.
    assert max(invalid.values()) - min(invalid.values()) <= 1


def test_repeats_have_the_id_of_an_earlier_record_as_a_whole_or_with_other_values() -> None:
    found = made(rich_contract("orders"), 500, duplicate_ratio=0.3)

    first = {message.key: message.value for message in reversed(found)}
    kinds = Counter((value == first[key], key) for key, value in found)
    others = sum(count for (is_same, _), count in kinds.items() if not is_same)
    same = len(found) - others - len(first)
    assert len(found) - len(first) == pytest.approx(150, abs=40)
    assert 20 < same < others


@pytest.mark.parametrize(
    "field",
    [
        {"type": "integer", "minimum": 0.2, "maximum": 0.8},
        {"type": "string", "format": "timestamp", "pattern": "^never$"},
        {"type": "string", "pattern": "^[a-z]{3}$", "minLength": 5},
        {"type": "string", "pattern": "^([a-z]{20})-\\1$"},
        {"type": "integer", "x-epoch": "seconds", "minimum": 32503679999, "x-event-time": True},
        {"type": "number", "format": "decimal", "x-precision": 3, "x-scale": 0,
         "minimum": 1, "maximum": 2, "x-coerce": True, "$comment": "fits"},
    ],
)  # fmt: skip
def test_a_field_of_which_no_value_can_be_made_is_named(field: dict[str, Any]) -> None:
    if field.get("$comment") == "fits":
        assert {str(value) for value in values(field)} == {"1", "2"}
        return
    with pytest.raises(DeliveryError, match=r"No value of `x` can be generated"):
        values(field)
