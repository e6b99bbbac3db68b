"""`millrace dead-letters list` and `show` on a real broker."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

import pytest
from confluent_kafka import Producer

from errors import SinkUnavailable
from settings import Settings
from tests.support.redrives import numbered, reject, run


@pytest.fixture
def tickets(stack_settings: Settings, make_topic: Callable[[], str]) -> Settings:
    """Settings whose tickets topic no other test has."""
    return stack_settings.model_copy(update={"tickets_topic": make_topic()})


def test_list_shows_source_reasons_and_state_of_each_and_sums_them_up(
    tickets: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    reject(tickets, (b"k", b"five!"), reasons="missing_ticket_id,invalid_created_at")
    run(tickets, "redrive")
    reject(tickets, (None, None), first_offset=1)
    reject(tickets, (b"k", b"x"), first_offset=2, redrives=3)
    Producer(tickets.kafka_client_options()).produce(f"{tickets.tickets_topic}-dead-letter", b"?")
    capsys.readouterr()

    assert run(tickets, "list", "--format", "json") == 0

    printed = capsys.readouterr()
    topic = tickets.tickets_topic
    common = {"timestamp": "2026-11-22 10:15:00+00:00", "redrives": 0, "reasons": "unparseable"}
    assert [json.loads(line) for line in printed.out.splitlines()] == [
        common
        | {"source": f"{topic}/1/0", "bytes": 6, "state": "redriven"}
        | {"reasons": "missing_ticket_id,invalid_created_at"},
        common
        | {"source": f"{topic}/1/1", "bytes": 0, "state": "waiting"}
        | {"timestamp": "2026-11-22 10:15:00.001000+00:00"},
        common
        | {"source": f"{topic}/1/2", "bytes": 2, "state": "parked", "redrives": 3}
        | {"timestamp": "2026-11-22 10:15:00.002000+00:00"},
    ]
    assert printed.err.splitlines() == [
        f"{topic} invalid_created_at redriven: 1",
        f"{topic} missing_ticket_id redriven: 1",
        f"{topic} unparseable parked: 1",
        f"{topic} unparseable waiting: 1",
        "3 dead letters: 1 waiting, 1 redriven, 1 parked",
    ]


def test_list_stops_at_the_limit_but_counts_all(
    tickets: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    reject(tickets, *numbered(5))

    run(tickets, "list", "--format", "csv", "--limit", "2")
    printed = capsys.readouterr()
    run(tickets, "list", "--limit", "2")
    table = capsys.readouterr().out

    assert [line.split(",")[0] for line in printed.out.splitlines()] == [
        "source",
        f"{tickets.tickets_topic}/1/0",
        f"{tickets.tickets_topic}/1/1",
    ]
    assert printed.err.splitlines()[-1] == "5 dead letters: 5 waiting, 0 redriven, 0 parked"
    assert "The first 2 are listed" in table
    assert f"{tickets.tickets_topic}/1/2" not in table


def test_show_masks_what_is_sensitive_unless_asked_not_to(
    tickets: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    reject(
        tickets,
        (b"C7", b'{"ticket_id": "", "request": "my secret", "iban": "DE1"}'),
        (None, b"\xffsecret garbage"),
        reasons="missing_ticket_id",
    )

    run(tickets, "show", "--format", "json")
    masked = capsys.readouterr().out
    run(tickets, "show", "--format", "json", "--unmask")
    plain = [json.loads(line) for line in capsys.readouterr().out.splitlines()]

    assert [json.loads(line)["value (masked)"] for line in masked.splitlines()] == [
        '{"ticket_id": "", "request": "•••", "iban": "•••"}',
        "<15 bytes that are not a JSON object: not shown>",
    ]
    assert "secret" not in masked
    assert [(line["key"], line["value"]) for line in plain] == [
        ("C7", '{"ticket_id": "", "request": "my secret", "iban": "DE1"}'),
        (None, "\\xffsecret garbage"),
    ]


def test_broker_that_is_away_is_named(tickets: Settings) -> None:
    away = tickets.model_copy(
        update={"kafka_bootstrap_servers": "127.0.0.1:1", "kafka_connect_timeout_seconds": 1}
    )

    for action in ("list", "show", "redrive"):
        with pytest.raises(SinkUnavailable, match=re.escape("Kafka at `127.0.0.1:1`")):
            run(away, action)
