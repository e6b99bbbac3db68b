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
from operations.overview.model import PipelineView, ServiceView

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
        overview = self._seen.overview if self._seen.trouble is None else None
        up = GaugeMetricFamily(
            "millrace_overview_up", "Whether services and ledger could be looked at."
        )
        up.add_metric([], float(overview is not None and not overview.troubles))
        yield up
        if overview is None:
            return
        yield from _of_services(overview.services)
        yield from _of_pipelines(overview.pipelines)
        if overview.proof:
            verified = GaugeMetricFamily(
                "millrace_proof_verified", "Whether the last `make verify` found nothing wrong."
            )
            verified.add_metric([], float(overview.proof.verified))
            ended = GaugeMetricFamily(
                "millrace_proof_timestamp_seconds", "When the last `make verify` ended."
            )
            ended.add_metric([], in_utc(overview.proof.ended_at).timestamp())
            yield from (verified, ended)


def _of_services(services: Iterable[ServiceView]) -> Iterator[Metric]:
    family = GaugeMetricFamily(
        "millrace_service_up", "Whether a service answers.", labels=["service"]
    )
    for service in services:
        family.add_metric([service.name], float(service.condition == "up"))
    yield family


def _of_pipelines(views: Iterable[PipelineView]) -> Iterator[Metric]:
    def gauge(name: str, text: str, *labels: str) -> GaugeMetricFamily:
        return GaugeMetricFamily(f"millrace_{name}", text, labels=["pipeline", *labels])

    messages = CounterMetricFamily(
        "millrace_messages", "Messages of confirmed batches.", labels=["pipeline", "outcome"]
    )
    letters = gauge("dead_letters", "Messages rejected for a reason.", "reason")
    lag = gauge("lag_messages", "Messages that no confirmed batch has read.", "partition")
    running = gauge("job_running", "Whether a job of the pipeline runs on this machine.")
    success = gauge("last_success_timestamp_seconds", "When the last batch was confirmed.")
    batch = gauge("last_batch_seconds", "Seconds of the last batch.")
    sinks = gauge("last_sink_seconds", "Seconds of the last batch's sinks.", "sink")
    for view in views:
        for outcome in OUTCOMES:
            messages.add_metric([view.name, outcome], getattr(view.counts, outcome))
        for reason, count in view.dead_letters.items():
            letters.add_metric([view.name, reason], count)
        for partition in view.partitions:
            lag.add_metric([view.name, str(partition.partition)], partition.lag)
        running.add_metric([view.name], float(view.job == "running"))
        if last := view.last_batch:
            success.add_metric([view.name], in_utc(last.confirmed_at).timestamp())
            if last.seconds is not None:
                batch.add_metric([view.name], last.seconds)
            for sink, seconds in last.sink_seconds.items():
                sinks.add_metric([view.name, sink], seconds)
    yield from (messages, letters, lag, running, success, batch, sinks)
