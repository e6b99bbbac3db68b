"""Which messages came last, by offsets and by timestamps that senders may have made up."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from operations.newest import by_arrival

NOW = 1_000.0
FAR = 2**63 - 1


@dataclass(frozen=True)
class FakeMessage:
    """As confluent-kafka gives it, as far as order goes."""

    name: str
    of_partition: int
    at_offset: int
    stamp: int
    of_topic: str = "t"

    def topic(self) -> str:
        return self.of_topic

    def partition(self) -> int:
        return self.of_partition

    def offset(self) -> int:
        return self.at_offset

    def timestamp(self) -> tuple[int, int]:
        return 1, self.stamp


def partition(number: int, stamps: dict[str, int], topic: str = "t") -> list[FakeMessage]:
    return [
        FakeMessage(name, number, offset, stamp, topic)
        for offset, (name, stamp) in enumerate(stamps.items())
    ]


@pytest.mark.parametrize(
    ("messages", "expected"),
    [
        pytest.param(
            [*partition(0, {"a": 10, "b": 30}), *partition(1, {"c": 20, "d": 40})],
            "dbca",
            id="by time between partitions",
        ),
        pytest.param(partition(0, {"a": 10, "b": 10, "c": 10}), "cba", id="of one millisecond"),
        pytest.param(
            [*partition(0, {"a": 10, "b": 20, "old": -5}), *partition(1, {"c": 15, "d": 30})],
            ["old", "d", "b", "c", "a"],
            id="of the last century, just sent",
        ),
        pytest.param(
            [*partition(0, {"far": FAR, "b": 20}), *partition(1, {"c": 30})],
            ["c", "b", "far"],
            id="yet to come, sent long ago",
        ),
        pytest.param(
            [*partition(0, {"a": 10, "far": FAR, "b": 12}), *partition(1, {"c": 11, "d": 13})],
            ["d", "b", "far", "c", "a"],
            id="yet to come, between others",
        ),
        pytest.param(
            [*partition(0, {"a": 10}), *partition(0, {"x": 20}, topic="s")],
            "xa",
            id="of two topics",
        ),
        pytest.param([], "", id="none"),
    ],
)
def test_newest_message_comes_first(messages: list[FakeMessage], expected: str | list[str]) -> None:
    found = [message.name for message in by_arrival(reversed(messages), NOW)]

    assert found == list(expected)
