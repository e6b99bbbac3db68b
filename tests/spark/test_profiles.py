from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from pyspark.sql import DataFrame

from spark_jobs.transforms.profiles import classify_profiles
from spark_jobs.transforms.pseudonymise import Digests
from tests.support.builders import profile

Frame = Callable[..., DataFrame]
KEYED = Digests.hmac_sha256("a key of tests")
UUID = "a7155000-95f4-4b29-9d80-0aa0c2ee9f40"


def keyed(text: str) -> str:
    return hmac.new(b"a key of tests", text.encode(), hashlib.sha256).hexdigest()


def classified(frame: Frame, records: list[Any], digests: Digests = KEYED, **options: Any) -> Any:
    rows = classify_profiles(frame(records, **options), digests=digests)
    got = rows.orderBy("kafka_offset").collect()
    assert [row.kafka_offset for row in got] == list(range(len(records)))
    return got


def test_a_valid_profile_becomes_a_record(frame: Frame) -> None:
    (row,) = classified(frame, [profile()])

    assert row[:5] == (UUID, "valid", [], None, None)
    assert (
        row.asDict()
        | {
            "identifiant": UUID,
            "title": "Ms",
            "gender": "female",
            "full_name": "Lovelace Ada",
            "username": "bluecat",
            "email": keyed("ada.lovelace@example.com"),
            "domain_name": "example.com",
            "phone": keyed("+33014268"),
            "full_address": keyed("12 rue de la paix, paris, île-de-france, france, 75002"),
            "age": 36,
            "inscription": "2015-03-01T09:00:00.000Z",
            "nationality": "FR",
            "hash_key_id": hashlib.sha256(b"millrace-key-id:a key of tests").hexdigest()[:8],
            "shard": 10,
        }
        == row.asDict()
    )


def test_the_columns_are_these_in_this_order(frame: Frame) -> None:
    expected = [
        ("record_id", "string"),
        ("outcome", "string"),
        ("reasons", "array<string>"),
        ("key", "binary"),
        ("value", "binary"),
        ("kafka_topic", "string"),
        ("kafka_partition", "int"),
        ("kafka_offset", "bigint"),
        ("kafka_timestamp", "timestamp"),
        ("kafka_timestamp_ms", "bigint"),
        ("redrives", "int"),
        ("identifiant", "string"),
        ("title", "string"),
        ("gender", "string"),
        ("full_name", "string"),
        ("username", "string"),
        ("email", "string"),
        ("domain_name", "string"),
        ("phone", "string"),
        ("full_address", "string"),
        ("age", "int"),
        ("inscription", "string"),
        ("nationality", "string"),
        ("hash_key_id", "string"),
        ("shard", "int"),
    ]

    for digests in (KEYED, Digests.sha256()):
        assert classify_profiles(frame([]), digests=digests).dtypes == expected


def test_without_a_key_values_are_digested_as_received(frame: Frame) -> None:
    record = profile(email=" Ada@Example.com", location__city="Le  Havre", phone=" 01 ")

    (row,) = classified(frame, [record], Digests.sha256())

    def plain(text: str) -> str:
        return hashlib.sha256(text.encode()).hexdigest()

    assert row.email == plain(" Ada@Example.com")
    assert row.phone == plain(" 01 ")
    address = "12 Rue de la Paix, Le  Havre, Île-de-France, France, 75002"
    assert row.full_address == plain(address)
    assert (row.hash_key_id, row.domain_name) == ("sha256", "example.com")


def test_optional_fields_may_be_absent_null_blank_or_of_another_type(frame: Frame) -> None:
    optional = ("gender", "phone", "nat", "location", "registered")
    nothing: dict[str, Any]
    records = []
    for nothing_is in (..., None, "\u2003", True, {}, []):
        nothing = dict.fromkeys(optional, nothing_is)
        records.append(profile(name__title=nothing_is, login__username=nothing_is, **nothing))

    rows = classified(frame, records)

    columns = "title gender username phone full_address inscription nationality".split()
    assert [row.outcome for row in rows] == ["valid"] * 6
    assert [[row[name] for name in columns] for row in rows] == [[None] * 7] * 6
    assert {row.full_name for row in rows} == {"Lovelace Ada"}


def test_nationality_too_long_for_a_key_is_rejected_and_never_silently_null(frame: Frame) -> None:
    child = {"dob__date": "2020-01-02T03:04:05Z"}
    records = [
        profile(nat="é" * 255),
        profile(nat="é" * 256),
        profile(nat=int("7" * 256), email="nobody"),
        profile(nat="é" * 256, **child),
        profile(nat={"code": "é" * 256}),
    ]

    rows = classified(frame, records)

    assert [(row.outcome, row.reasons) for row in rows] == [
        ("valid", []),
        ("rejected", ["invalid_nat"]),
        ("rejected", ["invalid_email", "invalid_nat"]),
        ("filtered", []),
        ("valid", []),
    ]
    assert [row.nationality for row in rows] == ["é" * 255, None, None, None, None]


def test_numbers_become_text_and_parts_of_an_address_may_be_absent(frame: Frame) -> None:
    records = [
        profile(location__postcode="75002"),
        profile(location__street="12 Rue de la Paix"),
        profile(location__street__number="12", location__state=None, location__city={}),
        profile(phone=14268, nat=7),
    ]

    rows = classified(frame, records)

    assert [row.full_address for row in rows[:3]] == [
        keyed("12 rue de la paix, paris, île-de-france, france, 75002"),
        keyed("paris, île-de-france, france, 75002"),
        keyed("12 rue de la paix, france, 75002"),
    ]
    assert (rows[3].phone, rows[3].nationality) == (keyed("14268"), "7")


