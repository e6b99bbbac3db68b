"""Waits for stores: what a job says, when, and how it sees that a store is frozen."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest

from cql.client import greet
from errors import SinkUnavailable
from runtime import wait
from runtime.wait import Wait
from settings import Settings
from spark_jobs.run import outages
from spark_jobs.run.outages import Outages
from spark_jobs.run.query import PipelineRun, RunOptions
from spark_jobs.sinks.base import Sink
from spark_jobs.sinks.registry import kinds_of
from spark_jobs.tickets import TICKETS
from tests.support.servers import Server, server


def clock_time(text: str) -> int:
    hours, minutes, seconds = map(int, text.split(":"))
    return 3600 * hours + 60 * minutes + seconds


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def until(happens: Callable[[], object], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not happens():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_wait_is_said_after_five_seconds_then_every_fifteen_and_once_at_its_end() -> None:
    clock, said = Clock(), list[tuple[float, str]]()
    waiting = Wait(
        "Kafka",
        120,
        "STORE_RETRY_SECONDS",
        lambda line: said.append((clock.now - 1000, line)),
        goes_on="sending goes on",
        clock=clock,
    )

    for _ in range(50):
        waiting.unanswered("refused")
        clock.now += 1
    assert not waiting.expired
    waiting.answered()
    waiting.answered()
    clock.now += 4
    waiting.unanswered("refused")
    clock.now += 117
    assert waiting.expired

    assert [moment for moment, _ in said] == [5, 20, 35, 50]
    since, until = re.findall(r"\d\d:\d\d:\d\d", said[0][1])
    assert (clock_time(until) - clock_time(since)) % 86400 == 120
    assert said[0][1] == (
        f"waiting for Kafka since {since}, until {until} (STORE_RETRY_SECONDS=120): refused"
    )
    assert said[-1][1] == "Kafka answers again after 50 s: sending goes on"


def test_brief_delay_is_no_wait() -> None:
    clock, said = Clock(), list[str]()
    waiting = Wait("Kafka", 120, "X", said.append, goes_on="y", clock=clock)

    for _ in range(10):
        clock.now += 4
        waiting.unanswered("late")
        waiting.answered()

    assert said == []


@pytest.fixture
def _quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outages, "USUAL_SECONDS", 0.5)
    monkeypatch.setattr(wait, "SAY_AFTER_SECONDS", 0.5)
    monkeypatch.setattr(outages, "ASK_EVERY_SECONDS", 0.1)
    monkeypatch.setattr(outages, "LOOK_EVERY_SECONDS", 0.1)


def settings_of(store: Server) -> Settings:
    return Settings(cassandra_port=store.port)


@pytest.mark.usefixtures("_quickly")
def test_frozen_store_is_named_while_a_call_to_it_hangs_and_again_when_it_goes_on() -> None:
    said: list[str] = []
    with server() as frozen, server() as healthy:
        stores = {
            # Far longer than the wait until it is said: a driver may hang for minutes.
            "Cassandra": lambda: greet(settings_of(frozen), 30),
            "Other": lambda: greet(settings_of(healthy), 30),
        }
        with Outages(stores, 120, said.append, lambda store: True) as watch:
            time.sleep(1)
            assert (said, watch.began()) == ([], None)
            before = time.monotonic()
            frozen.freeze()
            until(lambda: said)
            began = watch.began()
            assert began is not None
            assert abs(began - before) < 5
            frozen.thaw()
            until(lambda: len(said) > 1)
            assert watch.began() is None

    assert said[0].startswith("waiting for Cassandra since ")
    assert "(STORE_RETRY_SECONDS=120): no answer" in said[0]
    assert re.fullmatch(r"Cassandra answers again after \d+ s: the job goes on", said[1])


@pytest.mark.usefixtures("_quickly")
def test_store_that_the_job_does_not_need_at_the_moment_is_not_waited_for() -> None:
    said: list[str] = []
    needed: set[str] = set()

    def refuse() -> None:
        raise ConnectionRefusedError

    with Outages({"MongoDB": refuse}, 120, said.append, needed.__contains__):
        time.sleep(1.2)
        assert said == []
        needed.add("MongoDB")
        until(lambda: said)

    assert "no answer (ConnectionRefusedError). Nothing is lost" in said[0]


@pytest.mark.usefixtures("_quickly")
def test_store_that_was_never_asked_as_batches_are_short_is_not_waited_for() -> None:
    said: list[str] = []

    def is_waiting(store: str) -> bool:
        # A batch is written whenever the lookout looks, and none when a request is due.
        return "_look" in threading.current_thread().name

    with Outages({"MongoDB": lambda: None}, 120, said.append, is_waiting):
        time.sleep(1.2)

    assert said == []


@pytest.mark.usefixtures("_quickly")
@pytest.mark.parametrize("seconds", [0, 0.2])
def test_healthy_store_is_not_waited_for_however_short_a_job_tries_again(seconds: float) -> None:
    said: list[str] = []

    with Outages({"MongoDB": lambda: None}, seconds, said.append, lambda store: True):
        time.sleep(1)

    assert said == []


@pytest.mark.parametrize("is_frozen", [True, False])
def test_cassandra_is_greeted_without_a_session(*, is_frozen: bool) -> None:
    with server() as store:
        if not is_frozen:
            greet(settings_of(store), 5)
            return
        store.freeze()
        with pytest.raises(TimeoutError):
            greet(settings_of(store), 0.3)
    with pytest.raises(ConnectionRefusedError):
        greet(settings_of(store), 5)


def test_every_store_with_a_server_of_its_own_can_be_greeted() -> None:
    every = Settings(sinks="cassandra,mongodb,files,postgres")
    silent = {kind.name for kind in kinds_of([TICKETS], every) if kind.greet is Sink.greet}

    # Topics are greeted as the source.
    assert silent <= {"topics"}


def test_wait_of_a_query_counts_from_when_its_store_was_seen_away() -> None:
    said: list[str] = []
    run = PipelineRun(TICKETS, Settings(), cast(Any, None), cast(Any, None), RunOptions())
    run.warn, began = said.append, time.monotonic() - 119
    run.away_since = lambda: began
    away = SinkUnavailable("Cassandra did not take batch 3")

    def fail() -> None:
        run.query = cast(Any, SimpleNamespace(isActive=False, exception=lambda: RuntimeError("x")))
        run.writer = cast(Any, SimpleNamespace(error=away))
        run.poll()

    fail()
    assert run.needs_stores()
    fail()
    assert len(said) == 1
    assert re.match(
        r"query=tickets waits since \S+, until \S+ \(STORE_RETRY_SECONDS=120\): ", said[0]
    )
    time.sleep(1.1)
    with pytest.raises(SinkUnavailable):
        fail()
