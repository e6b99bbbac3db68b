"""Values of every type: what is read exactly, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pytest
from pyspark.sql import DataFrame

from schemas.contract import Contract, contract_from
from spark_jobs.transforms.records import classify_records

Frame = Callable[..., DataFrame]
PUBLIC = {"x-sensitivity": "public"}
INVALID, ABSENT = object(), None


def contract(**fields: dict[str, Any]) -> Contract:
    properties = {
        name: PUBLIC | {"x-column": f"c_{name}"} | keywords for name, keywords in fields.items()
    }
    properties["id"] = PUBLIC | {"type": "string", "x-id": True, "x-column": "id"}
    document = {"type": "object", "required": ["id"], "properties": properties}
    return contract_from("typed", document, stands_alone=True)


def at(*parts: int) -> datetime:
    return datetime(*parts)  # type: ignore[arg-type]  # noqa: DTZ001


AT = {"type": "string", "format": "timestamp"}
DECIMAL = {"type": ["string", "number"], "format": "decimal", "x-precision": 5, "x-scale": 2}
TAGS = {"type": "array", "items": {"type": "string", "maxLength": 3}}

# Keywords of the field, JSON as sent, value read.
VALUES: list[tuple[dict[str, Any], str, Any]] = [
    *(
        ({"type": "integer"}, sent, value)
        for sent, value in (
            ("1", 1),
            ("-0", 0),
            ("1.0", 1),
            ("1.000000000000000000000000000000000000000000", 1),
            ("1e3", 1000),
            ("1.5e1", 15),
            ("10e-1", 1),
            ("0e999999999999", 0),
            ("9223372036854775807", 2**63 - 1),
            ("-9223372036854775808", -(2**63)),
            ("9223372036854775808", INVALID),
            ("-9223372036854775809", INVALID),
            ("1" + "0" * 900, INVALID),
            ("1.5", INVALID),
            ("1e-1", INVALID),
            ("1.00000000000000000000000000000000000000000001", INVALID),
            ("1e400", INVALID),
            ("1e999999999999", INVALID),
            ("1e-999999999999", INVALID),
            ('"1"', INVALID),
            ("true", INVALID),
            ("[1]", INVALID),
            ('{"a":1}', INVALID),
            ("null", ABSENT),
            ('""', ABSENT),
            ('" \\u3000"', ABSENT),
        )
    ),
    *(
        ({"type": "integer", "x-coerce": True}, sent, value)
        for sent, value in (
            ("7", 7),
            ('"7"', 7),
            ('" -7\\n"', -7),
            ('"1e2"', 100),
            ('"9223372036854775808"', INVALID),
            ('"07"', INVALID),
            ('"+7"', INVALID),
            ('"7 8"', INVALID),
            ('"1,000"', INVALID),
            ('"٧"', INVALID),
            ('"NaN"', INVALID),
        )
    ),
    *(
        ({"type": "integer", "minimum": -1, "maximum": 3}, sent, value)
        for sent, value in (("-1", -1), ("3", 3), ("-2", INVALID), ("4", INVALID))
    ),
    ({"type": "integer", "minimum": 0.5, "maximum": 1.5}, "1", 1),
    ({"type": "integer", "minimum": 0.5, "maximum": 1.5}, "0", INVALID),
    ({"type": "integer", "minimum": 0.5, "maximum": 1.5}, "2", INVALID),
    ({"type": "integer", "enum": [1, 2]}, "2", 2),
    ({"type": "integer", "enum": [1, 2]}, "3", INVALID),
    *(
        ({"type": "number"}, sent, value)
        for sent, value in (
            ("0.1", 0.1),
            ("-1e-7", -1e-7),
            ("3", 3.0),
            ("12345678901234567890", 12345678901234567890.0),
            ("1.7976931348623157e308", 1.7976931348623157e308),
            ("1e309", INVALID),
            ("-1e309", INVALID),
            ('"0.1"', INVALID),
            ('"NaN"', INVALID),
            ("false", INVALID),
        )
    ),
    ({"type": "number", "x-coerce": True}, '" 0.1 "', 0.1),
    ({"type": "number", "x-coerce": True}, '"Infinity"', INVALID),
    ({"type": "number", "x-coerce": True}, '"1e309"', INVALID),
    ({"type": "number", "minimum": 0.1}, "0.1", 0.1),
    ({"type": "number", "minimum": 0.1}, "0.09", INVALID),
    *(
        (DECIMAL, sent, value if value is INVALID else Decimal(value))
        for sent, value in (
            ("1.50", "1.50"),
            ('"1.50"', "1.50"),
            ("999.99", "999.99"),
            ("-999.99", "-999.99"),
            ("1.500", "1.50"),
            ("12e1", "120.00"),
            ("1234e-2", "12.34"),
            ("0.000", "0.00"),
            ("1e-3", INVALID),
            ("1.005", INVALID),
            ("1.00000000000000000000000000000000000000000000000001", INVALID),
            ("1000", INVALID),
            ("1e3", INVALID),
            ('"1,5"', INVALID),
            ('"1.5 "', INVALID),
            ('".5"', INVALID),
            ('"NaN"', INVALID),
            ("true", INVALID),
        )
    ),
    (DECIMAL | {"type": "string"}, "1.5", Decimal("1.50")),
    (DECIMAL | {"type": "number"}, '"1.5"', INVALID),
    (DECIMAL | {"type": "number", "x-coerce": True}, '" 1.5 "', Decimal("1.50")),
    (DECIMAL | {"minimum": 0.01}, "0.01", Decimal("0.01")),
    (DECIMAL | {"minimum": 0.01}, "0", INVALID),
    (
        DECIMAL | {"x-precision": 38, "x-scale": 18},
        "12345678901234567890.123456789012345678",
        Decimal("12345678901234567890.123456789012345678"),
    ),
    (DECIMAL | {"x-precision": 2}, "0.25", Decimal("0.25")),
    (DECIMAL | {"x-precision": 2}, "1.25", INVALID),
    *(
        ({"type": "boolean"}, sent, value)
        for sent, value in (
            ("true", True),
            ("false", False),
            ('"true"', INVALID),
            ("1", INVALID),
            ("0", INVALID),
        )
    ),
    ({"type": "boolean", "x-coerce": True}, '" FALSE"', False),
    ({"type": "boolean", "x-coerce": True}, '"yes"', INVALID),
    (AT, '"2026-11-22T01:15:00.1239+03:00"', at(2026, 11, 21, 22, 15, 0, 123000)),
    (AT, '"2026-02-30T00:00:00Z"', INVALID),
    (AT, '"2026-11-22"', INVALID),
    (AT, '" 2026-11-22T00:00:00Z"', INVALID),
    (AT, "1763769600", INVALID),
    *(
        ({"type": "integer", "x-epoch": unit}, sent, value)
        for unit, sent, value in (
            ("seconds", "0", at(1970, 1, 1)),
            ("seconds", "-1", INVALID),
            ("seconds", "253402300799", at(9999, 12, 31, 23, 59, 59)),
            ("seconds", "253402300800", INVALID),
            ("milliseconds", "1795305600123", at(2026, 11, 22, 0, 0, 0, 123000)),
            ("milliseconds", "253402300800000", INVALID),
            ("microseconds", "1795305600123999", at(2026, 11, 22, 0, 0, 0, 123000)),
            ("microseconds", "9223372036854775807", INVALID),
            ("seconds", "1.5", INVALID),
            ("seconds", '"0"', INVALID),
        )
    ),
    ({"type": "integer", "x-epoch": "seconds", "minimum": 10}, "10", at(1970, 1, 1, 0, 0, 10)),
    ({"type": "integer", "x-epoch": "seconds", "minimum": 10}, "9", INVALID),
    *(
        ({"type": "string", "format": "date"}, sent, value)
        for sent, value in (
            ('"2024-02-29"', date(2024, 2, 29)),
            ('"2026-02-29"', INVALID),
            ('"1899-12-31"', INVALID),
            ('"2026-1-2"', INVALID),
            ('"2026-11-22T00:00:00Z"', INVALID),
            ("20261122", INVALID),
        )
    ),
    (
        {"type": "string", "format": "uuid"},
        '"A7155000-95F4-4B29-9D80-0AA0C2EE9F40"',
        "a7155000-95f4-4b29-9d80-0aa0c2ee9f40",
    ),
    ({"type": "string", "format": "uuid"}, '"a7155000"', INVALID),
    ({"type": "string", "format": "email"}, '"Ada@example.com"', "Ada@example.com"),
    ({"type": "string", "format": "email"}, '"ada@b@c"', INVALID),
    ({"type": "string", "format": "email", "x-trim": True}, '" a@b "', "a@b"),
    ({"type": "string"}, '"n5"', "n5"),
    ({"type": "string"}, '"true"', "true"),
    ({"type": "string"}, '" x "', " x "),
    ({"type": "string"}, '"\\u00e9\\n\\"\\\\"', 'é\n"\\'),
    ({"type": "string"}, "5", INVALID),
    ({"type": "string"}, "true", INVALID),
    ({"type": "string"}, '["x"]', INVALID),
    ({"type": ["string", "number"]}, "1.50", "1.50"),
    ({"type": ["string", "number"]}, "true", INVALID),
    ({"type": "string", "pattern": "^[a-z]+$"}, '"abc"', "abc"),
    ({"type": "string", "pattern": "^[a-z]+$"}, '"abc\\n"', INVALID),
    ({"type": "string", "minLength": 2, "maxLength": 3}, '"😀😀😀"', "😀😀😀"),
    ({"type": "string", "minLength": 2, "maxLength": 3}, '"abcd"', INVALID),
    ({"type": "string", "enum": ["EUR", "USD"]}, '"USD"', "USD"),
    ({"type": "string", "enum": ["EUR", "USD"]}, '" eur"', "EUR"),
    ({"type": "string", "enum": ["EUR", "USD"]}, '"CHF"', INVALID),
    (TAGS, '["a", "b"]', ["a", "b"]),
    (TAGS, "[]", []),
    (TAGS, '["a", null]', INVALID),
    (TAGS, '["a", ""]', INVALID),
    (TAGS, '["a", 1]', INVALID),
    (TAGS, '["a", "abcd"]', INVALID),
    (TAGS, '["a", ["b"]]', INVALID),
    (TAGS, '"a"', INVALID),
    (TAGS, '"[\\"a\\"]"', INVALID),
    (TAGS, '{"a":"b"}', INVALID),
    ({"type": "array", "items": {"type": "integer", "minimum": 0}}, "[0, 2.0]", [0, 2]),
    ({"type": "array", "items": {"type": "integer", "minimum": 0}}, "[0, -1]", INVALID),
    ({"type": "array", "items": {"type": "boolean"}}, "[true, false]", [True, False]),
    ({"type": "array", "items": DECIMAL}, '[1.1, "2"]', [Decimal("1.10"), Decimal("2.00")]),
    ({"type": "array", "items": AT}, '["2026-11-22T00:00:00Z"]', [at(2026, 11, 22)]),
]


def test_every_value_is_read_exactly_or_refused(frame: Frame) -> None:
    # Each field in its own message: one contract for all kinds would be too wide to read.
    kinds: dict[str, list[tuple[str, Any]]] = {}
    for keywords, sent, value in VALUES:
        kinds.setdefault(json.dumps(keywords), []).append((sent, value))
    names = {keywords: f"f{n}" for n, keywords in enumerate(kinds)}
    wide = contract(**{names[keywords]: json.loads(keywords) for keywords in kinds})
    cases = [(names[k], sent, value) for k, rows in kinds.items() for sent, value in rows]

    records = [f'{{"id":"x","{name}":{sent}}}' for name, sent, _ in cases]
    rows = classify_records(frame(records), wide).orderBy("kafka_offset").collect()

    found = [
        (name, sent, INVALID if row.reasons == [f"invalid_{name}"] else row[f"c_{name}"])
        for row, (name, sent, _) in zip(rows, cases, strict=True)
    ]
    assert found == cases
    assert all(row.outcome == ("rejected" if row.reasons else "valid") for row in rows)


def test_texts_of_any_length_and_number_of_escapes_are_read(frame: Frame) -> None:
    texts = contract(a={"type": "string"}, n={"type": "integer"})
    long = "\\" * 200_000 + '"' * 200_000 + "5" * 200_000

    rows = classify_records(frame([json.dumps({"id": "x", "a": long, "n": 5})]), texts).collect()

    assert [(row.c_a == long, row.c_n) for row in rows] == [(True, 5)]


@pytest.mark.parametrize("evaluation", ["interpreted", "compiled"])
def test_a_text_of_any_length_meets_a_pattern_that_repeats_a_group(
    frame: Frame, request: pytest.FixtureRequest, evaluation: str
) -> None:
    if evaluation == "compiled":
        request.getfixturevalue("compiled")
    code = {"type": "string", "pattern": "^(?:[A-Z0-9]|-)+$", "maxLength": 40}
    slug = {"type": "string", "pattern": "^[a-z0-9]+(?:-[a-z0-9]+)*$", "maxLength": 500}
    # Without a greatest length, the one that is safe.
    deep = {"type": "string", "pattern": "^((((a|b)|c)|d)|e)+$"}
    texts = contract(code=code, slug=slug, deep=deep, codes={"type": "array", "items": code})
    fitting = {"code": "A" * 40, "slug": "a-" * 249 + "a", "deep": "a" * 100, "codes": ["A" * 40]}
    long = {"code": "A" * 50_000, "slug": "a-" * 20_000 + "a", "deep": "a" * 9_000}

    records = [{"id": "x"} | fitting, {"id": "y", "codes": [long["code"]]} | long]
    rows = classify_records(frame(records), texts).orderBy("kafka_offset").collect()

    assert [row.reasons for row in rows] == [
        [],
        ["invalid_code", "invalid_slug", "invalid_deep", "invalid_codes"],
    ]


@pytest.mark.parametrize(
    ("keywords", "default", "expected"),
    [
        ({"type": "integer"}, 7, 7),
        ({"type": "boolean"}, False, False),
        (DECIMAL, 1.5, Decimal("1.50")),
        (TAGS, ["a"], ["a"]),
        (AT, "2026-11-22T00:00:00Z", at(2026, 11, 22)),
    ],
)
def test_a_default_stands_for_what_is_absent_null_or_blank(
    frame: Frame, keywords: dict[str, Any], default: Any, expected: Any
) -> None:
    with_default = contract(a=keywords | {"default": default})

    rows = classify_records(
        frame(['{"id":"x"}', '{"id":"x","a":null}', '{"id":"x","a":" "}']), with_default
    ).collect()

    assert [row.c_a for row in rows] == [expected] * 3
