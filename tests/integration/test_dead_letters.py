"""`millrace dead-letters` on a real broker: what is shown, and that nothing is sent twice."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ResourceType,
)

from errors import DeliveryError, SinkUnavailable
from operations.dead_letters import redrive, redrive_sender
from operations.dead_letters.dead_letters import run_dead_letters
from operations.dead_letters.reader import read_dead_letters
from operations.dead_letters.redrive_sender import Sender, wait_until_readable
from operations.options import build_parser
from operations.pipelines import read_topic
from producers.delivery import Delivery
from settings import PROJECT_ROOT, Settings
from spark_jobs.sources.broker import existing_topics
from spark_jobs.state.ledger import Counts
from spark_jobs.tickets import TICKETS
from tests.integration.test_tickets_pipeline import ticket
from tests.integration.test_verify import account_of
from tests.support.pipelines import MakeWorld

pytestmark = pytest.mark.extended

# 2026-11-22T10:15:00Z
SENT_MS = 1_795_342_500_000
Key = bytes | None
Letter = tuple[Key, bytes | None]


@pytest.fixture
def tickets(stack_settings: Settings, make_topic: Callable[[], str]) -> Settings:
    """Settings whose tickets topic no other test has."""
    return stack_settings.model_copy(update={"tickets_topic": make_topic()})


def reject(
    settings: Settings,
    *letters: Letter,
    first_offset: int = 0,
    reasons: str = "unparseable",
    redrives: int = 0,
) -> None:
    """Put dead letters on their topic as a job does, at source offsets one after the other."""
    topic = settings.tickets_topic
    producer = Producer(settings.kafka_client_options() | {"message.max.bytes": 2_000_000})
    for offset, (key, value) in enumerate(letters, first_offset):
        headers = {
            "reasons": reasons,
            "source_topic": topic,
            "source_partition": "1",
            "source_offset": str(offset),
            "source_timestamp": str(SENT_MS + offset),
            "redrives": str(redrives),
        }
        encoded = {name: text.encode() for name, text in headers.items()}
        producer.produce(f"{topic}-dead-letter", value, key, partition=0, headers=encoded)
    assert producer.flush(30) == 0


def numbered(count: int) -> list[Letter]:
    return [(b"C%d" % number, b"no ticket %d" % number) for number in range(count)]


def run(settings: Settings, action: str, *options: str) -> int:
    arguments = ["dead-letters", action, "--topic", settings.tickets_topic, *options]
    return run_dead_letters(settings, build_parser().parse_args(arguments))


def source(settings: Settings) -> list[Any]:
    """The committed messages of the source topic."""
    return list(read_topic(settings, settings.tickets_topic))


def values(settings: Settings) -> list[bytes]:
    return sorted(message.value() for message in source(settings))


def test_original_bytes_and_key_go_back_and_the_return_is_counted(tickets: Settings) -> None:
    letters: list[Letter] = [
        (None, b"\xff\xfe\x00 not json\r\n"),
        (b"k", None),
        (None, None),
        (b"", b""),
        (b"\x00\xff", bytes(range(256))),
        (b"large", os.urandom(1_000_000)),
    ]
    reject(tickets, *letters, first_offset=40, redrives=1)

    assert run(tickets, "redrive") == 0

    found = {m.headers()[1][1]: (m.key(), m.value(), m.headers()) for m in source(tickets)}
    assert found == {
        b"%s/1/%d" % (tickets.tickets_topic.encode(), offset): (
            key,
            value,
            [
                ("redrives", b"2"),
                ("redriven_from", b"%s/1/%d" % (tickets.tickets_topic.encode(), offset)),
            ],
        )
        for offset, (key, value) in enumerate(letters, 40)
    }


def test_key_goes_to_the_partition_to_which_producers_send_it(tickets: Settings) -> None:
    keys = [b"CLIENT_%d" % number for number in range(12)]
    delivery = Delivery(tickets, tickets.tickets_topic)
    for key in keys:
        delivery.send(key, b"sent")
    delivery.close()
    reject(tickets, *((key, b"redriven") for key in keys))

    run(tickets, "redrive")

    places = {(m.key(), m.value()): m.partition() for m in source(tickets)}
    assert len(places) == 24
    assert len(set(places.values())) == 3
    assert all(places[key, b"sent"] == places[key, b"redriven"] for key in keys)


def test_list_tells_source_reasons_and_state_of_each_and_sums_them_up(
    tickets: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    reject(tickets, (b"k", b"five!"), reasons="missing_ticket_id,invalid_created_at")
    run(tickets, "redrive")
    reject(tickets, (None, None), first_offset=1)
    reject(tickets, (b"k", b"x"), first_offset=2, redrives=3)
    Producer(tickets.kafka_client_options()).produce(f"{tickets.tickets_topic}-dead-letter", b"?")
    capsys.readouterr()

    assert run(tickets, "list", "--format", "json") == 0

    told = capsys.readouterr()
    topic = tickets.tickets_topic
    common = {"timestamp": "2026-11-22 10:15:00+00:00", "redrives": 0, "reasons": "unparseable"}
    assert [json.loads(line) for line in told.out.splitlines()] == [
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
    assert told.err.splitlines() == [
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
    told = capsys.readouterr()
    run(tickets, "list", "--limit", "2")
    table = capsys.readouterr().out

    assert [line.split(",")[0] for line in told.out.splitlines()] == [
        "source",
        f"{tickets.tickets_topic}/1/0",
        f"{tickets.tickets_topic}/1/1",
    ]
    assert told.err.splitlines()[-1] == "5 dead letters: 5 waiting, 0 redriven, 0 parked"
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


def test_dry_run_tells_what_would_be_sent_and_sends_nothing(
    tickets: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    reject(tickets, *numbered(3))
    reject(tickets, (None, b"x"), first_offset=3, redrives=3)

    assert run(tickets, "redrive", "--dry-run", "--max", "2") == 0

    lines = capsys.readouterr().out.splitlines()
    assert lines[-2:] == [
        "dry run: 2 would be sent, nothing was",
        "redriven=0 parked=0 skipped=0 failed=0",
    ]
    assert source(tickets) == []
    assert f"{tickets.tickets_topic}-redriven" not in existing_topics(tickets)


def test_redrive_sends_at_most_what_is_asked_for_and_then_the_rest(
    tickets: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    reject(tickets, *numbered(4))
    reject(tickets, (None, b"often back"), first_offset=4, redrives=3)

    for options, last_line in (
        (["--max", "1"], "redriven=1 parked=0 skipped=0 failed=0"),
        (["--from-offset", "3"], "redriven=1 parked=1 skipped=0 failed=0"),
        (["--state", "parked"], "redriven=0 parked=1 skipped=0 failed=0"),
        ([], "redriven=2 parked=1 skipped=2 failed=0"),
        ([], "redriven=0 parked=1 skipped=4 failed=0"),
    ):
        assert run(tickets, "redrive", *options) == 0
        assert capsys.readouterr().out.splitlines()[-1] == last_line

    assert values(tickets) == [b"no ticket %d" % number for number in range(4)]


def test_raised_limit_lets_a_parked_letter_go(tickets: Settings) -> None:
    reject(tickets, (None, b"often back"), redrives=3)
    run(tickets, "redrive")
    assert source(tickets) == []

    run(tickets.model_copy(update={"max_redrives": 4}), "redrive")

    assert [m.headers()[0] for m in source(tickets)] == [("redrives", b"4")]


def test_letter_that_its_topic_holds_twice_is_sent_and_counted_once(
    tickets: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    reject(tickets, *numbered(3))
    reject(tickets, *numbered(3))

    run(tickets, "redrive")

    assert capsys.readouterr().out == "redriven=3 parked=0 skipped=0 failed=0\n"
    assert values(tickets) == [b"no ticket 0", b"no ticket 1", b"no ticket 2"]


def test_rate_is_held(tickets: Settings) -> None:
    reject(tickets, *numbered(7))
    started = time.monotonic()

    run(tickets, "redrive", "--rate", "3")

    assert 2.0 <= time.monotonic() - started < 15
    assert len(source(tickets)) == 7


@pytest.mark.parametrize("moment", ["redrive-before-commit", "redrive-after-commit"])
def test_failed_run_is_completed_by_the_next_one(
    tickets: Settings,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    moment: str,
) -> None:
    reject(tickets, *numbered(25))
    monkeypatch.setattr(redrive, "BATCH_MESSAGES", 10)
    reached = []

    def fail(name: str) -> None:
        reached.append(name)
        if reached.count(moment) == 2:
            raise DeliveryError("crash on purpose")

    with monkeypatch.context() as patched:
        patched.setattr(redrive_sender, "fault_point", fail)
        with pytest.raises(DeliveryError, match="on purpose"):
            run(tickets, "redrive")
    assert capsys.readouterr().out == "redriven=10 parked=0 skipped=0 failed=0\n"
    sent = {"redrive-before-commit": 10, "redrive-after-commit": 20}[moment]
    assert len(source(tickets)) == sent

    assert run(tickets, "redrive") == 0

    told = f"redriven={25 - sent} parked=0 skipped={sent} failed=0\n"
    assert capsys.readouterr().out == told
    assert values(tickets) == sorted(b"no ticket %d" % number for number in range(25))


def child(settings: Settings, *options: str, **environment: str) -> subprocess.Popen[str]:
    topic = settings.tickets_topic
    command = [sys.executable, "-m", "operations.cli", "dead-letters", "redrive", "--topic", topic]
    return subprocess.Popen(
        [*command, *options],
        cwd=PROJECT_ROOT,
        env=os.environ | {"TICKETS_TOPIC": topic} | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize(
    ("moment", "sent"), [("redrive-before-commit:2", 100), ("redrive-after-commit:2", 200)]
)
def test_killed_run_is_completed_by_the_next_one(
    tickets: Settings, capsys: pytest.CaptureFixture[str], moment: str, sent: int
) -> None:
    reject(tickets, *numbered(250))

    with child(tickets, MILLRACE_FAULT=moment) as process:
        assert process.wait(60) == -signal.SIGKILL
    assert run(tickets, "redrive") == 0

    told = f"redriven={250 - sent} parked=0 skipped={sent} failed=0\n"
    assert capsys.readouterr().out == told
    assert values(tickets) == sorted(b"no ticket %d" % number for number in range(250))


def test_interrupted_run_tells_its_counts_and_the_next_one_goes_on(
    tickets: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    reject(tickets, *numbered(60))

    with child(tickets, "--rate", "10") as process:
        deadline = time.monotonic() + 60
        while not source(tickets) and time.monotonic() < deadline:
            time.sleep(0.1)
        process.send_signal(signal.SIGTERM)
        out, error = process.communicate(timeout=60)
    assert process.returncode == 130
    found = re.fullmatch(r"redriven=(\d+) parked=0 skipped=0 failed=0\n", out)
    assert found, out
    sent = int(found[1])
    assert 0 < sent < 60
    assert error == "interrupted; run it again for the rest\n"
    assert len(source(tickets)) == sent

    run(tickets, "redrive")

    assert capsys.readouterr().out == f"redriven={60 - sent} parked=0 skipped={sent} failed=0\n"
    assert values(tickets) == sorted(b"no ticket %d" % number for number in range(60))


def test_second_run_takes_over_from_one_that_is_in_the_middle(
    tickets: Settings, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    reject(tickets, *numbered(5))
    first, *rest = read_dead_letters(tickets, tickets.tickets_topic)

    def meanwhile(_name: str) -> None:
        monkeypatch.setattr(redrive_sender, "fault_point", lambda _: None)
        assert run(tickets, "redrive") == 0

    with Sender(tickets, tickets.tickets_topic) as sender:
        assert sender.send([first]) == []
        monkeypatch.setattr(redrive_sender, "fault_point", meanwhile)
        with pytest.raises(DeliveryError, match="Another redrive"):
            sender.send(rest)

    assert capsys.readouterr().out == "redriven=4 parked=0 skipped=1 failed=0\n"
    assert values(tickets) == [b"no ticket %d" % number for number in range(5)]


def test_what_another_run_sends_until_it_is_taken_over_from_is_not_sent_again(
    tickets: Settings, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    reject(tickets, *numbered(5))
    first, *_ = read_dead_letters(tickets, tickets.tickets_topic)
    take_over = Sender.__enter__

    with Sender(tickets, tickets.tickets_topic) as rival:

        def late(sender: Sender) -> Sender:
            rival.send([first])
            return take_over(sender)

        monkeypatch.setattr(Sender, "__enter__", late)
        run(tickets, "redrive")

    assert capsys.readouterr().out == "redriven=4 parked=0 skipped=1 failed=0\n"
    assert values(tickets) == [b"no ticket %d" % number for number in range(5)]


def test_letter_that_its_topic_no_longer_takes_does_not_hold_up_the_others(
    tickets: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    reject(tickets, *numbered(2), (b"C1", os.urandom(60_000)))
    reject(tickets, (b"C0", b"last"), first_offset=3)
    limit = ConfigEntry("max.message.bytes", "20000", incremental_operation=AlterConfigOpType.SET)
    place = ConfigResource(ResourceType.TOPIC, tickets.tickets_topic, incremental_configs=[limit])
    admin = AdminClient(tickets.kafka_client_options())
    admin.incremental_alter_configs([place])[place].result(30)

    assert run(tickets, "redrive") == 1
    assert run(tickets, "redrive") == 1

    assert capsys.readouterr().out.splitlines() == [
        "redriven=3 parked=0 skipped=0 failed=1",
        "redriven=0 parked=0 skipped=3 failed=1",
    ]
    assert values(tickets) == [b"last", b"no ticket 0", b"no ticket 1"]


def test_run_ends_when_readers_see_what_it_sent_or_another_one_holds_them_up(
    tickets: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    topic = tickets.tickets_topic
    producer = Producer(tickets.kafka_client_options() | {"transactional.id": f"t-{topic}"})
    producer.init_transactions(30)
    producer.begin_transaction()
    producer.produce(topic, b"open", partition=0)
    producer.flush(30)
    monkeypatch.setattr(redrive_sender, "READABLE_SECONDS", 0.5)

    assert not wait_until_readable(tickets, (topic,))

    producer.commit_transaction(30)
    monkeypatch.undo()
    assert wait_until_readable(tickets, (topic,))
    assert values(tickets) == [b"open"]


def test_topic_that_ends_in_transactions_is_read_to_its_end(tickets: Settings) -> None:
    producer = Producer(
        tickets.kafka_client_options() | {"transactional.id": f"t-{tickets.tickets_topic}"}
    )
    producer.init_transactions(30)
    for value, end in (
        (b"aborted", producer.abort_transaction),
        (b"committed", producer.commit_transaction),
        (b"aborted last", producer.abort_transaction),
    ):
        producer.begin_transaction()
        producer.produce(tickets.tickets_topic, value, partition=0)
        producer.flush(30)
        end(30)
    producer.begin_transaction()
    producer.produce(tickets.tickets_topic, b"still open", partition=0)
    producer.flush(30)
    started = time.monotonic()

    assert values(tickets) == [b"committed"]

    assert time.monotonic() - started < 10
    producer.abort_transaction(30)


def test_broker_that_is_away_is_named(tickets: Settings) -> None:
    away = tickets.model_copy(
        update={"kafka_bootstrap_servers": "127.0.0.1:1", "kafka_connect_timeout_seconds": 1}
    )

    for action in ("list", "show", "redrive"):
        with pytest.raises(SinkUnavailable, match=re.escape("Kafka at `127.0.0.1:1`")):
            run(away, action)


def test_job_takes_redriven_messages_until_they_are_repaired_or_parked(
    make_world: MakeWorld, capsys: pytest.CaptureFixture[str]
) -> None:
    """One stays broken; the other was ahead of its time, which has come since."""
    world = make_world(TICKETS)
    world.send((None, b"\xffgarbage"), partition=0)
    # Sent on 2020-01-01.
    early = ticket("EARLY", created_at="2020-01-03T00:00:01Z")
    world.send(early, partition=1, timestamp_ms=1_577_836_800_000)
    settings = world.settings.model_copy(update={"max_redrives": 2})
    world.process()

    told = []
    for _ in range(3):
        run(settings, "redrive")
        told.append(capsys.readouterr().out.splitlines()[-1])
        world.process()

    assert told == [
        "redriven=2 parked=0 skipped=0 failed=0",
        "redriven=1 parked=0 skipped=2 failed=0",
        "redriven=0 parked=1 skipped=3 failed=0",
    ]
    assert world.totals() == Counts(
        read=5, stored=1, dead_lettered=4, reasons={"invalid_created_at": 1, "unparseable": 3}
    )
    assert sorted((value, headers["redrives"]) for _, value, headers in world.dead_letters()) == [
        (early[1], "0")
    ] + [(b"\xffgarbage", str(returns)) for returns in range(3)]
    assert [row["ticket_id"] for row in world.rows("tickets")] == ["EARLY"]
    account = account_of(world)
    assert account.faults == []
    assert account.balanced
