"""Pacing, counting and the start of a delivery, without a broker."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time

import pytest

from errors import DeliveryError
from producers.delivery import Delivery
from producers.messages import Message, SendCounts
from producers.pacing import Pacer, ProducerStop
from settings import Settings

pytestmark = pytest.mark.unit


class Clock:
    def __init__(self) -> None:
        self.now = 50.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def unreachable(port: int, timeout_seconds: float) -> Settings:
    return Settings(
        kafka_bootstrap_servers=f"127.0.0.1:{port}",
        kafka_connect_timeout_seconds=timeout_seconds,
        store_retry_seconds=timeout_seconds,
    )


def test_pacer_sends_the_first_message_at_once_and_the_next_when_due() -> None:
    clock = Clock()
    pacer = Pacer(10, clock)

    assert pacer.due(100) == 1
    pacer.sent(1)
    assert pacer.due(100) == 0
    assert pacer.wait_seconds() == pytest.approx(0.1)
    clock.now += 0.1
    assert pacer.due(100) == 1


def test_pacer_does_not_drift_when_every_wait_is_too_long() -> None:
    clock = Clock()
    pacer = Pacer(100, clock)
    sent = 0
    while clock.now < 60.0:
        due = pacer.due(1000)
        pacer.sent(due)
        sent += due
        clock.now += 0.0137

    assert 999 <= sent <= 1001


def test_pacer_makes_no_burst_after_a_standstill() -> None:
    clock = Clock()
    pacer = Pacer(10, clock)
    pacer.sent(pacer.due(1000))

    clock.now += 60

    assert pacer.due(1000) == 6
    pacer.sent(6)
    assert pacer.due(1000) == 0


def test_slow_rate_still_sends_each_message_once() -> None:
    clock = Clock()
    pacer = Pacer(0.1, clock)
    sent = 0
    for _ in range(1000):
        due = pacer.due(1000)
        pacer.sent(due)
        sent += due
        clock.now += 0.1

    assert sent == 10


def test_fast_rate_is_sent_in_groups_with_a_rest_between_them() -> None:
    clock = Clock()
    pacer = Pacer(2000, clock)
    sent, waits, end = 0, 0, clock.now + 10
    while clock.now < end:
        if due := pacer.due(1000):
            pacer.sent(due)
            sent += due
        else:
            waits += 1
            clock.now += pacer.wait_seconds()

    # Every 5 ms: to wait for the next message alone, half a millisecond, would be no rest.
    assert waits == pytest.approx(10 / 0.005, abs=2)
    assert sent == pytest.approx(20_000, abs=20)


def test_rate_zero_has_no_limit() -> None:
    pacer = Pacer(0, Clock())

    assert pacer.due(1000) == 1000
    assert pacer.wait_seconds() == 0


def test_counts_read_as_the_last_line_and_complete_only_when_equal() -> None:
    assert str(SendCounts(1000, 1000, 0)) == "sent=1000 delivered=1000 failed=0"
    assert SendCounts(3, 3, 0).complete
    assert not SendCounts(3, 2, 1).complete
    assert str(SendCounts(9, 5, 3, 1)) == "sent=9 delivered=5 failed=3 unknown=1"
    assert not SendCounts(3, 2, 0, 1).complete


def test_sleep_ends_with_a_signal() -> None:
    stop = ProducerStop()
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    try:
        stop.on_signals()
        os.kill(os.getpid(), signal.SIGTERM)
        started = time.monotonic()
        stop.sleep(30)
    finally:
        signal.signal(signal.SIGINT, before[0])
        signal.signal(signal.SIGTERM, before[1])

    assert stop
    assert time.monotonic() - started < 1


def test_broker_away_at_the_start_is_a_clear_error_after_the_time_out(closed_port: int) -> None:
    delivery = Delivery(unreachable(closed_port, 1), "t")
    started = time.monotonic()

    with pytest.raises(DeliveryError, match=r"Kafka at `127.*Connection refused.*`make up`"):
        delivery.connect()

    assert 1 <= time.monotonic() - started < 4
    assert str(delivery.abandon()) == "sent=0 delivered=0 failed=0"


def test_messages_for_a_broker_that_is_away_are_counted_as_failed(closed_port: int) -> None:
    delivery = Delivery(unreachable(closed_port, 1), "t")
    for number in range(5):
        delivery.send(b"k", b"%d" % number)

    with pytest.raises(DeliveryError, match="Connection refused"):
        delivery.close()

    assert str(delivery.abandon()) == "sent=5 delivered=0 failed=5"


def test_full_queue_waits_and_is_never_skipped(closed_port: int) -> None:
    delivery = Delivery(
        unreachable(closed_port, 1), "t", options={"queue.buffering.max.messages": 3}
    )

    with pytest.raises(DeliveryError, match="Connection refused"):
        delivery.send_all(Message(None, b"v") for _ in range(10))

    assert str(delivery.abandon()) == "sent=4 delivered=0 failed=4"


def test_too_large_message_is_refused_and_counted(closed_port: int) -> None:
    delivery = Delivery(
        unreachable(closed_port, 1), "t", options={"message.max.bytes": 1_000_000}, block=1,
        place=lambda number: number + 40,
    )  # fmt: skip

    with pytest.raises(DeliveryError, match=r"Record 41, of 2000000 bytes, .*-record 42` le"):
        delivery.send(None, b"x" * 2_000_000)

    assert str(delivery.abandon()) == "sent=1 delivered=0 failed=1"
    assert delivery.next_number == 1


def test_broker_decides_on_the_size_of_a_message(closed_port: int) -> None:
    delivery = Delivery(unreachable(closed_port, 1), "t")

    delivery.send(None, b"x" * 17_000_000)

    assert delivery.counts.failed == 0
    delivery.abandon()


def test_wrong_client_settings_do_not_show_the_password() -> None:
    settings = Settings(
        kafka_bootstrap_servers="127.0.0.1:9",
        kafka_security_protocol="SASL_SSL",
        kafka_sasl_mechanism="PLAIN",
        kafka_sasl_username="u",
        kafka_sasl_password="hunter2",
        kafka_ssl_ca_location="/does/not/exist.pem",
    )

    with pytest.raises(DeliveryError, match="Kafka client cannot start") as caught:
        Delivery(settings, "t")

    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("module", ["tickets", "profiles"])
def test_command_line_without_broker_ends_with_the_counts(module: str, closed_port: int) -> None:
    run = subprocess.run(
        [
            sys.executable, "-m", f"producers.{module}",
            "--count", "3", "--bootstrap-servers", f"127.0.0.1:{closed_port}",
        ],
        env={**os.environ, "KAFKA_CONNECT_TIMEOUT_SECONDS": "1"},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip

    assert run.returncode == 1
    assert run.stdout.splitlines()[-1] == "sent=0 delivered=0 failed=0"
    assert "Connection refused" in run.stderr
    assert "Traceback" not in run.stderr
    assert "%3|" not in run.stderr


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--count", "-1"], "TICKETS_COUNT"),
        (["--invalid-ratio", "2"], "from 0 to 1"),
        (["--invalid-ratio", "0.7", "--duplicate-ratio", "0.7"], "more than 1"),
    ],
)
def test_wrong_options_are_explained(arguments: list[str], expected: str) -> None:
    run = subprocess.run(
        [sys.executable, "-m", "producers.tickets", *arguments],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip

    assert run.returncode == 2
    assert expected in run.stderr
    assert "Traceback" not in run.stderr
