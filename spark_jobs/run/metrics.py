"""A job's own `/metrics` for Prometheus and `/healthz`, on METRICS_PORT.

Counters count since the job's start. Labels are names of pipelines, sinks, partitions and outcomes,
never a record's value.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from threading import Thread
from typing import Any, Final
from wsgiref.simple_server import WSGIRequestHandler, make_server

from confluent_kafka import KafkaException
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    make_wsgi_app,
)
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import ThreadingWSGIServer
from prometheus_client.registry import Collector

from errors import JobError, MillraceError
from settings import Settings
from spark_jobs.run.watching import Watcher
from spark_jobs.sources.broker import kafka_admin
from spark_jobs.sources.offsets import offsets_of
from spark_jobs.state.ledger import Entry

OUTCOMES: Final = ("stored", "dead_lettered", "filtered", "duplicates")
# From a quick sink to a batch that waits for a store.
BUCKETS: Final = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)
BROKER_SECONDS: Final = 3.0


class JobMetrics(Watcher):
    """Counts what a job does.

    Attributes:
        registry: What `/metrics` shows.
        down: The stores that the job waits for; None before its queries run.
    """

    def __init__(self, settings: Settings) -> None:
        """Begin at zero."""
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = CollectorRegistry()
        self.down: Callable[[], Sequence[str]] | None = None
        of_pipeline, of_sink, of_outcome = (
            ["pipeline"],
            ["pipeline", "sink"],
            ["pipeline", "outcome"],
        )
        here: dict[str, Any] = {"registry": self.registry}
        self._messages = Counter(
            "millrace_messages", "Messages of confirmed batches by outcome.", of_outcome, **here
        )
        self._retries = Counter(
            "millrace_sink_retries",
            "Batches that a sink did not confirm and that are tried again.",
            of_sink,
            **here,
        )
        self._success = Gauge(
            "millrace_last_success_timestamp_seconds",
            "When the last batch was confirmed.",
            of_pipeline,
            **here,
        )
        text = "From a batch's start to its entry in the ledger."
        here["buckets"] = BUCKETS
        self._batches = Histogram("millrace_batch_seconds", text, of_pipeline, **here)
        text = "Writing a batch to a sink."
        self._sinks = Histogram("millrace_sink_seconds", text, of_sink, **here)
        self._lag = _Lag(settings)
        self.registry.register(self._lag)

    def started(self, pipeline: str, topic: str, last: Entry | None) -> None:
        """Show the pipeline with zeros, and the age of its last batch."""
        for outcome in OUTCOMES:
            self._messages.labels(pipeline, outcome)
        self._batches.labels(pipeline)
        if last is not None and last.moment is not None:
            self._success.labels(pipeline).set(last.moment.wall.timestamp())
        self._lag.note(pipeline, topic, last)

    def confirmed(self, entry: Entry) -> None:
        """Count a batch."""
        for outcome in OUTCOMES:
            self._messages.labels(entry.pipeline, outcome).inc(getattr(entry.counts, outcome))
        if entry.seconds is not None:
            self._batches.labels(entry.pipeline).observe(entry.seconds)
        for sink, seconds in entry.sink_seconds.items():
            self._sinks.labels(entry.pipeline, sink).observe(seconds)
            self._retries.labels(entry.pipeline, sink)
        self._success.labels(entry.pipeline).set(time.time())
        self._lag.note(entry.pipeline, entry.topic, entry)

    def not_written(self, pipeline: str, sink: str) -> None:
        """Count a retry."""
        self._retries.labels(pipeline, sink).inc()

    def waits_for(self, stores: Callable[[], Sequence[str]]) -> None:
        """Remember what tells whether the job is well."""
        self.down = stores

    def health(self) -> tuple[bool, dict[str, Any]]:
        """Whether the job is well, and what `/healthz` answers."""
        if self.down is None:
            return False, {"status": "starting", "down": []}
        down = sorted(self.down())
        return not down, {"status": "waiting" if down else "ok", "down": down}


class _Lag(Collector):
    """Messages that are not confirmed, asked of the broker when the metrics are read."""

    def __init__(self, settings: Settings) -> None:
        patience = min(settings.kafka_connect_timeout_seconds, BROKER_SECONDS)
        self._settings = settings.model_copy(update={"kafka_connect_timeout_seconds": patience})
        self._confirmed: dict[str, tuple[str, dict[int, int]]] = {}
        self._admin = kafka_admin(self._settings)

    def note(self, pipeline: str, topic: str, last: Entry | None) -> None:
        ends = {p: end for p, (_, end) in last.offsets.items()} if last else {}
        self._confirmed[pipeline] = (topic, ends)

    def describe(self) -> Iterable[Metric]:
        # Or else registering would ask the broker.
        return []

    def collect(self) -> Iterator[Metric]:
        lag = GaugeMetricFamily(
            "millrace_lag_messages",
            "Messages on the topic that no confirmed batch has.",
            labels=["pipeline", "partition"],
        )
        known = dict(self._confirmed)
        topics = sorted({topic for topic, _ in known.values()})
        try:
            offsets = offsets_of(self._admin, self._settings, topics) if topics else {}
        except (MillraceError, KafkaException):
            return  # absent rather than wrong, while the broker does not answer
        for pipeline, (topic, ends) in known.items():
            for partition, (first, end) in offsets.get(topic, {}).items():
                waiting = end - max(ends.get(partition, 0), first)
                # Of a topic that was made again it is unknown.
                if waiting >= 0:
                    lag.add_metric([pipeline, str(partition)], waiting)
        yield lag


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Log no request."""


@contextmanager
def served_metrics(settings: Settings) -> Iterator[list[Watcher]]:
    """Serve a job's metrics within the block; yields their watcher, none without METRICS_PORT.

    Raises:
        JobError: the port cannot be opened.
    """
    if settings.metrics_port is None:
        yield []
        return
    metrics = JobMetrics(settings)
    host, port = settings.metrics_host, settings.metrics_port
    try:
        server = make_server(host, port, _app(metrics), ThreadingWSGIServer, _Quiet)
    except OSError as error:
        raise JobError(
            f"METRICS_PORT={port}: {host}:{port} cannot be opened ({error.strerror}). Give each job"
            " a port of its own, or none. Nothing was started."
        ) from error
    with server:
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield [metrics]
        finally:
            server.shutdown()
            thread.join()


def _app(metrics: JobMetrics) -> Callable[..., Iterable[bytes]]:
    show_metrics = make_wsgi_app(metrics.registry)

    def answer(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        if path == "/metrics":
            return list(show_metrics(environ, start))
        if path == "/healthz":
            is_well, found = metrics.health()
            status = "200 OK" if is_well else "503 Service Unavailable"
            start(status, [("Content-Type", "application/json")])
            return [f"{json.dumps(found)}\n".encode()]
        start("404 Not Found", [("Content-Type", "text/plain")])
        return [b"There are /metrics and /healthz.\n"]

    return answer
