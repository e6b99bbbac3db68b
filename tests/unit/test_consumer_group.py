"""Commits to consumer groups, with a broker that is not ready yet, refuses, or never answers."""

from __future__ import annotations

import threading
import time
from types import SimpleNamespace
from typing import Any, cast

import pytest
from confluent_kafka import KafkaError, KafkaException

from spark_jobs.sources import consumer_group
from spark_jobs.sources.consumer_group import ConsumerGroups

Asked = list[tuple[str, dict[int, int]]]


class Broker:
    """Answers one commit after the other: an error's code, or None for a commit that is taken.

    Of some errors a broker says that each partition has them. After the last answer it takes all.
    """

    of_partitions = frozenset({KafkaError.NOT_COORDINATOR})

    def __init__(self, *answers: int | None) -> None:
        self.answers, self.asked, self.closed = [*answers], Asked(), list[str]()
        # While it is not set, no commit is answered.
        self.may_answer = threading.Event()
        self.may_answer.set()

    def connect(self, group: str) -> Any:
        return cast(Any, Consumer(self, group))


class Consumer:
    def __init__(self, broker: Broker, group: str) -> None:
        self.broker, self.group = broker, group

    def commit(self, *, offsets: Any, asynchronous: bool) -> list[Any]:
        assert not asynchronous
        self.broker.asked.append((self.group, {p.partition: p.offset for p in offsets}))
        self.broker.may_answer.wait(10)
        code = self.broker.answers.pop(0) if self.broker.answers else None
        if code is not None and code not in Broker.of_partitions:
            raise KafkaException(KafkaError(code))
        return [SimpleNamespace(error=None if code is None else KafkaError(code))]

    def close(self) -> None:
        self.broker.closed.append(self.group)


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(consumer_group, "RETRY_SECONDS", 0.01)
    monkeypatch.setattr(consumer_group, "REQUEST_SECONDS", 0.3)


def committed(broker: Broker) -> Asked:
    groups = ConsumerGroups(broker.connect)
    groups.commit("orders", "t", {1: 7, 0: 9})
    groups.finish()
    return broker.asked


def test_commit_names_the_group_of_the_pipeline_and_is_made_once() -> None:
    broker = Broker(None)

    assert committed(broker) == [("millrace-orders", {0: 9, 1: 7})]
    assert broker.closed == ["millrace-orders"]


def test_last_commit_is_repeated_until_the_broker_is_ready_for_groups() -> None:
    not_yet = (KafkaError.NOT_COORDINATOR, KafkaError.COORDINATOR_LOAD_IN_PROGRESS)

    assert committed(Broker(*not_yet, None)) == [("millrace-orders", {0: 9, 1: 7})] * 3


def test_refused_commit_is_given_up() -> None:
    assert len(committed(Broker(KafkaError.GROUP_AUTHORIZATION_FAILED))) == 1


def test_commit_without_an_answer_delays_no_batch_and_the_end_by_seconds_only() -> None:
    broker = Broker()
    broker.may_answer.clear()
    groups, started = ConsumerGroups(broker.connect), time.monotonic()
    groups.commit("orders", "t", {0: 1})
    groups.commit("orders", "t", {0: 2})
    groups.commit("orders", "t", {0: 3})
    asked_at_once = time.monotonic() - started
    groups.finish()

    assert asked_at_once < 0.3 <= time.monotonic() - started < 5
    broker.may_answer.set()


def test_only_the_newest_of_the_commits_that_wait_is_made() -> None:
    broker = Broker()
    broker.may_answer.clear()
    groups = ConsumerGroups(broker.connect)
    groups.commit("orders", "t", {0: 1})
    while not broker.asked:
        time.sleep(0.001)
    groups.commit("orders", "t", {0: 2})
    groups.commit("orders", "t", {0: 3})
    broker.may_answer.set()
    groups.finish()

    assert [offsets for _, offsets in broker.asked] == [{0: 1}, {0: 3}]


def test_newer_commit_takes_the_place_of_one_that_is_repeated() -> None:
    broker = Broker(KafkaError.NOT_COORDINATOR)
    broker.may_answer.clear()
    groups = ConsumerGroups(broker.connect)
    groups.commit("orders", "t", {0: 1})
    while not broker.asked:
        time.sleep(0.001)
    groups.commit("orders", "t", {0: 2})
    broker.may_answer.set()
    groups.finish()

    assert [offsets for _, offsets in broker.asked] == [{0: 1}, {0: 2}]


def test_broker_that_is_never_ready_delays_the_end_of_a_job_by_seconds_only() -> None:
    broker = Broker(*[KafkaError.NOT_COORDINATOR] * 1000)

    assert 1 < len(committed(broker)) < 100
    # Its thread must not go on into other tests.
    broker.answers.clear()
