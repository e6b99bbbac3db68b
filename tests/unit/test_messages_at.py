"""Single messages of a topic, by their coordinates."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest
from confluent_kafka import TopicPartition

from errors import JobError
from operations import messages_at as module
from operations.messages_at import messages_at, newest_ranges, ranges_between
from operations.pipelines import END_OF_PARTITION
from settings import Settings
from tests.support.fake_broker import FakeMessage

SETTINGS = Settings(_env_file=None)
OFFSETS = {0: (10, 2000), 1: (0, 50)}


@dataclass(frozen=True)
class End:
    """The event at the end of a partition, or an error."""

    at: tuple[int, int]
    number: int = END_OF_PARTITION

    def error(self) -> End:
        return self

    def code(self) -> int:
        return self.number

    def name(self) -> str:
        return "TOPIC_AUTHORIZATION_FAILED"

    def partition(self) -> int:
        return self.at[0]

    def offset(self) -> int:
        return self.at[1]


@dataclass
class FakeConsumer:
    """Gives message after message of the assigned partitions; gaps are offsets without one."""

    gaps: frozenset[tuple[int, int]] = frozenset()
    places: dict[int, int] = field(default_factory=dict)
    given: int = 0
    seeks: list[tuple[int, int]] = field(default_factory=list)
    is_silent: bool = False
    fault: int | None = None
    closed: bool = False

    def assign(self, places: list[TopicPartition]) -> None:
        self.places = {each.partition: each.offset for each in places}

    def incremental_unassign(self, places: list[TopicPartition]) -> None:
        for each in places:
            del self.places[each.partition]

    def seek(self, place: TopicPartition) -> None:
        self.seeks.append((place.partition, place.offset))
        self.places[place.partition] = place.offset

    def poll(self, _: float) -> Any:
        if self.is_silent:
            return None
        partition = min(self.places)
        while (partition, self.places[partition]) in self.gaps:
            self.places[partition] += 1
        offset = self.places[partition]
        if self.fault is not None:
            return End((partition, offset), self.fault)
        if offset >= OFFSETS[partition][1]:
            return End((partition, offset))
        self.places[partition] += 1
        self.given += 1
        return FakeMessage("t", (partition, offset), b"v")

    def offsets_for_times(self, asked: list[TopicPartition], timeout: float) -> list[Any]:
        # Partition 0 has a message each second; partition 1 ended at second 50.
        last = {0: 2000, 1: 50}
        found = [(each.partition, -(-each.offset // 1000)) for each in asked]
        return [TopicPartition("t", p, at if at < last[p] else -1) for p, at in found]

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def consumer(monkeypatch: pytest.MonkeyPatch) -> FakeConsumer:
    made = FakeConsumer()
    monkeypatch.setattr(module, "consumer_for", lambda _: made)
    return made


def read(*places: tuple[int, int]) -> set[tuple[int, int]]:
    found = messages_at(SETTINGS, "t", places, OFFSETS)
    assert all(place == (m.partition(), m.offset()) for place, m in found.items())
    return set(found)


def test_messages_far_apart_are_read_without_those_between(consumer: FakeConsumer) -> None:
    places = ((0, 20), (0, 22), (0, 1500), (1, 7))

    assert read(*places) == {*places}
    # Offset 21 is read on the way; for 1500 it seeks.
    assert (consumer.given, consumer.seeks) == (5, [(0, 1500)])
    assert consumer.closed


def test_what_the_topic_does_not_have_is_left_out(consumer: FakeConsumer) -> None:
    consumer.gaps = frozenset({(0, 20), (1, 49)})

    assert read((0, 5), (0, 20), (0, 30), (0, 2000), (1, 49), (2, 0)) == {(0, 30)}
    assert read((0, 5), (3, 0)) == set()


def test_broker_that_refuses_or_falls_silent_is_an_error(
    consumer: FakeConsumer, monkeypatch: pytest.MonkeyPatch
) -> None:
    consumer.fault = 29
    with pytest.raises(JobError, match="refused to give `t`: TOPIC_AUTHORIZATION_FAILED"):
        read((0, 20))
    consumer.fault, consumer.is_silent = None, True
    monkeypatch.setattr(module, "SILENCE_SECONDS", 2.0)
    with pytest.raises(JobError, match="stopped answering"):
        read((0, 20))
    assert consumer.closed


@pytest.mark.parametrize(
    ("most", "expected"),
    [
        (100, {0: (1950, 2000), 1: (0, 50)}),
        (20, {0: (1990, 2000), 1: (40, 50)}),
        (0, {0: (2000, 2000), 1: (50, 50)}),
    ],
)
def test_newest_messages_are_shared_among_partitions(
    most: int, expected: dict[int, tuple[int, int]]
) -> None:
    assert newest_ranges(OFFSETS, most) == expected


@pytest.mark.parametrize(
    ("since", "until", "expected"),
    [
        (40_000, 60_000, {0: (40, 61), 1: (40, 50)}),
        # Before the topic begins, and after partition 1 ends.
        (5_000, 12_000, {0: (10, 13), 1: (5, 13)}),
        (100_000, 9_999_000, {0: (100, 2000), 1: (50, 50)}),
    ],
)
def test_messages_of_a_time_are_a_range_of_each_partition(
    consumer: FakeConsumer, since: int, until: int, expected: dict[int, tuple[int, int]]
) -> None:
    assert ranges_between(SETTINGS, "t", since, until, OFFSETS) == expected
