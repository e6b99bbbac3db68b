"""Producers while the broker is away: they wait, say so, lose nothing, and can be continued."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition

from errors import DeliveryError
from operations.producing import Producer
from producers import processes, sent
from producers.delivery import Delivery
from producers.messages import Message, SendCounts
from producers.named import NamedInput
from producers.pacing import ProducerStop
from settings import PROJECT_ROOT, Settings
from spark_jobs.session.stopping import StopRequest
from spark_jobs.tickets import TICKETS
from tests.support.mock_broker import MockBroker, mock_broker
from tests.support.rich_contracts import rich_contract

RATE = 500


@pytest.fixture
def broker() -> Iterator[MockBroker]:
    with mock_broker() as running:
        yield running


def settings_for(broker: MockBroker) -> Settings:
    return Settings(
        kafka_bootstrap_servers=broker.address,
        kafka_connect_timeout_seconds=20,
        store_retry_seconds=3,
    )


def values_on_topic(broker: MockBroker, number: int) -> list[bytes]:
    """The first messages of the topic, at most so many."""
    consumer = Consumer({"bootstrap.servers": broker.address, "group.id": "test"})
    consumer.assign([TopicPartition("t", n, OFFSET_BEGINNING) for n in range(4)])
    read: list[bytes] = []
    deadline = time.monotonic() + 20
    while len(read) < number and time.monotonic() < deadline:
        read += [message.value() or b"" for message in consumer.consume(number, timeout=0.2)]
    read += [message.value() or b"" for message in consumer.consume(1000, timeout=0.5)]
    consumer.close()
    return read


def test_frozen_broker_is_waited_for_in_words_and_nothing_is_lost(broker: MockBroker) -> None:
    taken, said = 0, list[tuple[str, int]]()

    def say(line: str) -> None:
        said.append((line, taken))
        threading.Timer(0.5, broker.thaw).start()

    delivery = Delivery(settings_for(broker), "t", say=say)

    def messages() -> Iterator[Message]:
        nonlocal taken
        for n in range(1500):
            if not said and delivery.counts.delivered >= 100:
                broker.freeze()
            taken = n
            yield Message(b"k%d" % n, b"v%d" % n)

    delivery.connect()
    delivery.send_all(messages(), rate=RATE)
    counts = delivery.close()

    assert str(counts) == "sent=1500 delivered=1500 failed=0"
    assert sorted(values_on_topic(broker, 1500)) == sorted(b"v%d" % n for n in range(1500))
    (begins, taken_before), (ends, taken_after) = said
    assert re.match(
        r"waiting for Kafka at `127\.0\.0\.1:\d+` since \d\d:\d\d:\d\d, until \d\d:\d\d:\d\d"
        r" \(STORE_RETRY_SECONDS=3\): ",
        begins,
    )
    assert re.search(r"answers again after \d s: sending goes on$", ends)
    # What is not taken from the source is not at stake.
    assert taken_after == taken_before > 100


def test_broker_that_stays_away_leaves_failed_and_unknown_messages_apart(
    broker: MockBroker,
) -> None:
    delivery = Delivery(settings_for(broker), "t", say=lambda line: None, block=1)

    def messages() -> Iterator[Message]:
        for n in range(100 * RATE):
            # Its four partitions are confirmed in any order.
            if delivery.counts.delivered >= 100 and delivery.next_number > 1:
                broker.freeze()
            yield Message(None, b"%d" % n)

    delivery.connect()
    with pytest.raises(DeliveryError, match=r"no answer for `t` since .*STORE_RETRY_SECONDS=3"):
        delivery.send_all(messages(), rate=RATE)
    next_number = delivery.next_number
    counts = delivery.abandon()
    broker.thaw()
    on_topic = len(values_on_topic(broker, counts.delivered + counts.unknown))

    assert counts.sent == counts.delivered + counts.failed + counts.unknown
    assert min(counts.delivered, counts.failed, counts.unknown) > 0
    assert 1 < next_number <= counts.delivered + 1
    # The frozen broker had received what is unknown, and nothing of what failed.
    assert counts.delivered <= on_topic <= counts.delivered + counts.unknown


def command(broker: MockBroker, *options: str) -> list[str]:
    own = ("--topic", "t", "--bootstrap-servers", broker.address)
    return [sys.executable, "-m", "producers.tickets", *own, *options]


def counts_of(output: str) -> SendCounts:
    counts = processes.last_counts(output)
    assert counts, output
    return counts


def test_interrupted_producer_says_how_to_send_exactly_the_rest(broker: MockBroker) -> None:
    ratios = ["--invalid-ratio", "0", "--duplicate-ratio", "0"]
    with subprocess.Popen(
        command(broker, "--count", "900", "--rate", "150", *ratios),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=PROJECT_ROOT,
    ) as first:  # fmt: skip
        assert first.stdout is not None
        first.stdout.readline()
        assert values_on_topic(broker, 1)
        first.send_signal(signal.SIGINT)
        output, errors = first.communicate(timeout=30)
    before = counts_of(output)
    assert 0 < before.sent == before.delivered < 900
    program, *rest = shlex.split(errors.splitlines()[-1])
    assert (program, rest[-2:]) == (".venv/bin/python", ["--from-record", str(before.sent + 1)])
    second = subprocess.run(
        [sys.executable, *rest, "--rate", "0"],
        capture_output=True, text=True, timeout=60, check=True, cwd=PROJECT_ROOT,
    )  # fmt: skip

    assert counts_of(second.stdout).delivered == 900 - before.sent
    ids = [json.loads(value)["ticket_id"] for value in values_on_topic(broker, 900)]
    assert len(ids) == len(set(ids)) == 900


def test_second_interrupt_ends_a_wait_and_the_counts_still_add_up(broker: MockBroker) -> None:
    with subprocess.Popen(
        command(broker, "--count", "0", "--rate", "300"),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=PROJECT_ROOT,
    ) as run:  # fmt: skip
        assert run.stdout is not None
        run.stdout.readline()
        assert values_on_topic(broker, 1)
        broker.freeze()
        time.sleep(0.5)
        for _ in range(2):
            run.send_signal(signal.SIGINT)
            time.sleep(0.5)
        output, errors = run.communicate(timeout=30)

    counts = counts_of(output)
    assert run.returncode == 1
    assert counts.sent == counts.delivered + counts.failed + counts.unknown > counts.delivered
    assert f"unknown: {counts.unknown} transmitted" in errors
    assert "--from-record" in errors
    assert "Traceback" not in errors


def test_run_passes_on_what_its_producers_say_about_waits(
    broker: MockBroker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STORE_RETRY_SECONDS", "4")
    settings = Settings(
        millrace_home=tmp_path, kafka_bootstrap_servers=broker.address, tickets_topic="t"
    )
    own = ["--bootstrap-servers", broker.address, "--count", "0", "--rate", "100"]
    said, stop = list[str](), StopRequest()

    def say(line: str) -> None:
        said.append(line)
        broker.thaw()
        if len(said) == 2:
            stop.ask()

    producer = Producer(settings, TICKETS, own)
    assert values_on_topic(broker, 1)
    broker.freeze()
    lines = producer.wait(stop, say)

    assert re.match(r"tickets: waiting for Kafka at .* \(STORE_RETRY_SECONDS=4\): ", said[0])
    assert "answers again after" in said[1]
    assert "failed=0" in lines[-1]


def test_idle_source_does_not_keep_a_wait_from_being_reported(broker: MockBroker) -> None:
    said: list[str] = []
    stop = ProducerStop()
    delivery = Delivery(settings_for(broker), "t", stop=stop, say=said.append)
    delivery.connect()

    def messages() -> Iterator[Message]:
        yield Message(None, b"first")
        broker.freeze()
        yield Message(None, b"second")
        while not said:
            stop.sleep(0.1)
        broker.thaw()

    delivery.send_all(messages(), chunk=1)

    assert str(delivery.close()) == "sent=2 delivered=2 failed=0"
    assert said[0].startswith("waiting for Kafka")


def test_records_of_a_file_are_counted_with_those_that_are_withheld(tmp_path: Path) -> None:
    contract = rich_contract("members")
    file = tmp_path / "m.jsonl"
    file.write_text("".join(f'{{"uuid":"{n}"}}\n' if n % 3 else "[]\n" for n in range(1, 10)))
    target = NamedInput("members", "members", contract, contract.id_fields)

    whole = sent.FileRecords(target, str(file))
    keys = [message.key for message in whole.messages(Settings(), ProducerStop())]
    rest = sent.FileRecords(target, str(file), start=5)
    keys_of_rest = [message.key for message in rest.messages(Settings(), ProducerStop())]

    assert keys == [b"1", b"2", b"4", b"5", b"7", b"8"]
    # Message 4 is record 5; after message 4 comes record 7, as record 6 is withheld.
    assert [whole.place_of(number) for number in range(1, 8)] == [1, 2, 4, 5, 7, 8, 10]
    assert keys_of_rest == [b"5", b"7", b"8"]
    assert [rest.place_of(number) for number in (1, 2, 3)] == [5, 7, 8]


def test_last_line_is_read_with_and_without_unknown_messages() -> None:
    known, doubtful = "sent=9 delivered=5 failed=4", "sent=9 delivered=5 failed=3 unknown=1"

    assert processes.last_counts(f"note\n{known}\n") == SendCounts(9, 5, 4)
    assert processes.last_counts(doubtful) == SendCounts(9, 5, 3, 1)
    assert processes.last_counts("sent=9 delivered=5\n") is None
    assert processes.last_counts("") is None


def test_continuing_several_processes_at_once_is_refused() -> None:
    run = subprocess.run(
        [sys.executable, "-m", "producers.tickets", "--processes", "2", "--from-record", "5"],
        capture_output=True, text=True, timeout=60, check=False, env=os.environ,
    )  # fmt: skip

    assert run.returncode == 2
    assert "leave out --processes" in run.stderr
