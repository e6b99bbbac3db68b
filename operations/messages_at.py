"""Reads single messages of a topic by their coordinates, and ranges of it by time."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from typing import Any

from confluent_kafka import KafkaException, TopicPartition

from errors import JobError
from operations.pipelines import END_OF_PARTITION, POLL_SECONDS, consumer_for, topic_offsets
from settings import Settings

# A wanted message so near is reached by reading on; for any other the consumer seeks.
NEAR = 100
SILENCE_SECONDS = 10.0
Place = tuple[int, int]
Ranges = dict[int, tuple[int, int]]


def messages_at(
    settings: Settings,
    topic: str,
    places: Iterable[Place],
    offsets: Mapping[int, tuple[int, int]] | None = None,
) -> dict[Place, Any]:
    """The committed messages at these partitions and offsets, without those that are not there.

    `offsets` is what the topic has, if the caller has asked for it.

    Raises:
        SinkUnavailable: the broker did not answer.
        JobError: there is no such topic, or the broker stopped answering.
    """
    held = topic_offsets(settings, topic) if offsets is None else offsets
    wanted: dict[int, deque[int]] = {}
    for partition, offset in sorted({*places}):
        low, high = held.get(partition, (0, 0))
        if low <= offset < high:
            wanted.setdefault(partition, deque()).append(offset)
    if not wanted:
        return {}
    consumer = consumer_for(settings)
    consumer.assign([TopicPartition(topic, p, queue[0]) for p, queue in wanted.items()])
    try:
        return _collected(consumer, topic, wanted)
    except KafkaException as error:
        raise JobError(f"Kafka refused to give `{topic}`: {error.args[0].name()}.") from error
    finally:
        consumer.close()


def _collected(consumer: Any, topic: str, wanted: dict[int, deque[int]]) -> dict[Place, Any]:
    found: dict[Place, Any] = {}
    silent_seconds = 0.0
    while wanted:
        message = consumer.poll(POLL_SECONDS)
        if message is None:
            silent_seconds += POLL_SECONDS
            if silent_seconds >= SILENCE_SECONDS:
                raise JobError(
                    f"Kafka stopped answering while `{topic}` was read. See `make status`, then"
                    " run the command again."
                )
            continue
        silent_seconds = 0.0
        error = message.error()
        if error and error.code() != END_OF_PARTITION:
            raise JobError(f"Kafka refused to give `{topic}`: {error.name()}.")
        partition, offset = message.partition(), message.offset()
        queue = wanted.get(partition)
        if queue is None:
            continue
        # Not every offset holds a message.
        while queue and queue[0] < offset:
            queue.popleft()
        if queue and queue[0] == offset and not error:
            found[partition, offset] = message
            queue.popleft()
        if not queue or error:
            del wanted[partition]
            consumer.incremental_unassign([TopicPartition(topic, partition)])
        elif queue[0] - offset > NEAR:
            consumer.seek(TopicPartition(topic, partition, queue[0]))
    return found


def newest_ranges(offsets: Mapping[int, tuple[int, int]], most: int) -> Ranges:
    """The newest `most` offsets of a topic, the same number of each partition, or all."""
    share = most // max(len(offsets), 1)
    return {p: (max(low, high - share), high) for p, (low, high) in offsets.items()}


def ranges_between(
    settings: Settings,
    topic: str,
    since_ms: int,
    until_ms: int,
    offsets: Mapping[int, tuple[int, int]],
) -> Ranges:
    """The offsets from the first message at a time or later, to the first after another time."""
    consumer = consumer_for(settings)
    try:
        first, after = (
            {
                place.partition: place.offset
                for place in consumer.offsets_for_times(
                    [TopicPartition(topic, p, max(moment, 0)) for p in offsets], timeout=10
                )
            }
            for moment in (since_ms, until_ms + 1)
        )
    except KafkaException as error:
        raise JobError(
            f"Kafka did not return the offsets of `{topic}`: {error.args[0]}."
        ) from error
    finally:
        consumer.close()
    # Where no message is so late, the broker gives a negative number.
    ends = {p: after[p] if after[p] >= 0 else high for p, (_, high) in offsets.items()}
    return {
        p: (max(first[p], low), min(ends[p], high)) if first[p] >= 0 else (high, high)
        for p, (low, high) in offsets.items()
    }
