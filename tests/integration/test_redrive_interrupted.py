"""Redrives that fail, are killed or meet another one: nothing is sent twice, nothing is left."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable

import pytest
from confluent_kafka import Producer

from errors import DeliveryError
from operations.dead_letters import redrive, redrive_sender
from operations.dead_letters.reader import read_dead_letters
from operations.dead_letters.redrive_sender import Sender, wait_until_readable
from settings import PROJECT_ROOT, Settings
from tests.support.redrives import numbered, reject, run, source, values


@pytest.fixture
def tickets(stack_settings: Settings, make_topic: Callable[[], str]) -> Settings:
    """Settings whose tickets topic no other test has."""
    return stack_settings.model_copy(update={"tickets_topic": make_topic()})


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

    expected = f"redriven={25 - sent} parked=0 skipped={sent} failed=0\n"
    assert capsys.readouterr().out == expected
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

    expected = f"redriven={250 - sent} parked=0 skipped={sent} failed=0\n"
    assert capsys.readouterr().out == expected
    assert values(tickets) == sorted(b"no ticket %d" % number for number in range(250))


def test_interrupted_run_prints_its_counts_and_the_next_one_continues(
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
