"""Creates and checks topics before a job reads them, each with a dead-letter topic.

A dead-letter topic takes messages 64 KiB larger than its source's, so that no message is too large
to be kept together with its headers.
"""

from __future__ import annotations

import time
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from confluent_kafka import KafkaError, KafkaException, TopicCollection, TopicPartition
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewTopic,
    OffsetSpec,
    ResourceType,
)

from errors import JobError, SinkUnavailable
from runtime.config.topic_names import dead_letter_topic
from settings import Settings
from spark_jobs.sources.broker import (
    Admin,
    existing_topics,
    kafka_admin,
    offset_of,
    topics_by_broker,
)

# Short enough for the longest topic name that the settings allow.
REDRIVEN_SUFFIX = "-redriven"
DEAD_LETTER_ROOM_BYTES = 64 * 1024
LIMIT = "max.message.bytes"
# Kafka's limits are integers of 32 bits.
HIGHEST_LIMIT = 2**31 - 1
LISTING_SECONDS = 30
RETRY_SECONDS = 0.2
# The answer of a broker without topic ids: sixteen zero bytes in base64.
NO_TOPIC_ID = "A" * 22
LASTING_FAULTS = frozenset(
    {
        KafkaError.UNKNOWN_TOPIC_OR_PART,
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.TOPIC_EXCEPTION,
    }
)
# With several copies, a confirmed message is on two brokers, as all producers here use `acks=all`.
CONFIRMING_COPIES = {"min.insync.replicas": "2"}
# It is the only copy of a rejected message, and `make verify` counts it: it must not age out.
KEEP_FOREVER = {"retention.ms": "-1", "retention.bytes": "-1", "cleanup.policy": "delete"}


@dataclass(frozen=True)
class TopicState:
    """A topic's state on the broker at this moment.

    `topic_id` changes when a topic is deleted and created again; None if the broker has no topic
    ids. `offsets` has for each partition the first offset still there and the one after the last.
    """

    topic_id: str | None
    offsets: dict[int, tuple[int, int]]


def topic_state(settings: Settings, topic: str, timeout_seconds: float | None = None) -> TopicState:
    """Ask the broker for a topic's id and offsets.

    Raises:
        SinkUnavailable: it did not answer in time, by default `KAFKA_CONNECT_TIMEOUT_SECONDS`.
        JobError: there is no such topic, or the user may not see it.
    """
    admin = kafka_admin(settings)
    limit_seconds = timeout_seconds or settings.kafka_connect_timeout_seconds
    deadline = time.monotonic() + limit_seconds
    while True:
        try:
            return _ask_for_state(admin, topic, max(1.0, deadline - time.monotonic()))
        except KafkaException as error:
            # A partition has no leader for a moment after its creation and after a restart.
            if error.args[0].code() in LASTING_FAULTS:
                raise JobError(
                    f"Kafka did not give the state of `{topic}`: {error.args[0].name()}. `make up`"
                    " creates missing topics; check the user's rights and the topic's setting."
                ) from error
            if time.monotonic() > deadline:
                raise SinkUnavailable(
                    f"Kafka at `{settings.kafka_bootstrap_servers}` did not give the offsets of"
                    f" `{topic}` within {limit_seconds:g} s"
                    f" ({error.args[0].name()}). See `make status` and `make logs SERVICE=kafka`."
                ) from error
            time.sleep(RETRY_SECONDS)


def _ask_for_state(admin: AdminClient, topic: str, timeout_seconds: float) -> TopicState:
    wait = {"request_timeout": timeout_seconds}
    description = admin.describe_topics(TopicCollection([topic]), **wait)[topic].result()
    partitions = [TopicPartition(topic, partition.id) for partition in description.partitions]
    first, after_last = (
        {
            place.partition: offset_of(future)
            for place, future in admin.list_offsets(dict.fromkeys(partitions, spec), **wait).items()
        }
        for spec in (OffsetSpec.earliest(), OffsetSpec.latest())
    )
    topic_id = str(description.topic_id)
    return TopicState(
        topic_id=None if topic_id in {NO_TOPIC_ID, "None"} else topic_id,
        offsets={partition: (start, after_last[partition]) for partition, start in first.items()},
    )


def ensure_topics(settings: Settings, topics: list[str]) -> list[str]:
    """Create missing topics and dead-letter topics; returns those that were created."""
    admin = kafka_admin(settings)
    known = existing_topics(settings, admin)
    created = _create(settings, admin, [topic for topic in topics if topic not in known])
    for topic in topics:
        created += ensure_dead_letter_topic(settings, topic)
    return created


def check_topic(settings: Settings, topic: str) -> None:
    """Check that a job's topic exists, and ensure its dead-letter topic.

    Raises:
        JobError: there is no such topic.
    """
    if topic not in existing_topics(settings):
        raise JobError(
            f"There is no topic `{topic}` at `{settings.kafka_bootstrap_servers}`. `make up`"
            " creates it; or correct the topic's setting."
        )
    ensure_dead_letter_topic(settings, topic)


