from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from pyspark.sql import DataFrame

from settings import Settings
from spark_jobs.tickets import TICKETS
from spark_jobs.transforms.tickets import classify_tickets
from tests.support.builders import french_ticket, payload, ticket

Frame = Callable[..., DataFrame]
MISSING_ALL = [
    "missing_ticket_id",
    "missing_client_id",
    "missing_created_at",
    "missing_request",
    "missing_request_type",
    "missing_priority",
]


def reasons(frame: Frame, records: list[Any]) -> list[list[str]]:
    rows = classify_tickets(frame(records)).orderBy("kafka_offset").collect()
    assert len(rows) == len(records)
    assert all((row.outcome == "rejected") == bool(row.reasons) for row in rows)
    return [row.reasons for row in rows]


def test_half_a_surrogate_pair_becomes_a_question_mark(frame: Frame) -> None:
    """JSON can escape it, UTF-8 cannot hold it."""
    halves = b'"' + rb"a\ud83d b\ude00 c\ud83d\ude00" + b'"'
    message = payload(ticket(request="TEXT")).replace(b'"TEXT"', halves)

    row = classify_tickets(frame([message])).first()

    assert row is not None
    assert (row.outcome, row.request) == ("valid", "a? b? c\U0001f600")


def test_a_valid_ticket_becomes_a_record_with_team_and_hour(frame: Frame) -> None:
    record = ticket(
        request="\u00a0 Où est ma facture ?\n", created_at="2026-11-22T01:15:00.1239+0300"
    )

    row = classify_tickets(frame([record], partition=2)).first()

    assert row is not None
    assert row.asDict() == {
        "record_id": "0b9a1c9e-4f0e-4a57-8b0a-6d5f2f3c1a77",
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
        "ticket_id": "0b9a1c9e-4f0e-4a57-8b0a-6d5f2f3c1a77",
        "client_id": "CLIENT_42",
        "created_at": datetime(2026, 11, 21, 22, 15, 0, 123000),  # noqa: DTZ001
        "request": "Où est ma facture ?",
        "request_type": "billing",
        "priority": "high",
        "assigned_team": "Billing",
        "created_hour": datetime(2026, 11, 21, 22, 0),  # noqa: DTZ001
    }


def test_the_columns_are_these_in_this_order(frame: Frame) -> None:
    assert classify_tickets(frame([])).dtypes == [
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
        ("ticket_id", "string"),
        ("client_id", "string"),
        ("created_at", "timestamp"),
        ("request", "string"),
        ("request_type", "string"),
        ("priority", "string"),
        ("assigned_team", "string"),
        ("created_hour", "timestamp"),
    ]


def test_a_rejected_ticket_keeps_its_bytes_and_nothing_else(frame: Frame) -> None:
    rows = classify_tickets(frame([b"\xff\x00", None, ticket(priority="now")], partition=1))

    got = rows.orderBy("kafka_offset").collect()

    assert [row.record_id for row in got] == ["1/0", "1/1", "1/2"]
    assert [row.key for row in got] == [b"key"] * 3
    assert [row.value for row in got][:2] == [b"\xff\x00", None]
    assert [row.reasons for row in got] == [["unparseable"], ["unparseable"], ["invalid_priority"]]
    assert all(value is None for row in got for value in row[11:])


def test_missing_is_absent_null_or_blank(frame: Frame) -> None:
    absent = {name: ... for name in ticket()}
    null, blank = dict.fromkeys(ticket()), dict.fromkeys(ticket(), "\u2003\t")

    assert reasons(frame, [ticket(**absent), ticket(**null), ticket(**blank)]) == [MISSING_ALL] * 3


def test_other_types_than_strings_are_invalid(frame: Frame) -> None:
    kinds: list[Any] = [5, True, {"a": "b"}, ["billing"], {}, []]
    invalid = [reason.replace("missing", "invalid") for reason in MISSING_ALL]

    assert reasons(frame, [dict.fromkeys(ticket(), kind) for kind in kinds]) == [invalid] * 6
    assert reasons(frame, [french_ticket(demande=5, type=5, priorite=5)]) == [
        ["invalid_request", "invalid_request_type", "invalid_priority"]
    ]


def test_ids_have_their_form_and_no_white_space(frame: Frame) -> None:
    good = ["A", "A1B2C3D4", "12345", "true", "-_-", "x" * 64]
    bad = ["x" * 65, "a b", "a\n", " a", "é", "a/b", "0/1"]
    good_clients = ["C1", "CLIENT_1", "C1234567890"]
    bad_clients = ["C", "C12345678901", "CLIENT1", "c1", "CLIENT_", "C1\n", "C١"]

    assert reasons(frame, [ticket(ticket_id=i) for i in good]) == [[]] * 6
    assert reasons(frame, [ticket(ticket_id=i) for i in bad]) == [["invalid_ticket_id"]] * 7
    assert reasons(frame, [ticket(client_id=i) for i in good_clients]) == [[]] * 3
    assert reasons(frame, [ticket(client_id=i) for i in bad_clients]) == [["invalid_client_id"]] * 7


