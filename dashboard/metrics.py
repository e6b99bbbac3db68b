"""`/metrics`: what an overview says, for Prometheus.

Names and labels are those of a job's own `/metrics` where both know a number.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from dashboard.figures import in_utc
from dashboard.flow import OUTCOMES
from dashboard.latest import Seen
from operations.overview.model import Overview

TEXT: Final = "text/plain; version=0.0.4; charset=utf-8"


def metrics_text(seen: Seen) -> bytes:
    """The metrics of an overview; only `millrace_overview_up` if there is none."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Families(seen))
    return generate_latest(registry)


class _Families(Collector):
    def __init__(self, seen: Seen) -> None:
        self._seen = seen

    def collect(self) -> Iterable[Metric]:
        overview = None if self._seen.trouble else self._seen.overview
        is_up = overview is not None and not overview.troubles
        text = "Whether services and ledger could be looked at."
        yield _gauge("overview_up", text, value=is_up)
        if overview is None:
            return
        services = _gauge("service_up", "Whether a service answers.", "service")
        for service in overview.services:
            services.add_metric([service.name], float(service.condition == "up"))
        yield services
        yield from _of_pipelines(overview)
        if proof := overview.proof:
            text = "Whether the last `make verify` found nothing wrong."
            yield _gauge("proof_verified", text, value=proof.verified)
            ended = in_utc(proof.ended_at).timestamp()
            text = "When the last `make verify` ended."
            yield _gauge("proof_timestamp_seconds", text, value=ended)


def _gauge(name: str, text: str, *labels: str, value: float | None = None) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"millrace_{name}", text, value, labels=labels or None)


def _of_pipelines(overview: Overview) -> Iterator[Metric]:
    messages = CounterMetricFamily(
        "millrace_messages", "Messages of confirmed batches.", labels=["pipeline", "outcome"]
    )
    letters = _gauge("dead_letters", "Messages rejected for a reason.", "pipeline", "reason")
    text = "Messages that no confirmed batch has read."
    lag = _gauge("lag_messages", text, "pipeline", "partition")
    text = "Whether a job of the pipeline runs on this machine."
    running = _gauge("job_running", text, "pipeline")
    text = "When the last batch was confirmed."
    success = _gauge("last_success_timestamp_seconds", text, "pipeline")
    batch = _gauge("last_batch_seconds", "Seconds of the last batch.", "pipeline")
    sinks = _gauge("last_sink_seconds", "Seconds of the last batch's sinks.", "pipeline", "sink")
    for view in overview.pipelines:
        name, last = view.name, view.last_batch
        # A ledger that could not be read yet is unknown: after zeros its sums would look like
        # messages that came all at once.
        for outcome in OUTCOMES if last or not overview.troubles else ():
            messages.add_metric([name, outcome], getattr(view.counts, outcome))
        for reason, count in view.dead_letters.items():
            letters.add_metric([name, reason], count)
        for partition in view.partitions:
            if partition.lag is not None:
                lag.add_metric([name, str(partition.partition)], partition.lag)
        running.add_metric([name], float(view.job == "running"))
        if last:
            success.add_metric([name], in_utc(last.confirmed_at).timestamp())
            if last.seconds is not None:
                batch.add_metric([name], last.seconds)
            for sink, seconds in last.sink_seconds.items():
                sinks.add_metric([name, sink], seconds)
    yield from (messages, letters, lag, running, success, batch, sinks)
