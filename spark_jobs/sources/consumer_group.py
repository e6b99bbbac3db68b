"""A consumer group for each pipeline, so that Kafka's own tools show its lag.

It is for the eye only: jobs read nothing from it, and continue from checkpoint and ledger alone.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from concurrent.futures import Future, wait
from typing import Any, Final

from confluent_kafka import ConsumerGroupTopicPartitions, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient

from settings import Settings
from spark_jobs.sources.broker import kafka_admin

logger = logging.getLogger(__name__)
REQUEST_SECONDS: Final = 5.0
# The last commits of a job that ends.
LAST_SECONDS: Final = 2.0


def group_of(pipeline: str) -> str:
    """Name of a pipeline's consumer group."""
    return f"millrace-{pipeline}"


class ConsumerGroups:
    """Commits offsets to groups without waiting for the broker."""

    def __init__(self, admin: AdminClient) -> None:
        """Commit by this client."""
        self._admin = admin
        self._last: dict[str, Future[Any]] = {}

    def commit(self, pipeline: str, topic: str, offsets: Mapping[int, int]) -> None:
        """Commit, for each partition, the offset after the last confirmed message."""
        places = [TopicPartition(topic, number, end) for number, end in sorted(offsets.items())]
        if not places:
            return
        group = ConsumerGroupTopicPartitions(group_of(pipeline), places)
        asked = self._admin.alter_consumer_group_offsets([group], request_timeout=REQUEST_SECONDS)
        self._last[pipeline] = asked[group.group_id]
        self._last[pipeline].add_done_callback(_log_failure)

    def finish(self) -> None:
        """Give the last commits a moment to arrive."""
        wait(self._last.values(), timeout=LAST_SECONDS)


def _log_failure(future: Future[Any]) -> None:
    if isinstance(error := future.exception(), KafkaException):
        logger.info("consumer group not committed: %s; the job goes on", error.args[0].name())


def delete_group(settings: Settings, pipeline: str) -> None:
    """Delete a pipeline's group, if it has one; no matter if that fails."""
    try:
        asked = kafka_admin(settings).delete_consumer_groups(
            [group_of(pipeline)], request_timeout=REQUEST_SECONDS
        )
        wait(asked.values(), timeout=REQUEST_SECONDS)
    except KafkaException as error:
        logger.info("consumer group not deleted: %s", error.args[0].name())
