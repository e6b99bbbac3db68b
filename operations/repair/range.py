"""Which part of a topic to replay: the values of `--from` and `--to`, and their offsets.

A position is `earliest`, `latest`, an offset for all partitions (`120`), offsets by partition
(`0:120,1:80`; others are left out), or an ISO 8601 time (UTC if it has no zone): the first message
of each partition that is not older. `--to` is the offset after the last message.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from confluent_kafka import KafkaException, TopicPartition
from confluent_kafka.admin import OffsetSpec

from errors import JobError
from runtime import remedies
from runtime.config.sink_modules import LEDGER_SINK, SINK_MODULES, keeps_ledger
from settings import Settings
from spark_jobs.pipeline import Pipeline
from spark_jobs.sources.broker import kafka_admin, offset_of

Ranges = dict[int, tuple[int, int]]
"""Partition -> (first offset, offset after the last)."""

Place = Literal["earliest", "latest"] | int | dict[int, int] | datetime
BY_PARTITION = re.compile(r"\d+:\d+(,\d+:\d+)*\Z", re.ASCII)
ANSWER_SECONDS = 30


@dataclass(frozen=True)
class ReplayRequest:
    """A replay request, every option parsed."""

    pipeline: Pipeline
    start: Place
    end: Place
    sink: str

    @property
    def of_ledger(self) -> bool:
        """Whether ledger, summaries and aggregates are replayed, rather than records."""
        return keeps_ledger(self.sink)


def understood(
    settings: Settings,
    topic: str,
    start: str,
    end: str,
    sink: str,
    pipelines: tuple[Pipeline, ...],
) -> ReplayRequest:
    """The request that a command line's options make.

    Raises:
        JobError: lists all invalid options together.
    """
    faults: list[str] = []
    by_topic = {pipeline.topic(settings): pipeline for pipeline in pipelines}
    if topic not in by_topic:
        faults.append(
            f"--topic: no pipeline reads `{topic}`.{remedies.nearest(topic, by_topic)}"
            f" Valid: {', '.join(by_topic)}"
        )
    # The ledger and the summaries are in MongoDB whatever SINKS lists.
    sinks = tuple(dict.fromkeys((*settings.sinks, LEDGER_SINK)))
    if sink not in sinks:
        faults.append(_no_sink(sink, sinks, topic if topic in by_topic else None, settings))
    places: list[Place] = []
    for option, text in (("--from", start), ("--to", end)):
        try:
            places.append(parse_place(text))
        except ValueError:
            faults.append(
                f"{option}: invalid position `{text}`; valid: earliest, latest, an offset (120),"
                " offsets by partition (0:120,1:80), a time (2026-11-22T10:00:00Z)"
            )
    if len(places) == 2 and _is_reversed(*places):
        faults.append(f"--from `{start}` is after --to `{end}`")
    if faults:
        raise JobError("Nothing was replayed.\n" + "\n".join(f"  {fault}" for fault in faults))
    return ReplayRequest(by_topic[topic], places[0], places[1], sink)


def _no_sink(sink: str, sinks: tuple[str, ...], topic: str | None, settings: Settings) -> str:
    fault = f"--sink: `{sink}` is not in SINKS."
    if topic and sink in SINK_MODULES:
        wider = settings.model_copy(update={"sinks": (*settings.sinks, sink)})
        return f"{fault} To bring it up to date: `{remedies.replay(topic, sink, wider)}`"
    return f"{fault}{remedies.nearest(sink, sinks)} Valid: {', '.join(sinks)}"


def parse_place(text: str) -> Place:
    """The position that an option's value means.

    Raises:
        ValueError: it is not a position.
    """
    if text in {"earliest", "latest"}:
        return "earliest" if text == "earliest" else "latest"
    if text.isascii() and text.isdigit():
        return int(text)
    if BY_PARTITION.match(text):
        pairs = [tuple(map(int, pair.split(":"))) for pair in text.split(",")]
        if len({partition for partition, _ in pairs}) != len(pairs):
            raise ValueError
        return dict(pairs)  # type: ignore[arg-type]
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _is_reversed(start: Place, end: Place) -> bool:
    if isinstance(start, int) and isinstance(end, int):
        return start > end
    if isinstance(start, datetime) and isinstance(end, datetime):
        return start > end
    if isinstance(start, dict) and isinstance(end, dict):
        return any(offset > end.get(partition, offset) for partition, offset in start.items())
    return start == "latest" and end == "earliest"


def wanted_ranges(settings: Settings, request: ReplayRequest, on_broker: Ranges) -> Ranges:
    """The requested offsets, for each partition that both options cover.

    Args:
        settings: Where the broker is.
        request: The replay request.
        on_broker: Partition -> (first offset that the broker still has, offset after the last).

    Raises:
        JobError: the topic lacks a named partition.
    """
    topic = request.pipeline.topic(settings)
    start = _offsets(settings, topic, request.start, on_broker)
    end = _offsets(settings, topic, request.end, on_broker)
    if unknown := sorted({*start, *end} - set(on_broker)):
        names = ", ".join(map(str, unknown))
        raise JobError(
            f"The topic `{topic}` has no partition {names}; it has 0 to {max(on_broker)}."
            " Correct --from and --to."
        )
    both = sorted(start.keys() & end.keys())
    return {partition: (start[partition], end[partition]) for partition in both}


def _offsets(settings: Settings, topic: str, place: Place, on_broker: Ranges) -> dict[int, int]:
    if isinstance(place, dict):
        return place
    if isinstance(place, datetime):
        return _offsets_at(settings, topic, place, on_broker)
    if isinstance(place, int):
        return dict.fromkeys(on_broker, place)
    side = 0 if place == "earliest" else 1
    return {partition: offsets[side] for partition, offsets in on_broker.items()}


def _offsets_at(
    settings: Settings, topic: str, moment: datetime, on_broker: Ranges
) -> dict[int, int]:
    """The first offset of each partition whose message is not older; the end if all are older."""
    # Kafka gives negative timestamps other meanings.
    spec = OffsetSpec.for_timestamp(max(int(moment.timestamp() * 1000), 0))
    asked = {TopicPartition(topic, partition): spec for partition in on_broker}
    # The client must outlive its answers.
    admin = kafka_admin(settings)
    try:
        answers = admin.list_offsets(asked, request_timeout=ANSWER_SECONDS)
        found = {of.partition: offset_of(answer) for of, answer in answers.items()}
    except KafkaException as error:
        raise JobError(
            f"Kafka did not return the offsets of `{topic}` at a time: {error.args[0].name()}. See"
            " `make status`, or give offsets instead."
        ) from error
    return {p: offset if offset >= 0 else on_broker[p][1] for p, offset in found.items()}
