"""Offsets of several topics, with two requests for all."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import wait

from confluent_kafka import IsolationLevel, TopicPartition
from confluent_kafka.admin import OffsetSpec

from settings import Settings
from spark_jobs.sources.broker import Admin, existing_topics, offset_of


def offsets_of(
    admin: Admin, settings: Settings, topics: Sequence[str]
) -> dict[str, dict[int, tuple[int, int]]]:
    """Topic -> partition -> (first offset, offset after the last); without topics that are absent.

    Messages after the start of an open transaction do not count yet.

    Raises:
        SinkError: the broker did not answer, or refused the client.
        KafkaException: it did not give the offsets.
    """
    known = existing_topics(settings, admin)
    places = [
        TopicPartition(topic, partition)
        for topic in topics
        for partition in range(known.get(topic, 0))
    ]
    found: defaultdict[str, dict[int, tuple[int, int]]] = defaultdict(dict)
    if not places:
        return {}
    first, end = (
        admin.list_offsets(
            dict.fromkeys(places, which),
            isolation_level=IsolationLevel.READ_COMMITTED,
            request_timeout=settings.kafka_connect_timeout_seconds,
        )
        for which in (OffsetSpec.earliest(), OffsetSpec.latest())
    )
    # Of all, so that no request is open when its client ends.
    wait([*first.values(), *end.values()])
    for place in places:
        low, high = offset_of(first[place]), offset_of(end[place])
        found[place.topic][place.partition] = (low, high)
    return dict(found)
