"""The load of a benchmark: fills topics once, and measures how fast producers are."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from confluent_kafka import Producer

from operations.bench.workload import MAIN, SEED, mixed, valid
from operations.pipelines import topic_offsets
from producers.client import TUNING
from producers.delivery import Delivery
from runtime.config.topic_names import dead_letter_topic
from settings import PROJECT_ROOT, Settings
from spark_jobs.pipeline import Pipeline
from spark_jobs.sources.kafka import OffsetRanges
from spark_jobs.sources.topics import delete_topics, ensure_topics
from spark_jobs.state.offset_ranges import width

READY_MESSAGES = 20_000


@dataclass
class Topics:
    """The pipelines' topics, filled once."""

    settings: Settings
    _ranges: dict[str, OffsetRanges] = field(default_factory=dict)

    def fill(self, pipeline: Pipeline, count: int) -> None:
        """Put records of every kind on a pipeline's topic."""
        topic = pipeline.topic(self.settings)
        delivery = Delivery(self.settings, topic)
        delivery.connect()
        delivery.send_all(mixed(pipeline, count))
        delivery.close()
        self._ranges[pipeline.name] = topic_offsets(self.settings, topic)

    def ranges(self, pipeline: Pipeline) -> OffsetRanges:
        """The offsets of a pipeline's topic."""
        return self._ranges[pipeline.name]

    def records(self, pipeline: Pipeline) -> int:
        """Number of messages on a pipeline's topic."""
        return width(self._ranges[pipeline.name])


def produce_ready_bytes(settings: Settings, count: int) -> float:
    """The ceiling in messages per second: prepared bytes, sent in a bare loop."""
    ready = [(m.key, m.value) for m in valid(min(count, READY_MESSAGES))]
    with _own_topic(settings, "ready") as topic:
        producer = Producer({**TUNING, **settings.kafka_client_options()})
        rounds = max(1, count // len(ready))
        started = time.monotonic()
        for _ in range(rounds):
            for number, (key, value) in enumerate(ready):
                while True:
                    try:
                        producer.produce(topic, value, key)
                        break
                    except BufferError:
                        producer.poll(0.1)
                if not number % 1024:
                    producer.poll(0)
        producer.flush()
        seconds = time.monotonic() - started
        # A callback per delivery would distort the measurement.
        delivered = width(topic_offsets(settings, topic))
    if delivered != rounds * len(ready):
        raise RuntimeError(f"Of {rounds * len(ready)} messages {delivered} were delivered.")
    return delivered / seconds


def produce(settings: Settings, count: int) -> float:
    """Messages per second of the main pipeline's producer in one process, generation included."""
    with _own_topic(settings, "produced") as topic:
        started = time.monotonic()
        delivery = Delivery(settings, topic)
        delivery.connect()
        delivery.send_all(valid(count))
        delivery.close()
        return count / (time.monotonic() - started)


def produce_by_command(settings: Settings, count: int, processes: int = 2) -> float:
    """Messages per second of that producer's command, including its start."""
    with _own_topic(settings, f"produced-{processes}") as topic:
        words = ["--count", str(count), "--rate", "0", "--topic", topic, "--seed", str(SEED)]
        started = time.monotonic()
        subprocess.run(
            [sys.executable, "-m", MAIN.input.module, *words, "--processes", str(processes)],
            cwd=PROJECT_ROOT,
            capture_output=True,
            check=True,
        )
        return count / (time.monotonic() - started)


@contextmanager
def _own_topic(settings: Settings, name: str) -> Iterator[str]:
    """A topic that is deleted afterwards."""
    topic = f"bench-{name}-{time.monotonic_ns()}"
    ensure_topics(settings, [topic])
    try:
        yield topic
    finally:
        delete_topics(settings, [topic, dead_letter_topic(topic)])
