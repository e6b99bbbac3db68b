"""A broker in memory: topics with messages at offsets, in place of the functions that read them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from errors import JobError, SinkUnavailable

Place = tuple[int, int]


@dataclass(frozen=True)
class FakeMessage:
    """As confluent-kafka gives it."""

    on: str
    place: Place
    content: bytes | None
    stamp: int = 1_795_341_600_000
    given: tuple[tuple[str, bytes], ...] = ()
    named: bytes | None = None

    def topic(self) -> str:
        return self.on

    def partition(self) -> int:
        return self.place[0]

    def offset(self) -> int:
        return self.place[1]

    def value(self) -> bytes | None:
        return self.content

    def key(self) -> bytes | None:
        return self.named

    def timestamp(self) -> tuple[int, int]:
        return 1, self.stamp

    def headers(self) -> list[tuple[str, bytes]]:
        return list(self.given)

    def error(self) -> None:
        return None


@dataclass
class FakeBroker:
    """Topics; `first` is the first offset that is still there, of every partition."""

    topics: dict[str, dict[Place, FakeMessage]] = field(default_factory=dict)
    first: dict[str, int] = field(default_factory=dict)
    is_away: bool = False
    reads: int = 0

    def put(
        self, topic: str, place: Place, content: bytes | None, stamp: int = 1_795_341_600_000
    ) -> FakeMessage:
        message = FakeMessage(topic, place, content, stamp)
        self.topics.setdefault(topic, {})[place] = message
        return message

    def put_message(self, message: FakeMessage) -> None:
        self.topics.setdefault(message.on, {})[message.place] = message

    def offsets(self, _settings: Any, topic: str) -> dict[int, tuple[int, int]]:
        if self.is_away:
            raise SinkUnavailable("Cannot reach Kafka. Start it with `make up`.")
        if topic not in self.topics:
            raise JobError(f"There is no topic `{topic}`. `make up` creates it.")
        ends: dict[int, int] = {}
        for partition, offset in self.topics[topic]:
            ends[partition] = max(offset + 1, ends.get(partition, 0))
        first = self.first.get(topic, 0)
        return {p: (min(first, end), end) for p, end in ends.items()}

    def ranges(
        self, _settings: Any, topic: str, ranges: Mapping[int, tuple[int, int]]
    ) -> Iterator[FakeMessage]:
        for (partition, offset), message in sorted(self.topics.get(topic, {}).items()):
            start, end = ranges.get(partition, (0, 0))
            if start <= offset < end and offset >= self.first.get(topic, 0):
                self.reads += 1
                yield message

    def at(
        self, _settings: Any, topic: str, places: Iterable[Place], _offsets: Any = None
    ) -> dict[Place, FakeMessage]:
        if self.is_away:
            raise SinkUnavailable("Cannot reach Kafka. Start it with `make up`.")
        held, first = self.topics.get(topic, {}), self.first.get(topic, 0)
        return {p: held[p] for p in places if p in held and p[1] >= first}

    def between(
        self, settings: Any, topic: str, since: int, until: int, _offsets: Any
    ) -> dict[int, tuple[int, int]]:
        found: dict[int, tuple[int, int]] = {}
        for (partition, offset), message in sorted(self.topics.get(topic, {}).items()):
            if since <= message.stamp <= until:
                start, _ = found.get(partition, (offset, 0))
                found[partition] = (start, offset + 1)
        return found

    def replace_readers(self, patch: pytest.MonkeyPatch) -> None:
        """Have `overview` and `trace` read this broker."""
        readers = {
            "operations.trace.on_broker.topic_offsets": self.offsets,
            "operations.trace.on_broker.messages_at": self.at,
            "operations.trace.on_broker.read_ranges": self.ranges,
            "operations.trace.on_broker.ranges_between": self.between,
            "operations.trace.redrives.topic_offsets": self.offsets,
            "operations.trace.redrives.read_ranges": self.ranges,
            "operations.trace.redrives.ranges_between": self.between,
            "operations.trace.redrives.existing_topics": lambda _: dict.fromkeys(self.topics, 1),
            "operations.overview.records.messages_at": self.at,
        }
        for name, reader in readers.items():
            patch.setattr(name, reader)
