from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from pyspark.sql import DataFrame

from spark_jobs.customers import CUSTOMERS
from spark_jobs.transforms.customers import classify_customers
from tests.support.builders import customer

Frame = Callable[..., DataFrame]
MISSING_ALL = [
    "missing_customer_id",
    "missing_first_name",
    "missing_last_name",
    "missing_email",
    "missing_country",
]


def judged(frame: Frame, records: list[Any]) -> list[Any]:
    rows = classify_customers(frame(records)).orderBy("kafka_offset").collect()
    assert len(rows) == len(records)
    return rows


def outcomes(frame: Frame, records: list[Any]) -> list[tuple[str, list[str]]]:
    return [(row.outcome, row.reasons) for row in judged(frame, records)]


def test_a_customer_of_the_usa_becomes_a_trimmed_record(frame: Frame) -> None:
    record = customer(
        first_name=" Ada\u00a0", city="", state="\t", created_at="2024-01-02 10:11:12.1239-0500"
    )

    row = classify_customers(frame([record], partition=2)).first()

    assert row is not None
    assert row.asDict() == {
        "record_id": "CUST-1",
        "outcome": "valid",
        "reasons": [],
        "key": None,
        "value": None,
        "kafka_topic": "client_tickets",
        "kafka_partition": 2,
        "kafka_offset": 0,
        "kafka_timestamp": datetime(2026, 11, 22, 12, 0),  # noqa: DTZ001
        "kafka_timestamp_ms": None,
        "redrives": 0,
        "customer_id": "CUST-1",
        "first_name": "Ada",
        "last_name": "Lovelace",
        "email": "ada@example.com",
        "phone": "+1 555 0100",
        "address": "1 Main St,\nApt 2",
        "city": None,
        "state": None,
        "country": "USA",
        "postal_code": "02139",
        "created_at": datetime(2024, 1, 2, 15, 11, 12, 123000),  # noqa: DTZ001
    }


def test_the_spellings_of_the_usa_and_no_others(frame: Frame) -> None:
    of_usa = ["USA", "US", "U.S.", "U.S.A.", "United States", "United States of America"]
    of_usa += ["usa", " u.s.a.\u2003", "UNITED STATES OF america"]
    others = ["France", "U.S", "United States of", "USA!", "Canada", "the United States"]

    got = outcomes(frame, [customer(country=c) for c in of_usa + others])

    assert got == [("valid", [])] * 9 + [("filtered", [])] * 6


def test_people_from_elsewhere_are_filtered_out_and_nothing_of_theirs_is_kept(frame: Frame) -> None:
    [row] = judged(frame, [customer(country="France")])

    assert row.record_id == "0/0"
    assert [row.key, row.value, *row[11:]] == [None] * 13


def test_missing_is_absent_null_or_blank_and_makes_an_alert_with_all_reasons(frame: Frame) -> None:
    absent = {name: ... for name in customer()}
    null, blank = dict.fromkeys(customer()), dict.fromkeys(customer(), "\u2003\t")

    rows = judged(frame, [customer(**absent), customer(**null), customer(**blank)])

    assert [(row.outcome, row.reasons) for row in rows] == [("alert", MISSING_ALL)] * 3
    assert [row.record_id for row in rows] == ["0/0", "0/1", "0/2"]
    assert [row.value for row in rows] == [None] * 3


def test_an_alert_keeps_what_was_sent_as_it_was_sent(frame: Frame) -> None:
    record = customer(
        customer_id=17, email=" a b@c ", phone=5551234, city={"name": "Boston"}, state=True,
        country="France", postal_code=" 75002", created_at="yesterday",
    )  # fmt: skip

    [row] = judged(frame, [record])

    assert (row.outcome, row.reasons) == (
        "alert",
        [
            "invalid_customer_id",
            "invalid_email",
            "invalid_city",
            "invalid_state",
            "invalid_created_at",
        ],
    )
    assert row[11:] == (
        "17", "Ada", "Lovelace", " a b@c ", "5551234", "1 Main St,\nApt 2", None, None,
        "France", " 75002", None,
    )  # fmt: skip


@pytest.mark.parametrize("kind", [5, True, {"a": "b"}, ["x"], {}, []], ids=str)
def test_other_types_than_strings_are_invalid_and_numbers_only_in_required_fields(
    frame: Frame, kind: Any
) -> None:
    optional = {"phone", "address", "city", "state", "postal_code"} if kind == 5 else set()
    invalid = [f"invalid_{name}" for name in customer() if name not in optional]

    assert outcomes(frame, [dict.fromkeys(customer(), kind)]) == [("alert", invalid)]


def test_optional_field_of_another_type_is_never_silently_null(frame: Frame) -> None:
    optional = ("phone", "address", "city", "state", "postal_code")

    got = judged(frame, [customer(**{name: {"a": 1}}) for name in optional])

    assert [(row.outcome, row.reasons) for row in got] == [
        ("alert", [f"invalid_{name}"]) for name in optional
    ]


def test_an_id_is_no_longer_than_a_key_of_a_store_may_be(frame: Frame) -> None:
    longest, too_long = customer(customer_id="é" * 255), customer(customer_id="é" * 256)

    got = outcomes(frame, [longest, too_long])

    assert got == [("valid", []), ("alert", ["invalid_customer_id"])]


def test_strings_that_look_like_other_types_are_strings(frame: Frame) -> None:
    looks = ["5", "-1.5e3", "true", "[x]", "{}", '"Infinity"', "null"]

    got = judged(frame, [customer(customer_id=look, city=look) for look in looks])

    assert [(row.customer_id, row.city, row.outcome) for row in got] == [
        (look, look, "valid") for look in looks
    ]


