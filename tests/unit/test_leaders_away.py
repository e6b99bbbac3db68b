"""A partition whose leader is away while other brokers answer: nothing takes that for an offset."""

from __future__ import annotations

from concurrent.futures import Future
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

import pytest
from confluent_kafka import KafkaException

from errors import JobError, SinkUnavailable
from operations.repair import range as repair_range
from settings import Settings
from spark_jobs.run.job import _topics_of
from spark_jobs.sources import topics
from spark_jobs.sources.broker import greet_kafka, kafka_admin, offset_of
from spark_jobs.sources.offsets import offsets_of
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

    def describe_topics(self, topics: Any, request_timeout: float) -> Any:
        found = Future[Any]()
        partitions = [SimpleNamespace(id=0), SimpleNamespace(id=1)]
        found.set_result(SimpleNamespace(partitions=partitions, topic_id="id"))
        return {"t": found}

    def list_offsets(self, places: Any, request_timeout: float, isolation_level: Any = None) -> Any:
        self.asked += [(place.topic, place.partition) for place in places]
        return {place: self.answer(place.topic, place.partition) for place in places}

    def answer(self, topic: str, partition: int) -> Future[Any]:
        found = Future[Any]()
        # As the client library answers for a leader that is away: -1001, and no error.
        found.set_result(SimpleNamespace(offset=-1001 if (topic, partition) in self.away else 7))
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


def test_offset_without_an_answer_of_the_leader_is_no_offset() -> None:
    def answer(offset: int) -> Future[Any]:
        found = Future[Any]()
        found.set_result(SimpleNamespace(offset=offset))
        return found

    assert offset_of(answer(0)) == 0
    # Of a time after the last message.
    assert offset_of(answer(-1)) == -1
    with pytest.raises(KafkaException) as caught:
        offset_of(answer(-1001))
    assert caught.value.args[0].name() == "LEADER_NOT_AVAILABLE"


def test_end_of_a_partition_without_a_leader_is_unknown(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("spark_jobs.sources.offsets.existing_topics", lambda *_: {"t": 2})

    assert offsets_of(cast(Any, Cluster()), settings, ["t"]) == {"t": {0: (7, 7), 1: (7, 7)}}
    with pytest.raises(KafkaException):
        offsets_of(cast(Any, Cluster(("t", 1))), settings, ["t"])


def test_state_of_a_topic_without_a_leader_is_asked_again_and_then_an_outage(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = Cluster(("t", 1))
    monkeypatch.setattr(topics, "kafka_admin", lambda settings: cluster)
    monkeypatch.setattr(topics, "RETRY_SECONDS", 0.01)

    with pytest.raises(SinkUnavailable, match="LEADER_NOT_AVAILABLE"):
        topics.topic_state(settings, "t", timeout_seconds=1)
    assert len(cluster.asked) > 4
    cluster.away = ()
    assert topics.topic_state(settings, "t", timeout_seconds=0.1).offsets == {0: (7, 7), 1: (7, 7)}


def test_replay_from_a_time_skips_no_partition_whose_leader_is_away(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(repair_range, "kafka_admin", lambda settings: Cluster(("t", 1)))
    ends, noon = {0: (0, 9), 1: (0, 9)}, datetime(2026, 11, 29, 12, tzinfo=UTC)

    with pytest.raises(JobError, match="did not return the offsets of `t` at a time"):
        repair_range._offsets_at(settings, "t", noon, ends)  # noqa: SLF001


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
