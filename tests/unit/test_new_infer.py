"""Types that `millrace new` gives the fields of a sample."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from operations.new.guess import Guess
from operations.new.infer import infer
from operations.new.observed import Observed, observe


def guess(name: str, *values: Any, records: int = 0, **options: bool) -> Guess | str:
    sent = json.loads(json.dumps(values), parse_float=Decimal)
    absent = [None] * max(0, records - len(sent))
    return infer(Observed((name,), [*sent, *absent], (len(sent),)), **options)


def keywords(name: str, *values: Any, **options: bool) -> dict[str, Any]:
    found = guess(name, *values, **options)
    assert isinstance(found, Guess), found
    return dict(found.keywords)


@pytest.mark.parametrize(
    ("name", "values", "expected"),
    [
        ("n", [1, -5], {"type": "integer"}),
        ("n", [2**63 - 1], {"type": "integer"}),
        ("n", [2**63], {"type": ["string", "number"], "maxLength": 64}),
        ("n", [1, 2.5], {"type": "number"}),
        ("n", ["1.0"], {"type": "string", "maxLength": 64}),
        ("ok", [True, False], {"type": "boolean"}),
        # A later code may have a letter, or a zero in front.
        ("code", ["a1", 5], {"type": ["string", "number"], "maxLength": 64}),
        ("at", ["2026-01-02T03:04:05.123456Z"], {"type": "string", "format": "timestamp"}),
        ("at", ["2026-01-02t03:04:05+0200"], {"type": "string", "format": "timestamp"}),
        ("at", ["2026-02-30T03:04:05Z"], {"type": "string", "maxLength": 64}),
        ("at", ["2026-01-02 03:04:05"], {"type": "string", "maxLength": 64}),
        ("on", ["2026-01-02", "1900-01-01"], {"type": "string", "format": "date"}),
        ("on", ["1899-12-31"], {"type": "string", "maxLength": 64}),
        ("u", ["00000000-0000-4000-8000-00000000000A"], {"type": "string", "format": "uuid"}),
        ("e", ["a@example.com"], {"type": "string", "format": "email"}),
        ("e", ["a@example.com", "none"], {"type": "string", "maxLength": 64}),
        (
            "u",
            [" 00000000-0000-4000-8000-00000000000A"],
            {"type": "string", "format": "uuid", "x-trim": True},
        ),
        ("text", ["x" * 40], {"type": "string", "maxLength": 128}),
        ("text", ["x" * 40_000], {"type": "string", "maxLength": 160_000}),
        ("ts", [1_767_323_045], {"type": "integer", "x-epoch": "seconds"}),
        ("ts", [1_767_323_045_678], {"type": "integer", "x-epoch": "milliseconds"}),
        ("created", [1_767_323_045_678_901], {"type": "integer", "x-epoch": "microseconds"}),
        # Of another magnitude, of two, or of a name that means no time.
        ("ts", [1_767_323_045_678_901_234], {"type": "integer"}),
        ("ts", [1_767_323_045, 1_767_323_045_678], {"type": "integer"}),
        ("views", [1_767_323_045], {"type": "integer"}),
        ("tags", [["a"], []], {"type": "array", "items": {"type": "string", "maxLength": 64}}),
        ("tags", [[1, 2]], {"type": "array", "items": {"type": "integer"}}),
        (
            "tags",
            [[1, "a"]],
            {"type": "array", "items": {"type": ["string", "number"], "maxLength": 64}},
        ),
        ("tags", [["a"] * 9], {"type": "array", "items": {"type": "string", "maxLength": 64}}),
    ],
)
def test_a_type_is_what_all_values_have(
    name: str, values: list[Any], expected: dict[str, Any]
) -> None:
    assert keywords(name, *values) == expected


@pytest.mark.parametrize(
    ("name", "values", "expected"),
    [
        # 12 digits before the point, as many after it as were seen, two at least.
        ("amount", [1, 2.5], (["string", "number"], 14, 2)),
        ("unitPrice", [0.125], (["string", "number"], 15, 3)),
        ("Betrag", ["1.50"], ("string", 14, 2)),
        ("total", ["12345678901234.5"], ("string", 18, 2)),
    ],
)
def test_money_is_exact(name: str, values: list[Any], expected: tuple[Any, int, int]) -> None:
    found = keywords(name, *values)

    assert found["format"] == "decimal"
    assert (found["type"], found["x-precision"], found["x-scale"]) == expected


def test_what_is_no_money_or_has_a_doubles_digits_is_a_number() -> None:
    assert keywords("temperature", 1.5) == {"type": "number"}
    assert keywords("amount", 0.1 + 0.2) == {"type": "number"}
    assert keywords("amount", 12.5, exact=False) == {"type": "number"}
    assert keywords("price_cents", 1250) == {"type": "integer"}
    assert keywords("payment_id", 7) == {"type": "integer"}


@pytest.mark.parametrize(
    ("name", "values", "expected"),
    [
        ("n", ["1", " -5 "], {"type": "integer", "x-coerce": True}),
        ("n", ["1", "2.5"], {"type": "number", "x-coerce": True}),
        ("n", ["TRUE", "false"], {"type": "boolean", "x-coerce": True}),
        ("n", ["1", "02"], {"type": "string", "maxLength": 64, "x-trim": True}),
        ("zip", ["75002"], {"type": "string", "maxLength": 64, "x-trim": True}),
        ("Betrag", ["1.234,50"], {"type": "string", "maxLength": 64, "x-trim": True}),
        ("ts", ["1767323045"], {"type": "integer", "x-epoch": "seconds", "x-coerce": True}),
        ("at", ["2026-01-02T03:04:05Z"], {"type": "string", "format": "timestamp", "x-trim": True}),
        (
            "amount",
            ["1.50"],
            {
                "type": "string",
                "format": "decimal",
                "x-precision": 14,
                "x-scale": 2,
                "x-trim": True,
            },
        ),
    ],
)
def test_texts_of_a_csv_stand_for_what_they_spell(
    name: str, values: list[str], expected: dict[str, Any]
) -> None:
    assert keywords(name, *values, from_text=True) == expected


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["123456789012345678"], {"type": "integer", "x-coerce": True}),  # 18 digits
        (["1", "1234567890123456789"], {"type": "integer", "x-coerce": True}),
        (["9223372036854775807", "-9223372036854775808"], {"type": "integer", "x-coerce": True}),
        # Beyond 64 bits, however many digits.
        (["1", "9223372036854775808"], {"type": "string", "maxLength": 64, "x-trim": True}),
        (["-9223372036854775809"], {"type": "string", "maxLength": 64, "x-trim": True}),
        (["9" * 101], {"type": "string", "maxLength": 255, "x-trim": True}),
        (["9" * 309], {"type": "string", "maxLength": 1_000, "x-trim": True}),
        (["1", "9" * 5_000], {"type": "string", "maxLength": 10_000, "x-trim": True}),
        # With a decimal among them they are measured, as in JSON.
        (["1234567890123456789", "2.5"], {"type": "number", "x-coerce": True}),
        (["9" * 310, "2.5"], {"type": "string", "maxLength": 1_000, "x-trim": True}),
    ],
)
def test_whole_numbers_of_a_csv_are_integers_of_64_bits_or_text(
    values: list[str], expected: dict[str, Any]
) -> None:
    assert keywords("n", *values, from_text=True) == expected


def test_few_texts_that_repeat_are_an_enumeration() -> None:
    found = keywords("status", *["open", "Open", "paid", "open", " paid ", "open"])

    assert found == {"type": "string", "enum": ["open", "paid"], "x-trim": True}


@pytest.mark.parametrize(
    ("name", "values", "choices"),
    [
        ("status", ["a", "b", "a", "b", "a"], 2),  # not three times on average
        ("status", ["a", "b", "c", "b", "a"], 0),  # not twice on average
        ("status", ["a"] * 9, 1),  # one value says nothing about others
        ("country", ["FR", "DE"] * 3, 2),  # there are others
        ("status", [200, 404] * 3, 2),
        ("grade", ["01", "02"] * 3, 2),  # a code with more values than were seen
        ("note", ["x" * 50, "y"] * 9, 0),
    ],
)
def test_open_sets_are_counted_but_not_closed(name: str, values: list[Any], choices: int) -> None:
    found = guess(name, *values)

    assert isinstance(found, Guess)
    assert "enum" not in found.keywords
    assert found.choices == choices


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ([True, "x"], "a mixture of boolean and string"),
        ([[1], "x"], "a mixture of array and string"),
        ([[{"a": 1}]], "an array of objects or arrays"),
        ([["a", None]], "an array with null or blank elements"),
        ([["a", " "]], "an array with null or blank elements"),
        ([[], []], "an empty array in every record"),
        ([[1, True]], "an array with a mixture of boolean and number"),
    ],
)
def test_what_no_contract_has_is_said(values: list[Any], said: str) -> None:
    found = guess("x", *values)

    assert isinstance(found, str)
    assert said in found


def test_a_reason_says_in_how_many_records() -> None:
    found = [guess("n", 1), guess("n", 1, 2), guess("n", 1, records=3)]

    assert [each.why for each in found if isinstance(each, Guess)] == [
        "integer in the only record",
        "integer in all 2 records",
        "integer in 1 of 3 records",
    ]


@pytest.mark.parametrize(
    ("text", "kind", "sql"),
    [
        (
            "2026-01-02 03:04:05.5",
            "timestamp",
            "IF({0} RLIKE '^[0-9]{{4}}-', cast({0} AS timestamp), NULL)",
        ),
        (
            "02.01.2026",
            "date",
            "make_date(cast(substr({0}, 7, 4) AS int), cast(substr({0}, 4, 2) AS int),"
            " cast(substr({0}, 1, 2) AS int))",
        ),
    ],
)
def test_times_in_other_forms_can_still_be_derived(text: str, kind: str, sql: str) -> None:
    found = guess("at", text)

    assert isinstance(found, Guess)
    assert found.moment == (kind, sql)


def test_fields_are_found_with_the_objects_around_them() -> None:
    records = [
        {"a": 1, "o": {"b": 2, "p": {"c": 3}}, "null": None},
        {"a": " ", "o": {"b": None}, "mixed": {"x": 1}},
        {"o": None, "mixed": 5, "late": True, "loose": ""},
        {"a": 4, "loose": {"y": 1}, "empty": {}},
    ]

    fields, left = observe(records)

    assert [(f.name, f.values, f.around) for f in fields] == [
        ("a", [1, None, None, 4], (4,)),
        ("o.b", [2, None, None, None], (4, 2)),
        ("o.p.c", [3, None, None, None], (4, 2, 1)),
        ("late", [None, None, True, None], (4,)),
        ("loose.y", [None, None, None, 1], (4, 1)),
    ]
    assert [f.is_loose for f in fields] == [False, False, False, False, True]
    assert [(each.name, each.why) for each in left] == [
        ("null", "absent, null or blank in every record"),
        ("mixed", "an object in some records and something else in others"),
        ("empty", "an object without any field"),
    ]


def test_a_name_that_is_empty_and_an_object_that_is_too_deep_are_said() -> None:
    deep: dict[str, Any] = {"leaf": 1}
    for name in reversed("abcdefghijkl"):
        deep = {name: deep}

    fields, left = observe([{"": 1, "o": {"": 2, "x": 3}, **deep}] * 3)

    assert [field.name for field in fields] == ["o.x"]
    assert [(each.name, each.why) for each in left] == [
        ("", "its name is empty"),
        ("o.", "its name is empty"),
        ("a.b.c.d.e.f.g.h.i.j.k.l", "an object inside 11 others"),
    ]


def test_an_object_whose_names_are_data_is_no_object_of_a_contract() -> None:
    fields, left = observe([{"id": n, "scores": {f"user{n}": 1}} for n in range(60)])

    assert [field.name for field in fields] == ["id"]
    assert left[0].name == "scores"
    assert "a map" in left[0].why
