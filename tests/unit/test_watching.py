"""What others learn of a running job, which nothing they do changes."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import Any, cast

import pytest
from confluent_kafka import ConsumerGroupTopicPartitions, TopicPartition
from confluent_kafka.admin import AdminClient

from errors import SinkUnavailable
from settings import Settings
from spark_jobs.run.batch_writer import BatchWriter
from spark_jobs.run.watching import CommittedGroups, Watcher, Watchers
from spark_jobs.state.ledger import Counts, Entry
from spark_jobs.tickets import TICKETS
from tests.support.mock_broker import mock_broker

ENTRY = Entry("tickets", "t", "q", 3, {0: (4, 9)}, Counts(read=5, stored=5), ("cassandra",))


class Steps(Watcher):
    """Notes steps and failures."""

    def __init__(self) -> None:
        self.noted: list[Any] = []

    def at_step(self, pipeline: str, batch_id: int, step: str) -> None:
        self.noted.append((pipeline, batch_id, step))

    def not_written(self, pipeline: str, sink: str) -> None:
        self.noted.append((pipeline, sink))


class Broken(Watcher):
    def at_step(self, pipeline: str, batch_id: int, step: str) -> None:
        raise RuntimeError("a value of a record")


@pytest.fixture
def confirmations(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Sinks that have the batch."""
    done: set[str] = set()

    class InMemory:
        def __init__(self, *key: Any) -> None:
            self.key = key

        def sinks(self) -> frozenset[str]:
            return frozenset(done)

        def add(self, sink: str) -> None:
            done.add(sink)

    monkeypatch.setattr("spark_jobs.run.batch_writer.Confirmations", InMemory)
    return done


def writer(watcher: Watcher, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> BatchWriter:
    """A writer whose first sink takes a second and a half, by a clock of its own."""
    clock = [100.0]

    def slow() -> None:
        clock[0] += 1.5

    def away() -> None:
        raise SinkUnavailable("files are away")

    def steps(*given: Any) -> Any:
        return iter([("cassandra", "", slow), ("files", "", away), ("mongodb", "", slow)])

    monkeypatch.setattr("spark_jobs.run.batch_writer.time.monotonic", lambda: clock[0])
    monkeypatch.setattr(BatchWriter, "_steps", steps)
    monkeypatch.setattr(BatchWriter, "_query_id", lambda self: "q")
    nothing = cast(Any, None)
    now = datetime(2026, 11, 28, tzinfo=UTC)
    return BatchWriter(TICKETS, settings, nothing, nothing, nothing, now, watcher=watcher)


def test_each_sink_is_timed_alone_and_one_that_failed_is_reported(
    settings: Settings, confirmations: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = Steps()
    made = writer(steps, settings, monkeypatch)

    with pytest.raises(SinkUnavailable):
        made._write_sinks(cast(Any, None), cast(Any, None), 3)  # noqa: SLF001
    assert confirmations == {"cassandra", "mongodb"}
    assert steps.noted == [
        ("tickets", 3, "cassandra"),
        ("tickets", 3, "files"),
        ("tickets", "files"),
        ("tickets", 3, "mongodb"),
    ]

    # Only what a repeat writes is timed.
    confirmations -= {"mongodb"}
    confirmations |= {"files"}
    assert made._write_sinks(cast(Any, None), cast(Any, None), 3) == {"mongodb": 1.5}  # noqa: SLF001


def test_watcher_that_fails_is_logged_without_its_message_and_the_others_learn_all(
    caplog: pytest.LogCaptureFixture,
) -> None:
    steps = Steps()

    with caplog.at_level(logging.WARNING):
        Watchers([Broken(), steps]).at_step("tickets", 3, "files")

    assert steps.noted == [("tickets", 3, "files")]
    assert caplog.messages == ["Broken missed `at_step` (RuntimeError); the job goes on"]


def test_confirmed_batch_is_committed_to_the_consumer_group_of_its_pipeline(
    settings: Settings,
) -> None:
    with mock_broker() as broker:
        here = settings.model_copy(update={"kafka_bootstrap_servers": broker.address})
        groups = CommittedGroups(here)
        groups.confirmed(ENTRY)
        groups.ended()

        admin = AdminClient({"bootstrap.servers": broker.address})
        asked = ConsumerGroupTopicPartitions("millrace-tickets", [TopicPartition("t", 0)])
        (answer,) = admin.list_consumer_group_offsets([asked]).values()
        found = answer.result(10).topic_partitions

    assert [(each.topic, each.partition, each.offset) for each in found] == [("t", 0, 9)]


def test_broker_that_is_away_delays_no_batch_and_ends_no_job(settings: Settings) -> None:
    absent = settings.model_copy(update={"kafka_bootstrap_servers": "127.0.0.1:1"})
    groups = CommittedGroups(absent)

    groups.started("tickets", "t", None)
    groups.confirmed(ENTRY)
    groups.confirmed(ENTRY)
    groups.ended()
