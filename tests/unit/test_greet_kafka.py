"""Whether Kafka can be read from and written to: the leader of each partition is asked."""

from __future__ import annotations

from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any, cast

import pytest
from confluent_kafka import KafkaError, KafkaException

from settings import Settings
from spark_jobs.run.job import _topics_of
from spark_jobs.sources.broker import greet_kafka, kafka_admin
from spark_jobs.tickets import TICKETS
from tests.support.mock_broker import mock_broker


class Cluster:
    """Two topics with two partitions each, of which some have a leader that is away."""

    def __init__(self, *away: tuple[str, int]) -> None:
        self.away, self.asked = away, list[tuple[str, int]]()

    def poll(self, timeout: float) -> None:
        pass

    def list_topics(self, timeout: float) -> Any:
        topic = SimpleNamespace(partitions={0: None, 1: None})
        return SimpleNamespace(topics={"t": topic, "t-dead-letter": topic, "another": topic})

    def list_offsets(self, places: Any, request_timeout: float) -> Any:
        self.asked += [(place.topic, place.partition) for place in places]
        return {place: self.answer(place.topic, place.partition) for place in places}

    def answer(self, topic: str, partition: int) -> Future[Any]:
        found = Future[Any]()
        if (topic, partition) in self.away:
            found.set_exception(KafkaException(KafkaError(KafkaError._TIMED_OUT)))  # noqa: SLF001
        else:
            found.set_result(SimpleNamespace(offset=7))
        return found


def test_leaders_of_all_partitions_are_asked_and_topics_that_are_absent_are_not() -> None:
    cluster = Cluster()

    greet_kafka(cast(Any, cluster), ["t", "t-dead-letter", "absent"])

    assert cluster.asked == [("t", 0), ("t", 1), ("t-dead-letter", 0), ("t-dead-letter", 1)]


@pytest.mark.parametrize("away", [("t", 1), ("t-dead-letter", 0)])
def test_broker_that_answers_does_not_stand_for_a_leader_that_is_away(
    away: tuple[str, int],
) -> None:
    with pytest.raises(KafkaException):
        greet_kafka(cast(Any, Cluster(away)), ["t", "t-dead-letter"])


def test_broker_answers_for_its_partitions_until_it_is_frozen(settings: Settings) -> None:
    with mock_broker() as broker:
        here = settings.model_copy(update={"kafka_bootstrap_servers": broker.address})
        admin = kafka_admin(here)
        greet_kafka(admin, ["t"])
        broker.freeze()
        with pytest.raises(KafkaException):
            greet_kafka(admin, ["t"])
        broker.thaw()


def test_topics_of_a_job_are_those_that_it_reads_and_writes(settings: Settings) -> None:
    run = SimpleNamespace(pipeline=TICKETS)

    assert _topics_of(cast(Any, [run]), settings) == [
        "client_tickets",
        "client_tickets-dead-letter",
    ]
