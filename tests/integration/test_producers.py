"""Producers against a real broker: everything arrives, in order, and is counted."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any

import pytest
from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition

from errors import DeliveryError
from local_stack.kafka import Kafka
from producers.delivery import Delivery
from producers.generate import TicketGenerator
from producers.messages import Message
from producers.pacing import ProducerStop
from runtime.java import find_java
from settings import Settings

pytestmark = pytest.mark.integration

LAST_LINE = re.compile(r"sent=(\d+) delivered=(\d+) failed=(\d+)")


def messages_of(settings: Settings, topic: str) -> list[tuple[int, Message]]:
    """All messages of a topic with their partitions, in the order of each partition."""
    consumer = Consumer({**settings.kafka_client_options(), "group.id": f"test-{topic}"})
    try:
        numbers = consumer.list_topics(topic, timeout=10).topics[topic].partitions
        ends = {
            n: consumer.get_watermark_offsets(TopicPartition(topic, n), timeout=10)[1]
            for n in numbers
        }
        consumer.assign([TopicPartition(topic, n, OFFSET_BEGINNING) for n in numbers])
        read: list[tuple[int, Message]] = []
        deadline = time.monotonic() + 30
        while len(read) < sum(ends.values()) and time.monotonic() < deadline:
            for message in consumer.consume(5000, timeout=0.5):
                assert message.error() is None
                read.append((message.partition(), Message(message.key(), message.value())))
        assert len(read) >= sum(ends.values())  # a producer may still be sending
        return read
    finally:
        consumer.close()


def command(settings: Settings, module: str, topic: str, *options: str) -> list[str]:
    return [
        sys.executable, "-m", f"producers.{module}", "--topic", topic,
        "--bootstrap-servers", settings.kafka_bootstrap_servers, *options,
    ]  # fmt: skip


def counts(output: str) -> tuple[int, int, int]:
    found = LAST_LINE.fullmatch(output.splitlines()[-1])
    assert found, output
    sent, delivered, failed = map(int, found.groups())
    return sent, delivered, failed


def test_everything_sent_is_delivered_counted_and_on_the_topic(
    settings: Settings, make_topic: Callable[[], str]
) -> None:
    topic = make_topic()
    messages = list(TicketGenerator(1, invalid_ratio=0.1, duplicate_ratio=0.1).messages(20_000))
    delivery = Delivery(settings, topic)

    delivery.connect()
    delivery.send_all(iter(messages))
    counted = delivery.close()

    assert str(counted) == "sent=20000 delivered=20000 failed=0"
    assert Counter(message for _, message in messages_of(settings, topic)) == Counter(messages)


def test_messages_of_one_key_keep_their_order_and_partition(
    settings: Settings, make_topic: Callable[[], str]
) -> None:
    topic = make_topic()
    delivery = Delivery(settings, topic, options={"queue.buffering.max.messages": 50})

    delivery.connect()
    delivery.send_all(Message(b"C%d" % (n % 7), b"%06d" % n) for n in range(5000))
    delivery.close()

    places, orders = defaultdict(set), defaultdict(list)
    for partition, (key, value) in messages_of(settings, topic):
        places[key].add(partition)
        orders[key].append(value)
    assert len(orders) == 7
    assert all(len(partitions) == 1 for partitions in places.values())
    assert all(values == sorted(set(values)) for values in orders.values())
    assert sum(map(len, orders.values())) == 5000


def test_keys_go_to_the_partitions_of_java_clients(
    settings: Settings, make_topic: Callable[[], str]
) -> None:
    topic = make_topic()
    delivery = Delivery(settings, topic)

    delivery.connect()
    for key in (b"21", b"foobar", b"abc"):
        delivery.send(key, b"v")
    delivery.close()

    # org.apache.kafka.common.utils.UtilsTest: murmur2 of these is -973932308, -790332482 and
    # 479470107; the partition is the hash without its sign bit, modulo 3.
    found = {message.key: partition for partition, message in messages_of(settings, topic)}
    assert found == {
        b"21": (-973932308 & 0x7FFFFFFF) % 3,
        b"foobar": (-790332482 & 0x7FFFFFFF) % 3,
        b"abc": 479470107 % 3,
    }


def test_missing_topic_is_a_clear_error_at_once(settings: Settings) -> None:
    started = time.monotonic()

    with pytest.raises(DeliveryError, match=r"no topic `no_such_topic`.*`make up`"):
        Delivery(settings, "no_such_topic").connect()
    assert time.monotonic() - started < 5


def test_rate_is_steady(settings: Settings, make_topic: Callable[[], str]) -> None:
    delivery = Delivery(settings, make_topic())
    delivery.connect()
    started = time.monotonic()

    delivery.send_all((Message(None, b"v") for _ in range(101)), rate=50)
    elapsed = time.monotonic() - started

    assert delivery.close().delivered == 101
    assert 1.95 <= elapsed < 3


def test_stop_request_ends_an_endless_delivery(
    settings: Settings, make_topic: Callable[[], str]
) -> None:
    stop, topic = ProducerStop(), make_topic()
    delivery = Delivery(settings, topic, stop=stop)

    def endless() -> object:
        for number in count():
            if number == 2500:
                stop.request()
            yield Message(None, b"v")

    delivery.connect()
    delivery.send_all(endless())  # type: ignore[arg-type]
    counted = delivery.close()

    assert counted.sent == counted.delivered == len(messages_of(settings, topic)) == 3000


def sent_by_command(settings: Settings, topic: str, count: int, *options: str) -> list[Any]:
    """What the tickets command puts on a topic; its exit and last line are as they must be."""
    words = ("--count", str(count), "--rate", "0", *options)
    run = subprocess.run(
        command(settings, "tickets", topic, *words),
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    assert counts(run.stdout) == (count, count, 0)
    return [json.loads(message.value) for _, message in messages_of(settings, topic)]


def test_tickets_command_ends_with_the_counts(
    settings: Settings, make_topic: Callable[[], str]
) -> None:
    tickets = sent_by_command(settings, make_topic(), 250, "--vocabulary", "fr")

    assert len({ticket["ticket_id"] for ticket in tickets}) == 250
    assert all("demande" in ticket for ticket in tickets)


def test_tickets_command_in_several_processes_sends_everything_once(
    settings: Settings, make_topic: Callable[[], str]
) -> None:
    tickets = sent_by_command(settings, make_topic(), 251, "--processes", "2")

    assert len({ticket["ticket_id"] for ticket in tickets}) == 251


def test_profiles_command_sends_no_credentials(
    settings: Settings, make_topic: Callable[[], str]
) -> None:
    topic = make_topic()
    run = subprocess.run(
        command(settings, "profiles", topic, "--count", "60", "--source", "offline"),
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip

    assert run.returncode == 0, run.stderr
    assert "profile source: offline" in run.stdout
    assert counts(run.stdout) == (60, 60, 0)
    read = [message for _, message in messages_of(settings, topic)]
    assert len(read) == 60
    for key, value in read:
        login = json.loads(value)["login"]
        assert login["uuid"].encode() == key
        assert set(login) <= {"uuid", "username"}


@contextmanager
def running(arguments: list[str]) -> Iterator[subprocess.Popen[str]]:
    """A producer that has printed its first line; killed at the end if it still runs."""
    with subprocess.Popen(
        arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as run:
        try:
            assert run.stdout is not None
            assert run.stdout.readline().startswith("ticket source: generated, seed ")
            yield run
        finally:
            run.kill()


@pytest.mark.parametrize(
    ("number", "processes"),
    [
        pytest.param(signal.SIGINT, 1, id="SIGINT"),
        pytest.param(signal.SIGTERM, 1, id="SIGTERM"),
        pytest.param(signal.SIGTERM, 2, id="SIGTERM, two processes"),
    ],
)
def test_signal_flushes_what_is_queued(
    settings: Settings, make_topic: Callable[[], str], number: signal.Signals, processes: int
) -> None:
    topic = make_topic()
    endless = ["--count", "0", "--rate", "300", "--processes", str(processes)]
    with running(command(settings, "tickets", topic, *endless)) as run:
        deadline = time.monotonic() + 20
        while not messages_of(settings, topic) and time.monotonic() < deadline:
            time.sleep(0.1)
        run.send_signal(number)
        output, errors = run.communicate(timeout=30)

    assert run.returncode == (130 if number == signal.SIGINT else 0), errors
    sent, delivered, failed = counts(output)
    assert sent == delivered == len(messages_of(settings, topic)) > 0
    assert failed == 0
    assert "Traceback" not in errors


def test_wait_for_a_broker_that_is_away_can_be_interrupted(settings: Settings) -> None:
    away = settings.model_copy(update={"kafka_bootstrap_servers": "127.0.0.1:1"})
    with running(command(away, "tickets", "t", "--count", "5")) as run:
        run.send_signal(signal.SIGINT)
        output, errors = run.communicate(timeout=10)

    assert counts(output) == (0, 0, 0)
    assert "Traceback" not in errors


def test_broker_killed_in_the_middle_costs_no_message_and_doubles_none(
    settings: Settings, make_topic: Callable[[], str]
) -> None:
    topic, kafka = make_topic(), Kafka(settings, find_java(settings))
    options = ("--count", "2000", "--rate", "400", "--seed", "4")
    with running(command(settings, "tickets", topic, *options)) as run:
        deadline = time.monotonic() + 20
        while not messages_of(settings, topic) and time.monotonic() < deadline:
            time.sleep(0.1)
        broker = kafka.process()
        assert broker is not None
        try:
            broker.kill()
            broker.wait(10)
            assert run.stderr is not None
            # At most as many lines of progress come before it.
            said = next(line for line in run.stderr if line.startswith("waiting for Kafka"))
            assert "until" in said
            assert run.poll() is None
        finally:
            kafka.start()
            kafka.wait_ready()
        output, errors = run.communicate(timeout=60)

    assert run.returncode == 0, errors
    assert counts(output) == (2000, 2000, 0)
    read = [json.loads(message.value)["ticket_id"] for _, message in messages_of(settings, topic)]
    assert len(read) == len(set(read)) == 2000
