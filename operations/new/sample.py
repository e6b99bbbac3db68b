"""The records of a sample: from a file, or from the beginning and the end of a topic."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import Any, Final

from errors import PipelineError
from producers.sample_bytes import name_of
from producers.samples import opened_records
from runtime.config.topic_names import TOPIC_NAME
from settings import Settings

TOPIC: Final = "topic:"
# What is read of a file, whichever comes first.
MOST_RECORDS: Final = 50_000
MOST_BYTES: Final = 64 * 1024 * 1024
# From the beginning of a topic, and from the end of each of its partitions.
MOST_MESSAGES: Final = 2_000
# Shown of the records that cannot be read.
MOST_SHOWN: Final = 5


@dataclass
class Sample:
    """Records, and how they were read.

    Attributes:
        origin: Where from, as words: `orders.jsonl`, or `topic orders`.
        kind: `json`, `csv`, `parquet` or `topic`.
        records: Those that are JSON objects; numbers with a point as Decimal.
        broken: Places of messages that are not.
        is_whole: Whether there was no more.
    """

    origin: str
    kind: str
    records: list[dict[str, Any]] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    is_whole: bool = True


def read_sample(settings: Settings, origin: str) -> Sample:
    """Read the records that `--from` names.

    Raises:
        PipelineError: There is none, or most are not JSON objects.
        SampleError: The file cannot be read.
        JobError: There is no such topic.
        SinkUnavailable: The broker did not answer.
    """
    if origin.startswith(TOPIC):
        topic = origin.removeprefix(TOPIC)
        if not TOPIC_NAME.fullmatch(topic):
            raise PipelineError(
                f"`{topic}` cannot be the name of a topic, which has letters, digits, `.`, `_` and"
                " `-`. Give `topic:` and the name right after it."
            )
        sample = Sample(f"topic {topic}", "topic", is_whole=False)
        _take(sample, _messages(settings, topic))
    else:
        with opened_records(origin) as (kind, records):
            sample = Sample(Path(name_of(origin)).name, kind)
            _take(sample, records)
    if not sample.records or len(sample.broken) > len(sample.records):
        raise PipelineError(_unusable(sample))
    return sample


def _take(sample: Sample, messages: Iterator[tuple[str, bytes]]) -> None:
    size = 0
    with closing(messages):  # type: ignore[type-var]
        for place, value in messages:
            record = _record(value)
            if record is None:
                sample.broken.append(place)
            else:
                sample.records.append(record)
            size += len(value)
            if len(sample.records) >= MOST_RECORDS or size >= MOST_BYTES:
                sample.is_whole = False
                return


def _record(value: bytes) -> dict[str, Any] | None:
    """The object, as a job reads it; None for what a job calls unparseable."""
    try:
        record = json.loads(value.decode(), parse_float=Decimal, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return None
    return record if isinstance(record, dict) else None


def _refuse(text: str) -> None:
    raise ValueError(f"{text} is not JSON")


def _messages(settings: Settings, topic: str) -> Iterator[tuple[str, bytes]]:
    """The first messages of a topic, and the last of each partition, each once."""
    # Imported here: a file needs no driver of Kafka.
    from operations.pipelines import read_topic

    seen: set[tuple[int, int]] = set()
    first = read_topic(settings, topic)
    last = read_topic(settings, topic, MOST_MESSAGES)
    for messages in (islice(first, MOST_MESSAGES), last):
        for message in messages:
            place = (message.partition(), message.offset())
            if place not in seen:
                seen.add(place)
                yield f"partition {place[0]}, offset {place[1]}", message.value() or b""
        first.close()  # type: ignore[attr-defined]


def _unusable(sample: Sample) -> str:
    if not sample.broken:
        what = "no message" if sample.kind == "topic" else "no record"
        return f"`{sample.origin}` has {what}. Give a sample of a few records at least."
    return (
        f"`{sample.origin}`: {len(sample.broken)} of {len(sample.broken) + len(sample.records)}"
        f" messages are not one JSON object in UTF-8: {places(sample.broken)}. Give a sample with"
        " one JSON object on each line, an array of objects, a CSV with a header, or Parquet."
    )


def places(found: Iterable[str]) -> str:
    """The first few places, and how many more there are."""
    every = [*found]
    more = len(every) - MOST_SHOWN
    shown = ", ".join(every[:MOST_SHOWN])
    return f"{shown} and {more} more" if more > 0 else shown
