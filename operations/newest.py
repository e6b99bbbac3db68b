"""Reads the newest messages of topics across their partitions."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from itertools import groupby
from math import inf
from typing import Any

from operations.pipelines import read_topic, topic_offsets
from settings import Settings

# Not every offset holds a message: if too few do, this many times more are read.
GROWTH = 8


def newest_messages(settings: Settings, topics: Sequence[str], limit: int) -> list[Any]:
    """The `limit` newest messages of all the topics together, newest first.

    Raises:
        SinkUnavailable: the broker did not answer.
        JobError: there is no such topic, or the broker stopped answering.
    """
    found = [message for topic in topics for message in _tail(settings, topic, limit)]
    return by_arrival(found, time.time() * 1000)[:limit]


def _tail(settings: Settings, topic: str, limit: int) -> list[Any]:
    """The last `limit` messages of each partition, or all if it has fewer."""
    messages: list[Any] = []
    span = limit
    spans = [high - low for low, high in topic_offsets(settings, topic).values()]
    while True:
        messages = list(read_topic(settings, topic, span))
        held = [0] * len(spans)
        for message in messages:
            held[message.partition()] += 1
        if all(n >= limit or span >= whole for n, whole in zip(held, spans, strict=True)):
            return messages
        span *= GROWTH


def by_arrival(messages: Iterable[Any], now_ms: float) -> list[Any]:
    """Messages in order of arrival, newest first.

    Within a partition the offset gives the order, whatever the timestamps say. Across partitions
    the timestamp does. A timestamp that goes backwards or lies in the future is ignored: the
    message is placed with the next one of its partition whose timestamp is usable.
    """
    placed: list[tuple[float, int, Any]] = []
    in_order = sorted(messages, key=lambda m: (m.topic(), m.partition(), m.offset()))
    for _, group in groupby(in_order, key=lambda m: (m.topic(), m.partition())):
        known: list[tuple[float | None, Any]] = []
        latest = -inf
        for message in group:
            stamp = message.timestamp()[1]
            fits = latest <= stamp <= now_ms
            latest = stamp if fits else latest
            known.append((stamp if fits else None, message))
        rank = inf
        for stamp, message in reversed(known):
            rank = rank if stamp is None else stamp
            placed.append((rank, message.offset(), message))
    placed.sort(key=lambda place: place[:2], reverse=True)
    return [message for *_, message in placed]
