"""Every kind of message lands where the contract says, and none stops the job."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest

from spark_jobs.profiles import PROFILES
from spark_jobs.tickets import TICKETS
from tests.integration.test_profiles_pipeline import profile
from tests.integration.test_tickets_pipeline import ticket
from tests.support.pipelines import MakeWorld

# 2026-11-22T10:15:00Z
SENT_MS = 1_795_342_500_000
ALL_MISSING = (
    "missing_ticket_id,missing_client_id,missing_created_at,missing_request,"
    "missing_request_type,missing_priority"
)
NUMBERS = itertools.count()
STORED, DUPLICATE, FILTERED = "stored", "duplicate", "filtered"


def changed(**changes: Any) -> bytes:
    return ticket(f"X{next(NUMBERS)}", **changes)[1]


def raw(text: str) -> bytes:
    return text.encode()


GOOD = ticket("GOOD")[1].decode()
FRENCH = {
    "ticket_id": "A1B2C3D4",
    "client_id": "C3847",
    "created_at": "2026-11-22T11:00:00+0100",
    "demande": "\u00a0Le service est coupé\u2003",
    "type": " SUPPORT ",
    "priorite": "Urgente",
}
TICKET_CASES: dict[str, tuple[bytes | None, str]] = {
    "good": (raw(GOOD), STORED),
    "same id, other content": (ticket("GOOD", request="other")[1], DUPLICATE),
    "French": (json.dumps(FRENCH).encode(), STORED),
    "English null counts before French": (
        json.dumps(FRENCH | {"ticket_id": "F2", "request": None}).encode(),
        "missing_request",
    ),
    "trailing line feeds": (raw(GOOD.replace("GOOD", "LF") + "\n\n"), STORED),
    "white space before": (raw(" \r\n\t" + GOOD.replace("GOOD", "WS")), STORED),
    "unknown fields": (changed(extra={"a": [1]}, other=None), STORED),
    "escaped key": (raw(GOOD.replace("GOOD", "ESC").replace("priority", "pr\\u0069ority")), STORED),
    "request of 500 code points": (changed(request="𝄞" * 500), STORED),
    "exactly a day ahead": (changed(created_at="2026-11-23T10:15:00Z"), STORED),
    "the lowest instant": (changed(created_at="1900-01-01T00:00:00Z"), STORED),
    "the highest instant fails only the day": (
        changed(created_at="9999-12-31T23:59:59.999999999Z"),
        "invalid_created_at",
    ),
    "no value": (None, "unparseable"),
    "empty value": (b"", "unparseable"),
    "garbage": (b"\x00\x01\xfe\xff", "unparseable"),
    "invalid UTF-8 in a good ticket": (raw(GOOD).replace(b"invoice", b"inv\xffice"), "unparseable"),
    "byte order mark": (b"\xef\xbb\xbf" + raw(GOOD), "unparseable"),
    "array": (raw(f"[{GOOD}]"), "unparseable"),
    "number": (b"42", "unparseable"),
    "text": (b'"text"', "unparseable"),
    "null": (b"null", "unparseable"),
    "true": (b"true", "unparseable"),
    "text after the object": (raw(GOOD + "x"), "unparseable"),
    "a second object": (raw(GOOD + GOOD), "unparseable"),
    "a closing brace more": (raw(GOOD + "}"), "unparseable"),
    "a comma and more": (raw(GOOD + ',"a":1'), "unparseable"),
    "truncated": (raw(GOOD[:-1]), "unparseable"),
    "single quotes": (raw(GOOD.replace('"', "'")), "unparseable"),
    "comment": (raw(GOOD[:-1] + "/* */}"), "unparseable"),
    "NaN": (raw(GOOD[:-1] + ',"a":NaN}'), "unparseable"),
    "Infinity": (raw(GOOD[:-1] + ',"a":-Infinity}'), "unparseable"),
    "empty object": (b"{}", ALL_MISSING),
    "nested rubbish": (
        changed(request={"deep": [{"er": {}}]}, priority=["low"], client_id={"a": 1}),
        "invalid_client_id,invalid_request,invalid_priority",
    ),
    "numbers for texts": (
        raw(GOOD.replace('"GOOD"', "12345").replace('"CLIENT_7"', "7")),
        "invalid_ticket_id,invalid_client_id",
    ),
    "true for a text": (changed(request=True), "invalid_request"),
    "text of a number is a text": (changed(request="5"), STORED),
    "nulls and blanks": (
        changed(request="\u2003\u0085 ", client_id=None, priority=""),
        "missing_client_id,missing_request,missing_priority",
    ),
    "line feed after the id": (raw(GOOD.replace("GOOD", "GOOD\\n")), "invalid_ticket_id"),
    "id too long": (ticket("x" * 65)[1], "invalid_ticket_id"),
    "client without number": (changed(client_id="CLIENT_"), "invalid_client_id"),
    "client in lower case": (changed(client_id="client_7"), "invalid_client_id"),
    "client with Arabic digits": (changed(client_id="C٣"), "invalid_client_id"),
    "request of 501": (changed(request="a" * 501), "invalid_request"),
    "request of a megabyte": (changed(request="a" * 1_000_000), "invalid_request"),
    "unknown type": (changed(request_type="sales"), "invalid_request_type"),
    "no zone": (changed(created_at="2026-11-22T10:00:00"), "invalid_created_at"),
    "bare date": (changed(created_at="2026-11-22"), "invalid_created_at"),
    "blank before the date": (changed(created_at=" 2026-11-22T10:00:00Z"), "invalid_created_at"),
    "named zone": (changed(created_at="2026-11-22T10:00:00Europe/Paris"), "invalid_created_at"),
    "30 February": (changed(created_at="2024-02-30T10:00:00Z"), "invalid_created_at"),
    "29 February of 2023": (changed(created_at="2023-02-29T10:00:00Z"), "invalid_created_at"),
    "25 o'clock": (changed(created_at="2026-11-22T25:00:00Z"), "invalid_created_at"),
    "offset of 18:01": (changed(created_at="2026-11-22T10:00:00+18:01"), "invalid_created_at"),
    "year 1899 in UTC": (changed(created_at="1900-01-01T00:00:00+01:00"), "invalid_created_at"),
    "a day and a second ahead": (changed(created_at="2026-11-23T10:15:01Z"), "invalid_created_at"),
    "repeated key, the last counts": (raw(GOOD[:-1] + ',"priority":"none"}'), "invalid_priority"),
}
PERSON = "0f2b6a0e-3a1c-4b5d-8e9f-00000000000"
PROFILE_CASES: dict[str, tuple[bytes | None, str]] = {
    "good": (profile(PERSON + "0")[1], STORED),
    "same id in upper case": (profile((PERSON + "0").upper())[1], DUPLICATE),
    "14 today": (profile(PERSON + "1", dob={"date": "2012-11-22T00:00:00Z"})[1], STORED),
    "14 tomorrow": (profile(PERSON + "2", dob={"date": "2012-11-23T00:00:00Z"})[1], FILTERED),
    "14 by the UTC date only": (
        profile(PERSON + "3", dob={"date": "2012-11-23T00:30:00+01:00"})[1],
        STORED,
    ),
    "child with other faults": (
        profile("no uuid", dob={"date": "2020-02-29T00:00:00Z"}, email=None, name=5)[1],
        FILTERED,
    ),
    "nationality longer than a key of Cassandra may be": (
        profile(PERSON + "8", nat="x" * 70_000)[1],
        "invalid_nat",
    ),
    "born 29 February": (profile(PERSON + "4", dob={"date": "2000-02-29T12:00:00Z"})[1], STORED),
    "born after the Kafka date": (
        profile(PERSON + "5", dob={"date": "2026-11-23T00:00:00Z"})[1],
        "invalid_dob_date",
    ),
    "unreadable birth": (profile(PERSON + "6", dob={"date": "1990-13-01"})[1], "invalid_dob_date"),
    "parents that are no objects": (
        profile(PERSON + "7", name="x", dob=[], location=1)[1],
        "missing_name_first,missing_name_last,missing_dob_date",
    ),
    "e-mails that are none": (profile(PERSON + "8", email="a@b@c")[1], "invalid_email"),
    "number for the e-mail": (profile(PERSON + "8", email=5)[1], "invalid_email"),
    "uuid that is none": (profile("xyz")[1], "invalid_login_uuid"),
    "optional fields of wrong types": (
        profile(PERSON + "9", phone={"a": 1}, gender=["x"], nat=True, registered=None)[1],
        STORED,
    ),
    "array of results": (
        raw('{"results": []}'),
        "missing_login_uuid,missing_name_first,missing_name_last,missing_email,missing_dob_date",
    ),
    "bare error of the API": (
        raw('{"error": "Uh oh"}'),
        "missing_login_uuid,missing_name_first,missing_name_last,missing_email,missing_dob_date",
    ),
    "no value": (None, "unparseable"),
    "garbage": (b"\xff\xff", "unparseable"),
}


@pytest.mark.parametrize(
    ("pipeline", "table", "cases"),
    [(TICKETS, "tickets", TICKET_CASES), (PROFILES, "users_profiles", PROFILE_CASES)],
    ids=["tickets", "profiles"],
)
def test_every_kind_of_message_lands_where_the_contract_says(
    make_world: MakeWorld, pipeline: Any, table: str, cases: dict[str, tuple[bytes | None, str]]
) -> None:
    world = make_world(pipeline)
    world.send(*[(None, value) for value, _ in cases.values()], partition=0, timestamp_ms=SENT_MS)

    world.process()

    names = list(cases)
    stored = {names[row["kafka_offset"]]: STORED for row in world.rows(table)}
    rejected = {
        names[int(headers["source_offset"])]: ",".join(
            sorted(headers["reasons"].split(","), key=_order(cases[names[int(
                headers["source_offset"])]][1]))
        )
        for _, _, headers in world.dead_letters()
    }  # fmt: skip
    nowhere = {name: cases[name][1] for name in names if name not in stored | rejected}
    assert stored | rejected | {n: o for n, o in nowhere.items() if o in (DUPLICATE, FILTERED)} == {
        name: expected for name, (_, expected) in cases.items()
    }
    values = {int(h["source_offset"]): value for _, value, h in world.dead_letters()}
    assert values == {names.index(name): cases[name][0] for name in rejected}
    totals = world.totals()
    assert (totals.read, totals.stored, totals.dead_lettered) == (
        len(cases),
        len(stored),
        len(rejected),
    )
    assert (totals.filtered, totals.duplicates) == (
        list(nowhere.values()).count(FILTERED),
        list(nowhere.values()).count(DUPLICATE),
    )


def _order(expected: str) -> Any:
    """Sort reasons as the expectation lists them: their order is not part of the contract."""
    listed = expected.split(",")
    return lambda reason: (listed.index(reason) if reason in listed else 99, reason)
