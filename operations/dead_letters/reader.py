"""Reads dead letters: each once, with its state.

The coordinates of its source message identify a dead letter. The topic may hold several copies, as
jobs write each at least once; the first copy counts. The states:

    waiting    it can be sent back
    redriven   it was sent back; the new message has an offset and an outcome of its own
    parked     it came back `MAX_REDRIVES` times and is not sent again

Only coordinates are kept in memory, never payloads.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from operations.pipelines import read_topic
from runtime.config.topic_names import dead_letter_topic
from settings import Settings
from spark_jobs.sources.broker import existing_topics
from spark_jobs.sources.topics import redriven_topic
from spark_jobs.state.instants import instant_or_number

WAITING, REDRIVEN, PARKED = "waiting", "redriven", "parked"
STATES = (WAITING, REDRIVEN, PARKED)

# As jobs and redrives write them; other programs may have written other bytes.
NUMBER = re.compile(rb"-?\d{1,19}")
NOTE = re.compile(rb".*/(\d{1,10})/(\d{1,19})", re.DOTALL)
LARGEST = 2**63 - 1

Coordinates = tuple[int, int]
"""Partition and offset of a message of the source topic."""


@dataclass(frozen=True)
class DeadLetter:
    """A rejected message with its source, its reasons and its state."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    reasons: tuple[str, ...]
    redrives: int
    state: str
    key: bytes | None
    value: bytes | None

    @property
    def source(self) -> str:
        """Its place: `topic/partition/offset`."""
        return f"{self.topic}/{self.partition}/{self.offset}"

    @property
    def timestamp(self) -> datetime | str:
        """Kafka's time of the source message; as a number if outside 1970-9999."""
        return instant_or_number(self.timestamp_ms)

    @property
    def size(self) -> int:
        """Bytes of key and value."""
        return len(self.key or b"") + len(self.value or b"")


@dataclass(frozen=True)
class DeadLetterFilter:
    """Which dead letters to select; empty or None means any."""

    reasons: frozenset[str] = frozenset()
    since: datetime | None = None
    until: datetime | None = None
    partition: int | None = None
    from_offset: int | None = None
    to_offset: int | None = None
    state: str | None = None

    def takes(self, letter: DeadLetter) -> bool:
        """Whether it matches: since <= time < until, from <= offset <= to, any of the reasons."""
        return (
            (not self.reasons or not self.reasons.isdisjoint(letter.reasons))
            and (self.since is None or letter.timestamp_ms >= self.since.timestamp() * 1000)
            and (self.until is None or letter.timestamp_ms < self.until.timestamp() * 1000)
            and (self.partition is None or letter.partition == self.partition)
            and (self.from_offset is None or letter.offset >= self.from_offset)
            and (self.to_offset is None or letter.offset <= self.to_offset)
            and (self.state is None or letter.state == self.state)
        )


def read_dead_letters(settings: Settings, topic: str) -> Iterator[DeadLetter]:
    """Every dead letter of a source topic once, up to the present end of its dead-letter topic.

    Raises:
        SinkUnavailable: the broker did not answer.
        JobError: there is no such topic, or the broker stopped answering.
    """
    redriven = redriven_coordinates(settings, topic)
    seen: set[Coordinates] = set()
    for message in read_topic(settings, dead_letter_topic(topic)):
        letter = _letter(message, topic, redriven, settings.max_redrives)
        if letter is None or (letter.partition, letter.offset) in seen:
            continue
        seen.add((letter.partition, letter.offset))
        yield letter


def redriven_coordinates(settings: Settings, topic: str) -> set[Coordinates]:
    """The dead letters of a topic that were sent back, from the notes of committed transactions."""
    notes = redriven_topic(topic)
    if notes not in existing_topics(settings):
        return set()
    found = (note_coordinates(message.key()) for message in read_topic(settings, notes))
    return {coordinates for coordinates in found if coordinates is not None}


def note_key(letter: DeadLetter) -> bytes:
    """Key of the note that records a redrive."""
    return letter.source.encode()


def note_coordinates(key: bytes | None) -> Coordinates | None:
    """Partition and offset in a note's key; None if no redrive wrote it."""
    found = NOTE.fullmatch(key or b"")
    return (int(found[1]), int(found[2])) if found else None


def _number(header: bytes) -> int:
    """The 64-bit number in a header.

    Raises:
        ValueError: it holds no such number.
    """
    number = int(header) if NUMBER.fullmatch(header) else LARGEST + 1
    if not -LARGEST - 1 <= number <= LARGEST:
        raise ValueError
    return number


def _letter(
    message: Any, topic: str, redriven: set[Coordinates], max_redrives: int
) -> DeadLetter | None:
    """A message of the dead-letter topic; None if no job of this topic wrote it."""
    headers = {name: value or b"" for name, value in message.headers() or []}
    try:
        if headers["source_topic"].decode() != topic:
            return None
        place = _number(headers["source_partition"]), _number(headers["source_offset"])
        timestamp_ms = _number(headers["source_timestamp"])
        redrives = _number(headers["redrives"])
        reasons = tuple(headers["reasons"].decode().split(","))
    except (KeyError, ValueError):
        return None
    state = REDRIVEN if place in redriven else PARKED if redrives >= max_redrives else WAITING
    return DeadLetter(
        topic, *place, timestamp_ms, reasons, redrives, state, message.key(), message.value()
    )