def ensure_dead_letter_topic(settings: Settings, topic: str) -> list[str]:
    """Create the topic's dead-letter topic or raise its limit; returns its name if it is new."""
    return ensure_roomier_topic(settings, dead_letter_topic(topic), topic, KEEP_FOREVER)


def ensure_roomier_topic(
    settings: Settings, name: str, topic: str, options: dict[str, str]
) -> list[str]:
    """Create a topic for larger messages than `topic`'s, or raise its limit; its name if new.

    The new topic has as many partitions as `topic`, which must exist.
    """
    admin = kafka_admin(settings)
    known = existing_topics(settings, admin)
    limit = roomier_limit(_limit(admin, topic))
    if name not in known:
        return _create(settings, admin, [name], {LIMIT: str(limit), **options}, known[topic])
    if _limit(admin, name) < limit:
        entry = ConfigEntry(LIMIT, str(limit), incremental_operation=AlterConfigOpType.SET)
        resource = ConfigResource(ResourceType.TOPIC, name, incremental_configs=[entry])
        _wait(admin.incremental_alter_configs([resource]), "change the limit of")
    return []


def roomier_limit(of_source: int) -> int:
    """The limit in bytes of a topic for another one's messages with more headers."""
    return min(of_source + DEAD_LETTER_ROOM_BYTES, HIGHEST_LIMIT)


def redriven_topic(topic: str) -> str:
    """Name of the topic that records which dead letters of `topic` were sent back to it."""
    return topic + REDRIVEN_SUFFIX


def ensure_redriven_topic(settings: Settings, topic: str) -> None:
    """Create the topic of redriven dead letters if it is missing.

    Raises:
        JobError: there is no topic `topic`.
    """
    check_topic(settings, topic)
    admin = kafka_admin(settings)
    known = existing_topics(settings, admin)
    name = redriven_topic(topic)
    if name not in known:
        _create(settings, admin, [name], KEEP_FOREVER, known[topic])


def _create(
    settings: Settings,
    admin: Admin,
    names: list[str],
    config: dict[str, str] | None = None,
    partitions: int | None = None,
) -> list[str]:
    if not names:
        return []
    new = [new_topic(settings, name, config, partitions) for name in names]
    _wait(admin.create_topics(new, operation_timeout=30), "create")
    if not _become(settings, admin, names, present=True):
        raise JobError(
            f"Kafka does not list topics that it created {LISTING_SECONDS} s ago:"
            f" {', '.join(names)}. See `make status` and `make logs SERVICE=kafka`."
        )
    return names


def new_topic(
    settings: Settings,
    name: str,
    config: dict[str, str] | None = None,
    partitions: int | None = None,
) -> NewTopic:
    """A new topic for the broker; with several copies, two of them must confirm a message."""
    copies = settings.topic_replication_factor
    return NewTopic(
        name,
        num_partitions=partitions or settings.topic_partitions,
        replication_factor=copies,
        config=(CONFIRMING_COPIES if copies > 1 else {}) | (config or {}),
    )


def _limit(admin: AdminClient, topic: str) -> int:
    resource = ConfigResource(ResourceType.TOPIC, topic)
    (config,) = _wait(admin.describe_configs([resource]), "read the limits of")
    return int(config[LIMIT].value)


def _wait(futures: dict[Any, Future[Any]], action: str) -> list[Any]:
    results = []
    for name, future in futures.items():
        try:
            results.append(future.result(timeout=30))
        except KafkaException as error:
            if error.args[0].code() == KafkaError.TOPIC_ALREADY_EXISTS:
                continue
            raise JobError(
                f"Kafka refused to {action} the topic `{name}`: {error.args[0].name()}. Check the"
                " user's rights, TOPIC_PARTITIONS and TOPIC_REPLICATION_FACTOR."
            ) from error
    return results


def delete_topics(settings: Settings, topics: list[str]) -> None:
    """Delete topics and wait until the broker no longer lists them."""
    admin = kafka_admin(settings)
    present = [topic for topic in topics if topic in existing_topics(settings, admin)]
    if not present:
        return
    _wait(admin.delete_topics(present, operation_timeout=30), "delete")
    if not _become(settings, admin, present, present=False):
        raise JobError(
            f"Kafka still lists deleted topics after {LISTING_SECONDS} s. See `make status`"
            " and `make logs SERVICE=kafka`, then run `make up` to create them again."
        )


def _become(settings: Settings, admin: Admin, topics: list[str], *, present: bool) -> bool:
    """Wait until every broker lists all topics, or none: each learns of a change after it."""
    deadline = time.monotonic() + LISTING_SECONDS
    while any(
        (topic in listed) != present
        for listed in topics_by_broker(settings, admin)
        for topic in topics
    ):
        if time.monotonic() > deadline:
            return False
        time.sleep(RETRY_SECONDS)
    return True