def test_requests_have_1_to_500_code_points_after_trimming(frame: Frame) -> None:
    good = ["x", "x" * 500, "\U0001f600" * 500, "  " + "x" * 500 + "\u3000" * 9, "\0", "5", "[x]"]
    bad = ["x" * 501, "\U0001f600" * 501, "x" * 1_000_000]

    assert reasons(frame, [ticket(request=r) for r in good]) == [[]] * 7
    assert reasons(frame, [ticket(request=r) for r in bad]) == [["invalid_request"]] * 3


def test_created_at_may_be_24_hours_ahead_of_the_broker(frame: Frame) -> None:
    good = ["2026-11-23T12:00:00Z", "2026-11-23T13:00:00+01:00", "1900-01-01T00:00:00Z"]
    bad = ["2026-11-23T12:00:00.001Z", "2026-11-23T12:00:00-00:01", "1900-01-01T00:00:00+00:01"]

    assert reasons(frame, [ticket(created_at=at) for at in good]) == [[]] * 3
    assert reasons(frame, [ticket(created_at=at) for at in bad]) == [["invalid_created_at"]] * 3


def test_both_vocabularies_are_understood_under_either_name(frame: Frame) -> None:
    types = {
        "billing": ["billing", "facturation", " BILLING\u00a0", "Facturation"],
        "technical": ["technical", "technique", "support", "SUPPORT"],
        "account": ["account", "compte"],
        "general": ["general", "général", "GÉNÉRAL"],
    }
    priorities = {
        "low": ["low", "basse", "faible"],
        "medium": ["medium", "moyenne", "normale"],
        "high": ["high", "haute", "\tHaute"],
        "critical": ["critical", "urgent", "urgente", "critique", "URGENT "],
    }
    pairs = [("type", s, v) for v, spellings in types.items() for s in spellings]
    pairs += [("priorite", s, v) for v, spellings in priorities.items() for s in spellings]
    english = {"type": "request_type", "priorite": "priority"}
    records = [french_ticket(**{name: spelling}) for name, spelling, _ in pairs]
    records += [ticket(**{english[name]: spelling}) for name, spelling, _ in pairs]

    rows = classify_tickets(frame(records)).orderBy("kafka_offset").collect()

    assert [row[english[name]] for row, (name, _, _) in zip(rows, pairs * 2, strict=True)] == [
        value for _, _, value in pairs
    ] * 2


def test_unknown_values_are_invalid(frame: Frame) -> None:
    records = [ticket(request_type=value) for value in ["refund", "bil ling", "5", "generale"]]

    assert reasons(frame, records) == [["invalid_request_type"]] * 4


def test_the_english_name_counts_even_when_null(frame: Frame) -> None:
    records = [
        ticket(demande="autre", type="compte", priorite="basse"),
        ticket(request=None, demande="autre"),
        '{"\\u0072equest":null,' + '"demande":"autre"}',
        french_ticket(request="English"),
        french_ticket(REQUEST="ignored", Type="ignored"),
        ticket(request=..., DEMANDE="autre"),
        french_ticket(demande=None),
    ]

    rows = classify_tickets(frame(records)).orderBy("kafka_offset").collect()

    assert [row.reasons for row in rows] == [
        [],
        ["missing_request"],
        MISSING_ALL,
        [],
        [],
        ["missing_request"],
        ["missing_request"],
    ]
    assert (rows[0].request, rows[0].request_type) == ("My invoice is wrong", "billing")
    assert rows[3].request == "English"
    assert rows[4].request == "Ma facture est fausse"


def test_unknown_fields_are_ignored(frame: Frame) -> None:
    extra = {"_corrupt": "x", "o": 1, "text": [], "record": {}, "outcome": "filtered", "x": None}

    assert reasons(frame, [ticket(**extra)]) == [[]]


def test_of_repeated_keys_the_last_counts_with_its_type(frame: Frame) -> None:
    text = '{"ticket_id":"A","client_id":"C1","created_at":"2026-11-22T10:11:12Z",%s,' + (
        '"request_type":"billing","priority":"low"}'
    )

    last = [
        '"request":"5","request":5',
        '"request":5,"request":"5"',
        '"request":"x","request":null',
    ]

    assert reasons(frame, [text % pair for pair in last]) == [
        ["invalid_request"],
        [],
        ["missing_request"],
    ]


def test_shard_follows_from_the_id_where_settings_ask_for_shards(frame: Frame) -> None:
    settings = Settings(_env_file=None, tickets_by_team_shards=8)
    divided = TICKETS.divided(settings)
    records = [ticket(ticket_id="T-1"), ticket(ticket_id="T-2"), ticket(ticket_id=None)]

    judged = divided.classify(frame(records), settings)

    found = {row["kafka_offset"]: row["shard"] for row in judged.collect()}
    # CRC-32 of the ids is 0xE50005AB and 0x7C095411; a rejected message has no shard.
    assert found == {0: 0xE50005AB % 8, 1: 0x7C095411 % 8, 2: None}
    assert judged.schema["shard"].dataType.simpleString() == "int"
    [row] = divided.tables[1].rows(judged.filter("ticket_id = 'T-1'")).collect()
    assert row["shard"] == found[0]
    assert "shard" not in TICKETS.classify(frame(records), settings).columns
