"""Finds what a batch sent to other topics: forwarded records, and copies of dead letters."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from operations.masking import masked_columns
from operations.messages_at import Place, ranges_between
from operations.overview.records import masked_row
from operations.pipelines import read_ranges, topic_offsets
from operations.trace.model import StoredRow
from settings import Settings
from spark_jobs.pipeline import Pipeline
from spark_jobs.sinks.topics import TopicsSink
from spark_jobs.state.offset_ranges import width


def copies_of(
    settings: Settings, name: str, topic: str, place: Place, window_ms: tuple[int, int], most: int
) -> Iterator[Any] | None:
    """The messages that a batch sent to topic `name` of one source message.

    None if too many messages came in the meantime.

    Raises:
        SinkUnavailable: the broker did not answer.
        JobError: there is no such topic, or the broker stopped answering.
    """
    offsets = topic_offsets(settings, name)
    ranges = ranges_between(settings, name, *window_ms, offsets)
    if width(ranges) > most:
        return None
    wanted = (topic.encode(), str(place[0]).encode(), str(place[1]).encode())
    return (each for each in read_ranges(settings, name, ranges) if _source(each) == wanted)


def _source(message: Any) -> tuple[bytes | None, ...]:
    headers = dict(message.headers() or [])
    return tuple(
        headers.get(name) for name in ("source_topic", "source_partition", "source_offset")
    )


def forwarded_row(pipeline: Pipeline, message: Any, source: str) -> StoredRow:
    """A forwarded record as a row, masked."""
    try:
        record = json.loads(message.value() or b"")
    except ValueError:
        record = None
    values = record if isinstance(record, dict) else {}
    hidden = masked_columns(pipeline, values)
    place = f"{message.topic()}/{message.partition()}/{message.offset()}"
    return StoredRow(TopicsSink.store, place, masked_row(values, hidden), source)
