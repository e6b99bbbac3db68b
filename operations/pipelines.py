"""The ledgers of pipelines and their parts, and reading topics."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition
from pymongo.database import Database

from errors import JobError
from settings import Settings
from spark_jobs.pipeline import Pipeline
from spark_jobs.registry import pipelines_of
from spark_jobs.sources.broker import existing_topics
from spark_jobs.state.ledger import Document, Entry, Ledger

POLL_SECONDS = 1.0
IDLE_LIMIT_SECONDS = 30.0
# librdkafka's public names of its own codes begin with an underscore.
END_OF_PARTITION = KafkaError._PARTITION_EOF  # noqa: SLF001


def present_parts(pipeline: Pipeline, database: Database[Document]) -> list[Pipeline]:
    """The parts of a pipeline that have a ledger; the whole pipeline if none has."""
    parts = [part for part in pipeline.parts() if Ledger(database, part.name).has_entries()]
    return parts or [pipeline]


def last_entries(settings: Settings, database: Database[Document]) -> list[Entry]:
    """The last confirmed batch in each ledger: of pipelines and of parts that ran alone."""
    parts = (part for pipeline in pipelines_of(settings) for part in pipeline.parts())
    found = (Ledger(database, part.name).last() for part in parts)
    return [entry for entry in found if entry]


def settings_of_part(part: Pipeline, settings: Settings, database: Database[Document]) -> Settings:
    """The settings, with only the part's sinks if it is not the whole pipeline."""
    if part.name == part.family or (last := Ledger(database, part.name).last()) is None:
        return settings
    sinks = tuple(name for name in last.sinks if name in part.separable)
    return settings.model_copy(update={"sinks": sinks})


def topic_offsets(settings: Settings, topic: str) -> dict[int, tuple[int, int]]:
    """Partition -> (first offset that the broker still has, offset after the last).

    Messages after the start of an open transaction do not count yet.

    Raises:
        SinkUnavailable: the broker did not answer.
        JobError: there is no such topic.
    """
    partitions = existing_topics(settings).get(topic)
    if partitions is None:
        raise JobError(f"There is no topic `{topic}`. `make up` creates it.")
    consumer = consumer_for(settings)
    try:
        return {
            partition: consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=10)
            for partition in range(partitions)
        }
    except KafkaException as error:
        raise JobError(
            f"Kafka did not return the offsets of `{topic}`: {error.args[0]}."
        ) from error
    finally:
        consumer.close()


def read_topic(settings: Settings, topic: str, last: int | None = None) -> Iterator[Any]:
    """Committed messages of a topic up to its present end: all, or about the `last` ones.

    No consumer group is used. Not every offset holds a message: transactions leave markers, and
    messages of aborted ones are skipped. So a partition ends with the message before its end, or
    when the broker reports the end.

    Raises:
        SinkUnavailable: the broker did not answer.
        JobError: there is no such topic, or the broker stopped answering.
    """
    ranges = {
        partition: (max(low, high - last) if last is not None else low, high)
        for partition, (low, high) in topic_offsets(settings, topic).items()
    }
    yield from read_ranges(settings, topic, ranges)


def read_ranges(
    settings: Settings, topic: str, ranges: Mapping[int, tuple[int, int]]
) -> Iterator[Any]:
    """Committed messages of a topic in offset ranges, which the broker must still have.

    Raises:
        JobError: the broker refused, or stopped answering.
    """
    open_partitions = {p for p, (start, end) in ranges.items() if start < end}
    consumer = consumer_for(settings)
    consumer.assign([TopicPartition(topic, p, ranges[p][0]) for p in open_partitions])
    idle_seconds = 0.0
    try:
        while open_partitions:
            message = consumer.poll(POLL_SECONDS)
            if message is None:
                idle_seconds += POLL_SECONDS
                if idle_seconds > IDLE_LIMIT_SECONDS:
                    raise JobError(
                        f"Kafka at `{settings.kafka_bootstrap_servers}` stopped answering while"
                        f" `{topic}` was read. See `make status`, then run the command again."
                    )
                continue
            idle_seconds = 0.0
            error = message.error()
            if error and error.code() != END_OF_PARTITION:
                raise JobError(f"Kafka refused to give `{topic}`: {error.name()}.")
            partition, high = message.partition(), ranges[message.partition()][1]
            if not error and message.offset() < high:
                yield message
            # An end-of-partition event carries the offset after the last one.
            if message.offset() >= (high if error else high - 1):
                open_partitions.discard(partition)
    finally:
        consumer.close()


def consumer_for(settings: Settings) -> Consumer:
    """A consumer of committed messages that belongs to no group."""
    return Consumer(
        settings.kafka_client_options()
        | {
            "group.id": "millrace-operations",
            "enable.auto.commit": False,
            "auto.offset.reset": "error",
            "isolation.level": "read_committed",
            "enable.partition.eof": True,
            "log_level": 0,
            "fetch.wait.max.ms": 20,
        }
    )
