"""Messages of forward topics and of the dead-letter topic."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final

from confluent_kafka import Producer, TopicPartition

from operations.pipelines import read_topic, topic_offsets
from runtime.config.topic_names import dead_letter_topic
from spark_jobs.sources.broker import kafka_admin
from tests.support.tampering.tampering import Change, Kind, Named, Tampering, exactly
from tests.support.tampering.values import MARK, other
from tests.support.world import World

Headers = tuple[tuple[str, bytes], ...]
AFTER_THE_END: Final = 1_000_000
# What forward topics and dead-letter topics are judged by in different ways.
OF_EACH_SORT: Final = (
    "a message's content",
    "other content under known coordinates",
    "a message",
    "a message that does not belong there",
)


@dataclass(frozen=True)
class Message:
    """A message as it can be sent again."""

    partition: int
    key: bytes | None
    value: bytes | None
    headers: Headers
    timestamp_ms: int

    def header(self, name: str) -> str:
        return dict(self.headers)[name].decode()

    def with_header(self, name: str, text: str) -> Message:
        changed = tuple((n, text.encode() if n == name else v) for n, v in self.headers)
        return replace(self, headers=changed)

    def without_header(self, name: str) -> Message:
        return replace(self, headers=tuple(h for h in self.headers if h[0] != name))

    @property
    def source(self) -> str:
        parts = ("source_topic", "source_partition", "source_offset")
        return "/".join(self.header(name) for name in parts)


def messages_of(world: World, topic: str) -> list[Message]:
    return [
        Message(m.partition(), m.key(), m.value(), tuple(m.headers() or ()), m.timestamp()[1])
        for m in read_topic(world.settings, topic)
    ]


def send(world: World, topic: str, messages: Sequence[Message]) -> None:
    producer = Producer(world.settings.kafka_client_options())
    for m in messages:
        producer.produce(
            topic, m.value, m.key, m.partition, timestamp=m.timestamp_ms, headers=[*m.headers]
        )
    assert producer.flush(30) == 0


@contextmanager
def holding(world: World, topic: str, messages: Sequence[Message]) -> Iterator[None]:
    """These messages instead of a topic's own: Kafka deletes only all that came first."""
    before = messages_of(world, topic)
    try:
        _fill(world, topic, messages)
        yield
    finally:
        _fill(world, topic, before)


def _fill(world: World, topic: str, messages: Sequence[Message]) -> None:
    ends = [TopicPartition(topic, p, -1) for p in topic_offsets(world.settings, topic)]
    # Kept, as its answers come by a thread that ends with it.
    admin = kafka_admin(world.settings)
    for deleted in admin.delete_records(ends).values():
        deleted.result(30)
    send(world, topic, messages)


def of_topics(world: World) -> Iterator[Tampering]:
    """Tamperings with each forward topic, and with the dead-letter topic."""
    rejected = [m.source for m in messages_of(world, dead_letter_topic(world.topic))]
    for topic in world.pipeline.forward_topics(world.settings):
        if messages_of(world, topic):
            yield from _of_topic(world, topic, "forward topic", rejected[0])
            yield from _of_forwarded(world, topic)
    forwarded = (source for source in _sources(world) if source not in rejected)
    yield from _of_topic(
        world, dead_letter_topic(world.topic), "dead-letter topic", next(forwarded)
    )
    yield from _of_dead_letters(world)


def _sources(world: World) -> Iterator[str]:
    for m in read_topic(world.settings, world.topic):
        yield f"{world.topic}/{m.partition()}/{m.offset()}"


