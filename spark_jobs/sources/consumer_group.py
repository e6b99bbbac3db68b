"""A consumer group for each pipeline, so that Kafka's own tools show its lag.

It is for the eye only: jobs read nothing from it, and continue from checkpoint and ledger alone.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from concurrent.futures import Future, wait
from typing import Any, Final

from confluent_kafka import (
    ConsumerGroupTopicPartitions,
    KafkaError,
    KafkaException,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient

from settings import Settings
from spark_jobs.sources.broker import kafka_admin

logger = logging.getLogger(__name__)
REQUEST_SECONDS: Final = 5.0
RETRY_SECONDS: Final = 0.2
# Of a broker that has just created the topic of all groups.
NOT_YET: Final = frozenset(
    {
        KafkaError.NOT_COORDINATOR,
        KafkaError.COORDINATOR_NOT_AVAILABLE,
        KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
    }
)


def group_of(pipeline: str) -> str:
    """Name of a pipeline's consumer group."""
    return f"millrace-{pipeline}"


class ConsumerGroups:
    """Commits offsets to groups without waiting for the broker."""

    def __init__(self, admin: AdminClient) -> None:
        """Commit by this client."""
        self._admin = admin
        self._last: dict[str, tuple[list[TopicPartition], Future[Any]]] = {}

    def commit(self, pipeline: str, topic: str, offsets: Mapping[int, int]) -> None:
        """Commit, for each partition, the offset after the last confirmed message."""
        places = [TopicPartition(topic, number, end) for number, end in sorted(offsets.items())]
        if places:
            self._last[pipeline] = places, self._ask(pipeline, places)

    def finish(self) -> None:
        """Wait for the last commits, and repeat those for which the broker is not ready yet."""
        deadline = time.monotonic() + REQUEST_SECONDS
        for pipeline, (places, asked) in self._last.items():
            while _is_not_yet_taken(asked, deadline - time.monotonic()):
                time.sleep(RETRY_SECONDS)
                asked = self._ask(pipeline, places)

    def _ask(self, pipeline: str, places: list[TopicPartition]) -> Future[Any]:
        group = ConsumerGroupTopicPartitions(group_of(pipeline), places)
        asked = self._admin.alter_consumer_group_offsets([group], request_timeout=REQUEST_SECONDS)
        return next(iter(asked.values()))


def _is_not_yet_taken(asked: Future[Any], seconds: float) -> bool:
    """Whether a commit failed, and another try within these seconds may succeed."""
    try:
        answer = asked.result(max(seconds, 0))
        errors = [place.error for place in answer.topic_partitions if place.error]
    except TimeoutError:
        return False
    except KafkaException as error:
        errors = [error.args[0]]
    for each in errors[:1]:
        logger.info("consumer group not committed: %s; the job goes on", each.name())
    return seconds > 0 and any(each.code() in NOT_YET for each in errors)


def delete_group(settings: Settings, pipeline: str) -> None:
    """Delete a pipeline's group, if it has one; no matter if that fails."""
    # Kept until the answer: without its client a request is lost.
    admin = kafka_admin(settings)
    try:
        asked = admin.delete_consumer_groups([group_of(pipeline)], request_timeout=REQUEST_SECONDS)
        wait(asked.values(), timeout=REQUEST_SECONDS)
    except KafkaException as error:
        logger.info("consumer group not deleted: %s", error.args[0].name())