def test_numbers_become_the_digits_that_were_sent(frame: Frame) -> None:
    plain = json.dumps(customer(phone="PHONE", postal_code="CODE"))

    def numbers(phone: str, code: str) -> str:
        return plain.replace('"PHONE"', phone).replace('"CODE"', code)

    sent = [
        numbers("12345678.0", "1e5"),
        numbers("1e400", "1.50"),
        numbers("5.0", '"a", "Postal_Code": 2.50, "z": {"postal_code": "b"}'),
        numbers("5", '2.5, "POSTAL_CODE": "2.50"'),
    ]
    got = judged(frame, sent)

    assert [(row.phone, row.postal_code, row.outcome) for row in got] == [
        ("12345678.0", "100000", "valid"),
        ("1" + "0" * 400, "1.50", "valid"),
        ("5.0", "2.50", "valid"),
        ("5", "2.50", "valid"),
    ]


def test_emails_have_one_at_sign_between_texts_without_white_space(frame: Frame) -> None:
    good = ["a@b", " ada@example.com\n", "é@ü"]
    bad = ["a", "@b", "a@", "a@b@c", "a b@c", "a@b\u00a0c"]

    assert outcomes(frame, [customer(email=e) for e in good]) == [("valid", [])] * 3
    assert outcomes(frame, [customer(email=e) for e in bad]) == [("alert", ["invalid_email"])] * 6


def test_created_at_is_iso_8601_and_utc_without_a_zone(frame: Frame) -> None:
    good = {
        "2024-02-29": datetime(2024, 2, 29),  # noqa: DTZ001
        "2024-01-02T03:04": datetime(2024, 1, 2, 3, 4),  # noqa: DTZ001
        "2024-01-02 03:04:05": datetime(2024, 1, 2, 3, 4, 5),  # noqa: DTZ001
        " 2024-01-02t03:04:05.678999z ": datetime(2024, 1, 2, 3, 4, 5, 678000),  # noqa: DTZ001
        "2024-01-02T03:04+02": datetime(2024, 1, 2, 1, 4),  # noqa: DTZ001
        "2024-01-02T03:04:05+0530": datetime(2024, 1, 1, 21, 34, 5),  # noqa: DTZ001
        "2024-01-02T03:04:05.1-18:00": datetime(2024, 1, 2, 21, 4, 5, 100000),  # noqa: DTZ001
        "1900-01-01": datetime(1900, 1, 1),  # noqa: DTZ001
        "": None,
        "\u3000": None,
    }
    bad = [
        "2023-02-29", "2024-1-2", "01/02/2024", "20240102", "2024-01-02T25:00", "2024-01-02T03",
        "2024-01-02T03:04:05 Europe/Paris", "2024-01-02  03:04", "2024-01-02Z", "1899-12-31",
        "1900-01-01T00:00+01", "2024-01-02T03:04:05+19:00", "1704164645", "2024-01-02T03:04:05,5",
        "٢٠٢٤-01-02",
    ]  # fmt: skip

    got = judged(frame, [customer(created_at=at) for at in good])

    assert [(row.outcome, row.created_at) for row in got] == [("valid", at) for at in good.values()]
    assert outcomes(frame, [customer(created_at=at) for at in bad]) == [
        ("alert", ["invalid_created_at"])
    ] * len(bad)


def test_keys_have_any_case_and_the_last_spelling_counts(frame: Frame) -> None:
    shouted = {name.upper(): value for name, value in customer().items()}
    twice = json.dumps({"Customer_ID": "first", **customer(customer_id=...)})[:-1]
    records = [
        shouted,
        twice + ',"CUSTOMER_ID":"second"}',
        twice + ',"customer_id":null}',
        twice + ',"customer_id":7}',
        twice + ',"customer_id":7,"cUSTOMER_id":"8"}',
        twice[:-1] + '","other":{"customer_id":5}}',
    ]

    got = judged(frame, records)

    assert [(row.outcome, row.reasons, row.customer_id) for row in got] == [
        ("valid", [], "CUST-1"),
        ("valid", [], "second"),
        ("alert", ["missing_customer_id"], None),
        ("alert", ["invalid_customer_id"], "7"),
        ("valid", [], "8"),
        ("valid", [], "first"),
    ]


def test_only_what_is_no_object_is_rejected_with_its_bytes(frame: Frame) -> None:
    records = [b"\xff\x00", None, "[]", '{"customer_id":"1"} x', "{}", "{'a':1}"]

    got = judged(frame, records)

    assert [row.outcome for row in got] == [*["rejected"] * 4, "alert", "rejected"]
    assert [row.reasons for row in got if row.outcome == "rejected"] == [["unparseable"]] * 5
    assert [row.value for row in got][:3] == [b"\xff\x00", None, b"[]"]
    assert [row.key for row in got] == [b"key"] * 4 + [None, b"key"]


def test_an_id_that_looks_like_coordinates_is_not_taken_for_the_alert_there(frame: Frame) -> None:
    got = judged(frame, [customer(email="x"), customer(customer_id="0/0")])

    assert [(row.record_id, row.outcome) for row in got] == [("0/0", "alert"), (" 0/0", "valid")]


def test_counts_are_by_outcome_and_reasons_those_of_dead_letters_alone(frame: Frame) -> None:
    records = [customer(), customer(country="UK"), customer(email="x"), {}, "[]", "{", "x"]

    rows = CUSTOMERS.summarise(classify_customers(frame(records))).collect()
    summary = CUSTOMERS.roll_up(row.asDict() for row in rows)

    assert summary.outcomes == {"valid": 1, "filtered": 1, "alert": 2, "rejected": 3}
    assert summary.reasons == {"unparseable": 3}
    assert summary.changes == []