def _of_topic(world: World, topic: str, sort: str, elsewhere: str) -> Iterator[Tampering]:
    """What may happen on both kinds of topics; `elsewhere` is a message that is not there."""
    messages = messages_of(world, topic)
    first, last = messages[0], messages[-1]
    of_first: Named = (("Kafka", re.escape(topic), exactly(first.source)),)

    def tampering(kind: Kind, name: str, now: list[Message], named: Named = of_first) -> Tampering:
        changed = partial(holding, world, topic, now)
        secret = MARK if any(MARK in str(m.value) for m in now) else None
        own = sort if name in OF_EACH_SORT else "topic"
        return Tampering(kind, f"Kafka {topic}: {name}", f"{own}: {name}", changed, named, secret)

    content = replace(first, value=_other_content(first.value))
    yield tampering("change", "a message's content", [content, *messages[1:]])
    yield tampering("foreign", "other content under known coordinates", [*messages, content])
    yield tampering(
        "change", "a message's value is gone", [replace(first, value=None), *messages[1:]]
    )
    yield tampering(
        "change", "a message's key",
        [replace(first, key=(first.key or b"") + MARK.encode()), *messages[1:]],
    )  # fmt: skip
    yield tampering("delete", "a message", messages[1:])
    _, partition, offset = elsewhere.rsplit("/", 2)
    foreign = first.with_header("source_partition", partition).with_header("source_offset", offset)
    yield tampering(
        "foreign", "a message that does not belong there", [*messages, foreign],
        (("Kafka", re.escape(topic), exactly(elsewhere)),),
    )  # fmt: skip
    late = first.with_header("source_offset", str(AFTER_THE_END))
    yield tampering(
        "foreign", "a message from after the topic's end", [*messages, late],
        (("Kafka", re.escape(topic), str(AFTER_THE_END)),),
    )  # fmt: skip
    yield tampering("move", "a message's coordinates", [foreign, *messages[1:]])
    # Without coordinates a message can only be named by its own.
    unnamed: Named = (("Kafka", rf"`{re.escape(topic)}/{last.partition}/\d+`"),)
    for name, odd in (
        ("a message without headers", replace(last, headers=())),
        ("a message without its offset", last.without_header("source_offset")),
        ("a message with an offset that is no number", last.with_header("source_offset", "1x")),
        ("a message of another topic", last.with_header("source_topic", "elsewhere")),
    ):
        yield Tampering(
            "foreign", f"Kafka {topic}: {name}", f"topic: {name}",
            partial(_appended, world, topic, odd), unnamed,
        )  # fmt: skip
    if unlike := next((m for m in messages if m.value != first.value), None):
        swapped = [replace(first, value=unlike.value), replace(unlike, value=first.value)]
        rest = [m for m in messages if m not in (first, unlike)]
        of_both = tuple(("Kafka", re.escape(topic), exactly(m.source)) for m in (first, unlike))
        yield tampering("swap", "the contents of two messages", [*swapped, *rest], of_both)


@contextmanager
def _appended(world: World, topic: str, message: Message) -> Iterator[None]:
    """The topic's own messages, sent again, and one more after them."""
    with holding(world, topic, [*messages_of(world, topic), message]):
        yield


def _of_forwarded(world: World, topic: str) -> Iterator[Tampering]:
    """A member of the JSON object changed, missing, or of another type."""
    messages = messages_of(world, topic)
    first = messages[0]
    record = json.loads(first.value or b"{}")
    for name, value in record.items():
        others: list[tuple[Kind, Any]] = [("change", other(value)), ("delete", None)]
        others += [] if isinstance(value, str | list) else [("type", str(value))]
        for kind, new in others:
            now = {n: v for n, v in (record | {name: new}).items() if v is not None}
            changed = replace(first, value=json.dumps(now).encode())
            yield Tampering(
                kind, f"Kafka {topic}: {name}", f"forward topic: {kind} a member",
                partial(holding, world, topic, [changed, *messages[1:]]),
                (("Kafka", re.escape(topic), exactly(first.source)),),
            )  # fmt: skip


def _of_dead_letters(world: World) -> Iterator[Tampering]:
    """Headers changed in place, and copies with others."""
    topic = dead_letter_topic(world.topic)
    messages = messages_of(world, topic)
    first = messages[0]
    reasons = first.header("reasons")
    named: Named = (("Kafka", re.escape(topic), exactly(first.source)),)
    changes: dict[str, Callable[[Message], Message]] = {
        "other reasons": lambda m: m.with_header("reasons", f"{reasons},missing_{MARK}"),
        "no reasons": lambda m: m.without_header("reasons"),
        "another time": lambda m: m.with_header("source_timestamp", "1"),
        "more redrives": lambda m: m.with_header("redrives", "7"),
    }
    for name, change in changes.items():
        for kind, how, now in (
            ("change", name, [change(first), *messages[1:]]),
            ("foreign", "a copy", [*messages, change(first)]),
        ):
            yield Tampering(
                kind, f"Kafka {topic}: {name}, {how}", f"dead-letter topic: header, {how}",
                partial(holding, world, topic, now), named,
            )  # fmt: skip


def _other_content(value: bytes | None) -> bytes:
    try:
        record = json.loads(value or b"")
    except ValueError:
        return f"{value!r} {MARK}".encode()
    return json.dumps({name: MARK for name in record}).encode()


def copies(world: World) -> Iterator[Change]:
    """What is no tampering: messages that a repeated batch sent again."""
    for topic in (dead_letter_topic(world.topic), *world.pipeline.forward_topics(world.settings)):
        if messages := messages_of(world, topic):
            yield partial(holding, world, topic, [*messages, *messages])
