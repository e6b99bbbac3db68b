"""Which dead letters were sent back, and where the message is that was sent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from operations.dead_letters.reader import note_coordinates
from operations.dead_letters.redrive_sender import SOURCE_HEADER
from operations.messages_at import Place, newest_ranges, ranges_between
from operations.pipelines import read_ranges, topic_offsets
from settings import Settings
from spark_jobs.sources.broker import existing_topics
from spark_jobs.sources.kafka import REDRIVES_HEADER
from spark_jobs.sources.topics import redriven_topic
from spark_jobs.state.offset_ranges import width

# A message and its note are sent in one transaction, which the broker ends after half a minute.
SENT_WITHIN_MS: Final = 60_000


def read_notes(settings: Settings, topic: str, most: int) -> tuple[dict[Place, int], bool]:
    """What was sent back: place of the dead letter's message -> when, in milliseconds.

    Of the newest notes, and whether these are all.
    """
    notes = redriven_topic(topic)
    if notes not in existing_topics(settings):
        return {}, True
    offsets = topic_offsets(settings, notes)
    ranges = newest_ranges(offsets, most)
    messages = read_ranges(settings, notes, ranges)
    named = ((note_coordinates(each.key()), each.timestamp()[1]) for each in messages)
    return {place: sent for place, sent in named if place}, ranges == offsets


def sent_back(
    settings: Settings,
    topic: str,
    offsets: Mapping[int, Place],
    source: str,
    sent_ms: int,
    most: int,
) -> Any | None:
    """The message that was sent back from the dead letter of `source`; None if it is not found."""
    span = sent_ms - SENT_WITHIN_MS, sent_ms + SENT_WITHIN_MS
    ranges = ranges_between(settings, topic, *span, offsets)
    messages = read_ranges(settings, topic, ranges) if width(ranges) <= most else ()
    return next((each for each in messages if redriven_from(each) == source), None)


def redriven_from(message: Any) -> str | None:
    """The place of the message whose dead letter was sent back as this one; None for others."""
    return _header(message, SOURCE_HEADER)


def redrives_of(message: Any) -> int:
    """How often a message was sent back."""
    text = _header(message, REDRIVES_HEADER)
    return int(text) if text and text.isdecimal() else 0


def _header(message: Any, name: str) -> str | None:
    headers = (message.headers() or []) if message else []
    values = [value for key, value in headers if key == name and value]
    return values[-1].decode(errors="replace") if values else None
