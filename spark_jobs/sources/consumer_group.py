"""A consumer group for each pipeline, so that Kafka's own tools show its lag.

It is for the eye only: jobs read nothing from it, and continue from checkpoint and ledger alone.

Consumers commit: an admin client aborts the whole process while a group moves to another broker
(librdkafka, https://github.com/confluentinc/librdkafka/issues/4605).
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import wait
from typing import Any, Final

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from settings import Settings
from spark_jobs.sources.broker import kafka_admin

logger = logging.getLogger(__name__)
REQUEST_SECONDS: Final = 5.0
RETRY_SECONDS: Final = 0.2
# Of a broker that has just created the topic of all groups, or does not have this group any more.
NOT_YET: Final = frozenset(
    {
        KafkaError.NOT_COORDINATOR,
        KafkaError.COORDINATOR_NOT_AVAILABLE,
        KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
        # librdkafka's own, of a coordinator that it looks for.
        KafkaError._WAIT_COORD,  # noqa: SLF001
    }
)
Connect = Callable[[str], Consumer]


def group_of(pipeline: str) -> str:
    """Name of a pipeline's consumer group."""
    return f"millrace-{pipeline}"


def group_consumer(settings: Settings, group: str) -> Consumer:
    """A consumer that commits to a group and reads nothing."""
    options: dict[str, Any] = settings.kafka_client_options() | {
        "group.id": group,
        "enable.auto.commit": False,
        # How long a commit waits for the group's broker.
        "session.timeout.ms": int(REQUEST_SECONDS * 1000),
        "reconnect.backoff.max.ms": 1000,
        "log_level": 0,
    }
    return Consumer({**options, "error_cb": lambda error: None})


class ConsumerGroups:
    """Commits offsets to groups; who commits does not wait for the broker."""

    def __init__(self, connect: Connect) -> None:
        """Commit by the consumers that this makes, one for each group."""
        self._connect = connect
        self._committers: dict[str, _Committer] = {}

    def commit(self, pipeline: str, topic: str, offsets: Mapping[int, int]) -> None:
        """Commit, for each partition, the offset after the last confirmed message."""
        places = [TopicPartition(topic, number, end) for number, end in sorted(offsets.items())]
        if not places:
            return
        if pipeline not in self._committers:
            self._committers[pipeline] = _Committer(self._connect, group_of(pipeline))
            self._committers[pipeline].start()
        self._committers[pipeline].commit(places)

    def finish(self) -> None:
        """Wait for the last commits, for seconds only."""
        deadline = time.monotonic() + REQUEST_SECONDS
        for each in self._committers.values():
            each.close()
        for each in self._committers.values():
            each.join(max(0.0, deadline - time.monotonic()))


class _Committer(threading.Thread):
    """Commits the newest offsets of one group, as a commit may wait for a broker."""

    def __init__(self, connect: Connect, group: str) -> None:
        super().__init__(name=group, daemon=True)
        self._connect, self._group = connect, group
        self._changed = threading.Condition()
        self._newest: list[TopicPartition] | None = None
        self._closed = False

    def commit(self, places: list[TopicPartition]) -> None:
        """Commit these next, in place of any that wait."""
        with self._changed:
            self._newest = places
            self._changed.notify()

    def close(self) -> None:
        """End after the last commit."""
        with self._changed:
            self._closed = True
            self._changed.notify()

    def run(self) -> None:
        """Commit until closed."""
        consumer = self._connect(self._group)
        try:
            while places := self._next():
                if _is_not_yet_taken(consumer, places):
                    time.sleep(RETRY_SECONDS)
                    with self._changed:
                        self._newest = self._newest or places
        finally:
            consumer.close()

    def _next(self) -> list[TopicPartition] | None:
        with self._changed:
            self._changed.wait_for(lambda: self._newest or self._closed)
            places, self._newest = self._newest, None
            return places


def _is_not_yet_taken(consumer: Consumer, places: list[TopicPartition]) -> bool:
    """Whether a commit failed, and another try may succeed."""
    try:
        answer = consumer.commit(offsets=places, asynchronous=False)
        errors = [place.error for place in answer if place.error]
    except KafkaException as error:
        errors = [error.args[0]]
    for each in errors[:1]:
        logger.info("consumer group not committed: %s; the job goes on", each.name())
    return any(each.code() in NOT_YET for each in errors)


def delete_group(settings: Settings, pipeline: str) -> None:
    """Delete a pipeline's group, if it has one; no matter if that fails."""
    # Kept until the answer: without its client a request is lost.
    admin = kafka_admin(settings)
    try:
        asked = admin.delete_consumer_groups([group_of(pipeline)], request_timeout=REQUEST_SECONDS)
        wait(asked.values(), timeout=REQUEST_SECONDS)
    except KafkaException as error:
        logger.info("consumer group not deleted: %s", error.args[0].name())
