"""Dead letters as a job leaves them, and `millrace dead-letters` run on them."""

from __future__ import annotations

from typing import Any

from confluent_kafka import Producer

from operations.dead_letters.dead_letters import run_dead_letters
from operations.options import build_parser
from operations.pipelines import read_topic
from settings import Settings

# 2026-11-22T10:15:00Z
SENT_MS = 1_795_342_500_000
Key = bytes | None
Letter = tuple[Key, bytes | None]


def reject(
    settings: Settings,
    *letters: Letter,
    first_offset: int = 0,
    reasons: str = "unparseable",
    redrives: int = 0,
) -> None:
    """Put dead letters on their topic as a job does, at source offsets one after the other."""
    topic = settings.tickets_topic
    producer = Producer(settings.kafka_client_options() | {"message.max.bytes": 2_000_000})
    for offset, (key, value) in enumerate(letters, first_offset):
        headers = {
            "reasons": reasons,
            "source_topic": topic,
            "source_partition": "1",
            "source_offset": str(offset),
            "source_timestamp": str(SENT_MS + offset),
            "redrives": str(redrives),
        }
        encoded = {name: text.encode() for name, text in headers.items()}
        producer.produce(f"{topic}-dead-letter", value, key, partition=0, headers=encoded)
    assert producer.flush(30) == 0


def numbered(count: int) -> list[Letter]:
    return [(b"C%d" % number, b"no ticket %d" % number) for number in range(count)]


def run(settings: Settings, action: str, *options: str) -> int:
    arguments = ["dead-letters", action, "--topic", settings.tickets_topic, *options]
    return run_dead_letters(settings, build_parser().parse_args(arguments))


def source(settings: Settings) -> list[Any]:
    """The committed messages of the source topic."""
    return list(read_topic(settings, settings.tickets_topic))


def values(settings: Settings) -> list[bytes]:
    return sorted(message.value() for message in source(settings))
