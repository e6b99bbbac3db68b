"""Alert rules and Grafana's dashboard, over what the dashboard and a job really serve.

Prometheus' own promtool (Debian: package prometheus) evaluates every query.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from dashboard.latest import Seen
from dashboard.metrics import metrics_text
from operations.overview.model import (
    BatchView,
    Overview,
    PartitionView,
    PipelineView,
    ProofView,
    ServiceView,
)
from settings import PROJECT_ROOT, Settings
from spark_jobs.run.metrics import JobMetrics
from spark_jobs.state.ledger import Counts, Entry

FOLDER = PROJECT_ROOT / "docker" / "monitoring"
ALERTS = FOLDER / "alerts.yaml"
RULES = yaml.safe_load(ALERTS.read_text())["groups"][0]["rules"]
BOARD = json.loads((FOLDER / "grafana-dashboard.json").read_text())
DATASOURCE = yaml.safe_load((FOLDER / "grafana-datasource.yaml").read_text())["datasources"][0]
PROMTOOL = shutil.which("promtool")
with_promtool = pytest.mark.skipif(
    PROMTOOL is None,
    reason="there is no `promtool` on PATH (Debian, Ubuntu: apt-get install prometheus); the"
    " queries were not evaluated",
)
# Scrapes are 15 seconds apart, over 20 minutes: numbers grow from the first to the last one.
STEPS, EVERY = 80, 15
END = STEPS * EVERY
ALL_PIPELINES = ".*"
Samples = dict[str, float]


def at(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def overview(stored: int, dead: int, lag: int, success: int, **changes: Any) -> Overview:
    counts = Counts(stored + dead, stored, dead, reasons={"missing_country": dead})
    batch = BatchView("orders", 1, at(success), counts, 2.0, {"cassandra": 0.75})
    parts = tuple(PartitionView("orders", p, 0, 10_000_000, 10_000_000 - lag) for p in range(2))
    letters = {"missing_country": dead}
    view = PipelineView("orders", "orders", "orders", "running", counts, (batch,), letters, parts)
    services = (ServiceView("kafka", "up", None, None), ServiceView("cassandra", "up", None, None))
    whole = Overview(at(0), services, (view,), ProofView(at(0), True))
    return replace(whole, **changes)


def samples(text: str, job: str) -> Samples:
    """The series of a scrape with the label that Prometheus adds, and their values."""
    return {
        _series(sample.name, {**sample.labels, "job": job}): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    } | {_series("up", {"job": job}): 1.0}


def _series(name: str, labels: Mapping[str, str]) -> str:
    inside = ",".join(f'{key}="{value}"' for key, value in sorted(labels.items()))
    return f"{name}{{{inside}}}"


def of_dashboard(seen: Overview) -> Samples:
    return samples(metrics_text(Seen(seen)).decode(), "millrace-dashboard")


def of_job(settings: Settings, batches: int, retries: int) -> Samples:
    """What a job serves after so many batches of two seconds and so many repeated writes."""
    metrics = JobMetrics(settings)
    metrics.started("orders", "orders", None)
    entry = Entry(
        "orders", "orders", "q", 1, {}, Counts(1, 1), ("cassandra",), seconds=2.0,
        sink_seconds={"cassandra": 0.75},
    )  # fmt: skip
    metrics.confirmed(replace(entry, counts=Counts()))
    for _ in range(batches):
        metrics.confirmed(entry)
    for _ in range(retries):
        metrics.not_written("orders", "cassandra")
    return samples(generate_latest(metrics.registry).decode(), "millrace-jobs")


@pytest.fixture(autouse=True)
def no_broker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("spark_jobs.run.metrics.offsets_of", lambda *_: {"orders": {0: (0, 7)}})


def evaluate(folder: Path, first: Samples, last: Samples, expected: Mapping[str, Samples]) -> str:
    """What promtool says of queries at the end of a growth from one scrape to another."""
    series = [
        {"series": name, "values": f"{value}{(last[name] - value) / STEPS:+}x{STEPS}"}
        for name, value in first.items()
    ]
    tests = [
        {
            "expr": query,
            "eval_time": f"{END}s",
            "exp_samples": [{"labels": name, "value": n} for name, n in found.items()],
        }
        for query, found in expected.items()
    ]
    (folder / "alerts.yaml").write_text(ALERTS.read_text())
    (folder / "test.yaml").write_text(
        yaml.safe_dump(
            {
                "rule_files": ["alerts.yaml"],
                "evaluation_interval": f"{EVERY}s",
                "tests": [
                    {
                        "interval": f"{EVERY}s",
                        "input_series": series,
                        "promql_expr_test": tests,
                    }
                ],
            }
        )
    )
    command = [str(PROMTOOL), "test", "rules", str(folder / "test.yaml")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    return "" if done.returncode == 0 else done.stdout + done.stderr


def queries() -> dict[str, list[str]]:
    """Title of a panel -> its queries, for all pipelines."""
    return {
        panel["title"]: [
            target["expr"].replace("$pipeline", ALL_PIPELINES) for target in panel["targets"]
        ]
        for panel in BOARD["panels"]
    }


# Panel -> what each of its queries gives: in 20 minutes 1,200 records were stored and 75 messages
# rejected, 80 batches took two seconds each, and a sink had to be asked again 20 times.
PANELS: Mapping[str, list[Samples]] = {
    "Services": [{'{service="kafka"}': 1, '{service="cassandra"}': 1}],
    "Last proof": [{"{}": 1}],
    "Since the last batch": [{'{pipeline="orders"}': 60}],
    "Messages per second": [{'{pipeline="orders"}': 1.0625}],
    "Waiting messages": [{'{pipeline="orders"}': 40}],
    "Outcomes per second": [
        {
            '{outcome="stored"}': 1,
            '{outcome="dead_lettered"}': 0.0625,
            '{outcome="filtered"}': 0,
            '{outcome="duplicates"}': 0,
        }
    ],
    "Dead letters by reason": [{'{pipeline="orders", reason="missing_country"}': 75}],
    # Two seconds lie between the bounds 1 and 2.5.
    "Seconds per batch": [{'{pipeline="orders"}': 1.75}, {'{pipeline="orders"}': 2.425}],
    "Mean seconds by sink": [{'{pipeline="orders", sink="cassandra"}': 0.75}],
    "Repeated writes to sinks": [{'{pipeline="orders", sink="cassandra"}': 5}],
    "Waiting messages by partition": [
        {
            '{pipeline="orders", partition="0"}': 20,
            '{pipeline="orders", partition="1"}': 20,
        }
    ],
}


@with_promtool
def test_every_panel_shows_what_was_scraped(tmp_path: Path, settings: Settings) -> None:
    first = of_dashboard(overview(1_000, 0, 200, 0)) | of_job(settings, 0, 0)
    last = of_dashboard(overview(2_200, 75, 20, END - 60)) | of_job(settings, 80, 20)
    # A series that only the last scrape has began at zero.
    first = dict.fromkeys(last, 0.0) | first
    expected = {
        query: found
        for title, results in PANELS.items()
        for query, found in zip(queries()[title], results, strict=True)
    }

    assert set(PANELS) == set(queries())
    assert evaluate(tmp_path, first, last, expected) == ""
    # And it would notice another number.
    wrong = {queries()["Waiting messages"][0]: {'{pipeline="orders"}': 41.0}}
    assert "4.1E+01" in evaluate(tmp_path, first, last, wrong)


def firing(names: Iterable[str]) -> dict[str, Samples]:
    query = 'count by (alertname) (ALERTS{alertstate="firing"})'
    return {query: {f'{{alertname="{name}"}}': 1 for name in names}}


@with_promtool
def test_no_alert_fires_while_all_is_well(tmp_path: Path, settings: Settings) -> None:
    first = of_dashboard(overview(1_000, 0, 200, 0)) | of_job(settings, 0, 0)
    last = of_dashboard(overview(2_200, 12, 20, END - 60)) | of_job(settings, 80, 0)

    assert evaluate(tmp_path, dict.fromkeys(last, 0.0) | first, last, firing([])) == ""


@with_promtool
def test_a_pipeline_without_any_batch_stalls_too(tmp_path: Path) -> None:
    seen = overview(0, 0, 20, 0)
    (waiting,) = seen.pipelines
    scrape = of_dashboard(replace(seen, pipelines=(replace(waiting, history=()),)))

    assert evaluate(tmp_path, scrape, scrape, firing(["MillraceStalled"])) == ""


@with_promtool
def test_every_alert_fires_when_what_it_watches_goes_wrong(
    tmp_path: Path, settings: Settings
) -> None:
    wrong: dict[str, Any] = {
        "proof": ProofView(at(0), False, ("a difference",)),
        "troubles": ("cassandra is down.",),
        "services": (
            ServiceView("kafka", "up", None, None),
            ServiceView("cassandra", "down", None, None),
        ),
    }
    first = of_dashboard(overview(1_000, 0, 6_000, 100, **wrong)) | of_job(settings, 0, 0)
    last = of_dashboard(overview(2_000, 250, 90_000, 100, **wrong)) | of_job(settings, 1, 16)
    names = [rule["alert"] for rule in RULES]

    assert len(names) == 7
    result = evaluate(tmp_path, dict.fromkeys(last, 0.0) | first, last, firing(names))
    assert result == ""


def test_queries_name_only_metrics_and_labels_that_are_served(settings: Settings) -> None:
    served = of_dashboard(overview(1, 1, 1, 1)) | of_job(settings, 1, 1)
    names = {series.partition("{")[0] for series in served}
    labels = {label for series in served for label in re.findall(r'(\w+)="', series)}
    texts = [query for each in queries().values() for query in each]
    texts += [rule["expr"] for rule in RULES]

    used = {name for text in texts for name in re.findall(r"\bmillrace_\w+", text)}
    assert len(used) > 8
    assert used - names == set()
    matched = {label for text in texts for label in re.findall(r"(\w+)=~?\"", text)}
    assert matched - labels == set()


def test_grafana_reads_the_prometheus_that_scrapes_the_dashboard_and_the_jobs() -> None:
    services = yaml.safe_load((PROJECT_ROOT / "docker" / "compose.yaml").read_text())["services"]
    config = yaml.safe_load((FOLDER / "prometheus.yaml").read_text())
    dashboard, jobs = config["scrape_configs"]
    asked = {
        each.get("datasource", {}).get("uid")
        for panel in BOARD["panels"]
        for each in (panel, *panel["targets"])
    }

    assert asked == {DATASOURCE["uid"]}
    assert DATASOURCE["url"] == "http://prometheus:9090"
    assert dashboard["static_configs"] == [{"targets": ["dashboard:8484"]}]
    assert dashboard["basic_auth"]["password_file"] == "/run/secrets/dashboard_password"
    assert "dashboard_password" in services["prometheus"]["secrets"]
    assert services["dashboard"]["environment"]["DASHBOARD_HOST"] == "0.0.0.0"  # noqa: S104
    (found,) = jobs["dns_sd_configs"]
    named = [name for name in services if name.startswith("job-")]
    assert found["names"] == named
    ports = {services[name]["environment"]["METRICS_PORT"] for name in named}
    assert ports == {str(found["port"])}
    assert config["rule_files"] == ["alerts.yaml"]
    for name in ("dashboard", "prometheus", "grafana"):
        assert services[name]["profiles"] == ["monitoring"]


@with_promtool
def test_configuration_and_rules_are_what_prometheus_accepts() -> None:
    for check in (
        ["check", "config", "--syntax-only", str(FOLDER / "prometheus.yaml")],
        ["check", "rules", str(ALERTS)],
    ):
        done = subprocess.run(
            [str(PROMTOOL), *check], capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
