"""Commits to consumer groups, with a broker that is not ready yet, refuses, or never answers."""

from __future__ import annotations

from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any, cast

import pytest
from confluent_kafka import KafkaError, KafkaException

from spark_jobs.sources import consumer_group
from spark_jobs.sources.consumer_group import ConsumerGroups

Answer = int | None


class Broker:
    """Answers one commit after the other: an error's code, or None for a commit that is taken.

    Of some errors a broker says that each partition has them.
    """

    of_partitions = frozenset({KafkaError.NOT_COORDINATOR})

    def __init__(self, *answers: Answer) -> None:
        self.answers, self.asked = [*answers], list[tuple[str, dict[int, int]]]()

    def alter_consumer_group_offsets(self, groups: Any, **_: Any) -> dict[str, Future[Any]]:
        (group,) = groups
        offsets = {place.partition: place.offset for place in group.topic_partitions}
        self.asked.append((group.group_id, offsets))
        future = Future[Any]()
        if self.answers:
            code = self.answers.pop(0)
            if code is None or code in self.of_partitions:
                error = None if code is None else KafkaError(code)
                place = SimpleNamespace(error=error)
                future.set_result(SimpleNamespace(topic_partitions=[place]))
            else:
                future.set_exception(KafkaException(KafkaError(code)))
        return {group.group_id: future}


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(consumer_group, "RETRY_SECONDS", 0.01)
    monkeypatch.setattr(consumer_group, "REQUEST_SECONDS", 0.3)


def committed(*answers: Answer) -> list[tuple[str, dict[int, int]]]:
    broker = Broker(*answers)
    groups = ConsumerGroups(cast(Any, broker))
    groups.commit("orders", "t", {1: 7, 0: 9})
    groups.finish()
    return broker.asked


def test_commit_names_the_group_of_the_pipeline_and_is_made_once() -> None:
    assert committed(None) == [("millrace-orders", {0: 9, 1: 7})]


def test_last_commit_is_repeated_until_the_broker_is_ready_for_groups() -> None:
    not_yet = (KafkaError.NOT_COORDINATOR, KafkaError.COORDINATOR_LOAD_IN_PROGRESS)

    assert committed(*not_yet, None) == [("millrace-orders", {0: 9, 1: 7})] * 3


@pytest.mark.parametrize("answers", [(KafkaError.GROUP_AUTHORIZATION_FAILED,), ()])
def test_refused_commit_and_one_without_an_answer_are_given_up(answers: tuple[int, ...]) -> None:
    assert len(committed(*answers)) == 1


def test_broker_that_is_never_ready_delays_the_end_of_a_job_by_seconds_only() -> None:
    assert 1 < len(committed(*[KafkaError.NOT_COORDINATOR] * 1000)) < 100