def test_the_digits_of_a_number_are_those_that_were_sent(frame: Frame) -> None:
    plain = json.dumps(profile(phone="PHONE", nat="NAT"))
    sent = [
        plain.replace('"PHONE"', phone).replace('"NAT"', nat)
        for phone, nat in (("33612345678.0", "1.50"), ("1e10", "0." + "1" * 254))
    ]

    rows = classified(frame, sent)

    assert [row.phone for row in rows] == [keyed("336123456780"), None]
    assert [(row.nationality, row.reasons) for row in rows] == [
        ("1.50", []),
        (None, ["invalid_nat"]),
    ]


def test_every_required_field_is_reported_in_the_contracts_order(frame: Frame) -> None:
    missing = [
        "missing_login_uuid",
        "missing_name_first",
        "missing_name_last",
        "missing_email",
        "missing_dob_date",
    ]
    parents_are_text = '{"login":"{\\"uuid\\":\\"x\\"}","name":"x","email":"","dob":["x"]}'
    numbers = profile(login__uuid=1, name__first=2, name__last={}, email=["a@b"], dob__date=3)

    rows = classified(frame, ["{}", parents_are_text, numbers, "[]"])

    assert [row.reasons for row in rows] == [
        missing,
        missing,
        [reason.replace("missing", "invalid") for reason in missing],
        ["unparseable"],
    ]
    assert [row.outcome for row in rows] == ["rejected"] * 4
    assert [row.record_id for row in rows] == ["0/0", "0/1", "0/2", "0/3"]


def test_emails_have_one_at_and_no_white_space_inside(frame: Frame) -> None:
    good = ["a@b", "  A@B.c\u00a0", "é@ü"]
    bad = ["a", "@b", "a@", "a@b@c", "a b@c", "a@b\u2003c", "a@\u0085b", '{"a@b":1}x@y z']

    rows = classified(frame, [profile(email=email) for email in good + bad])

    assert [row.reasons for row in rows] == [[]] * 3 + [["invalid_email"]] * 8
    assert [row.domain_name for row in rows[:3]] == ["b", "b.c", "ü"]
    assert rows[1].email == keyed("a@b.c")


def test_an_object_whose_text_looks_like_an_email_is_invalid(frame: Frame) -> None:
    (row,) = classified(frame, [profile(email={"a@b": 1})])

    assert row.reasons == ["invalid_email"]


def test_uuids_are_compared_and_stored_in_lower_case(frame: Frame) -> None:
    bad = [
        "A7155000",
        UUID + "0",
        " " + UUID,
        UUID.replace("-", ""),
        "{" + UUID + "}",
        "g" + UUID[1:],
    ]
    good = [UUID, UUID.upper(), "F" + UUID[1:], "0" + UUID[1:]]

    rows = classified(frame, [profile(login__uuid=uuid) for uuid in good + bad])

    assert [row.identifiant for row in rows[:4]] == [UUID, UUID, "f" + UUID[1:], "0" + UUID[1:]]
    assert [row.shard for row in rows[:4]] == [10, 10, 15, 0]
    assert [row.reasons for row in rows[4:]] == [["invalid_login_uuid"]] * 6


def test_minors_are_filtered_out_whatever_other_faults_they_have(frame: Frame) -> None:
    fourteen, thirteen = "2012-11-22T23:59:59Z", "2012-11-23T00:00:00Z"
    records = [
        profile(dob__date=fourteen),
        profile(dob__date=thirteen),
        profile(dob__date=thirteen, email=5, login__uuid=None, name="x"),
        profile(dob__date="2026-11-22T23:59:59Z"),
        profile(dob__date="2012-11-22T23:30:00-01:00"),
        profile(dob__date="2012-11-23T00:30:00+01:00"),
        profile(dob__date="2012-11-23"),
    ]

    rows = classified(frame, records)

    assert [row.outcome for row in rows] == [
        "valid",
        "filtered",
        "filtered",
        "filtered",
        "filtered",
        "valid",
        "rejected",
    ]
    assert rows[0].age == 14
    filtered = rows[1:5]
    assert all(row.reasons == [] and row.key is None and row.value is None for row in filtered)
    assert all(value is None for row in filtered for value in row[11:])
    assert [row.record_id for row in filtered] == ["0/1", "0/2", "0/3", "0/4"]


def test_a_birth_after_the_kafka_date_is_invalid(frame: Frame) -> None:
    records = [
        profile(dob__date="2026-11-23T00:00:00Z"),
        profile(dob__date="2026-11-22T23:59:59-00:01", email=5),
    ]

    rows = classified(frame, records)

    assert [row.reasons for row in rows] == [
        ["invalid_dob_date"],
        ["invalid_email", "invalid_dob_date"],
    ]


def test_ages_of_29_february_change_on_1_march_utc(frame: Frame) -> None:
    born = profile(dob__date="2004-02-29T12:00:00Z")

    days = (
        datetime(2026, 2, 28, 23, 59, 59, tzinfo=UTC),
        datetime(2026, 3, 1, 0, 0, tzinfo=UTC),
    )
    ages = [classified(frame, [born], at=day)[0].age for day in days]

    assert ages == [21, 22]
