"""What a job serves on METRICS_PORT, read as Prometheus reads it."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from errors import JobError, SinkUnavailable
from settings import Settings
from spark_jobs.run import command
from spark_jobs.run.metrics import JobMetrics, served_metrics
from spark_jobs.state.clock import Moment
from spark_jobs.state.ledger import Counts, Entry
from spark_jobs.tickets import TICKETS
from tests.conftest import free_ports

MORNING = datetime(2026, 11, 28, 8, tzinfo=UTC)
Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def entry(batch_id: int, until: int, counts: Counts, **more: Any) -> Entry:
    offsets = {0: (0, until), 1: (0, 5)}
    sinks = ("cassandra", "files")
    return Entry("orders", "orders-in", "q", batch_id, offsets, counts, sinks, **more)


FIRST = entry(0, 10, Counts(read=15, stored=15), moment=Moment(MORNING, "b", 1.0))
SECOND = entry(
    1,
    30,
    Counts(read=20, stored=12, dead_lettered=3, filtered=4, duplicates=1),
    seconds=2.0,
    sink_seconds={"cassandra": 0.75, "files": 0.2},
)


@pytest.fixture(autouse=True)
def broker(monkeypatch: pytest.MonkeyPatch) -> dict[str, dict[int, tuple[int, int]]]:
    """Offsets on the broker; empty it to let the broker be away."""
    offsets = {"orders-in": {0: (0, 40), 1: (7, 9)}}

    def answer(admin: Any, settings: Settings, topics: list[str]) -> Any:
        if not offsets:
            raise SinkUnavailable("away")
        return {topic: offsets[topic] for topic in topics}

    monkeypatch.setattr("spark_jobs.run.metrics.offsets_of", answer)
    return offsets


@pytest.fixture
def port() -> int:
    (port,) = free_ports(1)
    return port


@pytest.fixture
def metrics(settings: Settings, port: int) -> Iterator[JobMetrics]:
    with served_metrics(settings.model_copy(update={"metrics_port": port})) as (watcher,):
        assert isinstance(watcher, JobMetrics)
        yield watcher


def get(port: int, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def scraped(port: int) -> Samples:
    code, text = get(port, "/metrics")
    assert code == 200
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def value(found: Samples, name: str, **labels: str) -> float:
    return found[f"millrace_{name}", frozenset({"pipeline": "orders", **labels}.items())]


def test_metrics_count_messages_batches_sinks_and_retries(metrics: JobMetrics, port: int) -> None:
    metrics.started("orders", "orders-in", FIRST)
    metrics.not_written("orders", "files")
    metrics.confirmed(SECOND)

    found = scraped(port)

    for outcome, number in {
        "stored": 12,
        "dead_lettered": 3,
        "filtered": 4,
        "duplicates": 1,
    }.items():
        assert value(found, "messages_total", outcome=outcome) == number
    assert value(found, "batch_seconds_sum") == 2.0
    assert value(found, "batch_seconds_count") == 1
    assert value(found, "sink_seconds_sum", sink="cassandra") == 0.75
    assert value(found, "sink_seconds_bucket", sink="files", le="0.25") == 1
    assert value(found, "sink_retries_total", sink="files") == 1
    assert value(found, "sink_retries_total", sink="cassandra") == 0
    assert value(found, "lag_messages", partition="0") == 10
    # Offsets 5 and 6 have expired.
    assert value(found, "lag_messages", partition="1") == 2
    assert value(found, "last_success_timestamp_seconds") > MORNING.timestamp()


def test_job_that_has_confirmed_nothing_yet_shows_zeros_and_the_age_of_its_last_batch(
    metrics: JobMetrics, port: int
) -> None:
    metrics.started("orders", "orders-in", FIRST)

    found = scraped(port)

    assert value(found, "messages_total", outcome="stored") == 0
    assert value(found, "last_success_timestamp_seconds") == MORNING.timestamp()
    assert value(found, "lag_messages", partition="0") == 30


def test_lag_is_absent_rather_than_wrong_while_the_broker_is_away(
    metrics: JobMetrics, port: int, broker: dict[str, Any]
) -> None:
    metrics.started("orders", "orders-in", FIRST)
    broker.clear()

    names = {name for name, _ in scraped(port)}

    assert "millrace_lag_messages" not in names
    assert "millrace_messages_total" in names


def test_lag_of_a_topic_that_was_made_again_is_absent_and_never_negative(
    metrics: JobMetrics, port: int, broker: dict[str, Any]
) -> None:
    metrics.started("orders", "orders-in", FIRST)
    # 10 offsets of partition 0 are confirmed, and 5 of partition 1.
    broker["orders-in"] = {0: (0, 4), 1: (0, 9)}

    found = scraped(port)

    assert value(found, "lag_messages", partition="1") == 4
    assert (
        "millrace_lag_messages",
        frozenset({("pipeline", "orders"), ("partition", "0")}),
    ) not in found


def test_health_names_the_stores_that_the_job_waits_for(metrics: JobMetrics, port: int) -> None:
    away = ["MongoDB", "Cassandra"]
    code, answer = get(port, "/healthz")
    assert (code, json.loads(answer)) == (503, {"status": "starting", "down": []})

    metrics.waits_for(lambda: away)
    code, answer = get(port, "/healthz")
    assert (code, json.loads(answer)["down"]) == (503, ["Cassandra", "MongoDB"])

    away.clear()
    assert get(port, "/healthz") == (200, '{"status": "ok", "down": []}\n')
    assert get(port, "/")[0] == 404


def test_port_that_is_taken_is_refused_with_its_setting(
    metrics: JobMetrics, settings: Settings, port: int
) -> None:
    taken = settings.model_copy(update={"metrics_port": port})

    with pytest.raises(JobError, match=f"METRICS_PORT={port}: .*in use.*Nothing was started"):
        served_metrics(taken).__enter__()


def test_nothing_is_served_without_a_port(settings: Settings) -> None:
    with served_metrics(settings) as watchers:
        assert watchers == []


def test_port_is_open_before_the_stores_are_asked(
    settings: Settings, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The probes of Kubernetes that restart a job ask for no more than the open port."""
    monkeypatch.setenv("MILLRACE_HOME", str(settings.millrace_home))
    monkeypatch.setenv("METRICS_PORT", str(port))
    answers = []

    def ask_stores(*_: object) -> None:
        answers.append(get(port, "/healthz"))
        raise JobError("no store answers")

    monkeypatch.setattr(command, "start_logging", lambda *_: None)
    monkeypatch.setattr(command, "check_pipelines", ask_stores)

    assert command.main([TICKETS], ["--available-now"]) == 1
    assert answers == [(503, '{"status": "starting", "down": []}\n')]
