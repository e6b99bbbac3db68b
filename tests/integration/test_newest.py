"""The newest messages of a real topic: not every offset holds one."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from confluent_kafka import Producer

from operations.newest import newest_messages
from settings import Settings


def send(settings: Settings, topic: str, names: str, partition: int, *, commit: bool) -> None:
    """A transaction: it leaves a mark behind its messages, also where it is aborted."""
    producer = Producer(settings.kafka_client_options() | {"transactional.id": f"{topic}-{names}"})
    producer.init_transactions(30)
    producer.begin_transaction()
    for name in names:
        producer.produce(topic, value=name.encode(), partition=partition)
    producer.flush(30)
    (producer.commit_transaction if commit else producer.abort_transaction)(30)


def newest(settings: Settings, limit: int, *topics: str) -> str:
    return b"".join(m.value() for m in newest_messages(settings, topics, limit)).decode()


@pytest.fixture
def topic(settings: Settings, make_topic: Callable[[], str]) -> str:
    """Partition 0 ends with a message, 1 with forty offsets that hold none; 2 is empty."""
    topic = make_topic()
    send(settings, topic, "abc", 1, commit=True)
    send(settings, topic, "z" * 40, 1, commit=False)
    send(settings, topic, "de", 0, commit=True)
    return topic


@pytest.mark.parametrize(
    ("limit", "expected"), [(1, "e"), (3, "edc"), (5, "edcba"), (1000, "edcba")]
)
def test_limit_counts_messages_over_all_partitions(
    settings: Settings, topic: str, limit: int, expected: str
) -> None:
    assert newest(settings, limit, topic) == expected


def test_limit_is_for_all_topics_together(
    settings: Settings, topic: str, make_topic: Callable[[], str]
) -> None:
    other = make_topic()
    assert newest(settings, 3, topic, other) == "edc"

    send(settings, other, "xy", 2, commit=True)

    assert newest(settings, 3, topic, other) == "yxe"
