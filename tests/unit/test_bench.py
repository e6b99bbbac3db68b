"""What the benchmark makes of its measurements."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from operations.bench import jobs, long
from operations.bench.bench import in_turn, judge, series_limit
from operations.bench.pipelines import BenchError
from operations.bench.results import BenchRow, Results, bar_chart, worse_than
from operations.bench.sizes import Sizes
from operations.bench.workload import ID_PLACE, MAIN, SECOND, STORED, mixed, valid
from producers.processes import shares
from settings import Settings


def row(name: str, *values: float, unit: str = "rows/s", reference: str | None = None) -> BenchRow:
    return BenchRow(name, "group", unit, reference, list(values))


def results(*rows: BenchRow) -> Results:
    return Results("title", {"tickets": 1}, rows)


def test_ratio_is_of_medians_within_one_run() -> None:
    slow, fast = row("slow", 100, 120, 90), row("fast", 300, 200, 250, reference="slow")

    assert results(slow, fast).ratio(fast) == 2.5
    assert results(slow, fast).ratio(slow) is None
    assert results(fast).ratio(fast) is None


def test_variants_are_measured_in_turn_and_in_changing_order() -> None:
    order: list[str] = []

    def measure(name: str) -> float:
        order.append(name)
        return float(len(order))

    rows = in_turn(2, [(row(name), lambda name=name: measure(name)) for name in "AB"])

    assert order == ["A", "B", "B", "A"]
    assert [each.values for each in rows] == [[1, 4], [2, 3]]


def with_ratio(name: str, ratio: float, unit: str) -> dict[str, Any]:
    return {"rows": [{"name": name, "unit": unit, "ratio": ratio, "reference": "baseline"}]}


@pytest.mark.parametrize(
    ("unit", "before", "now", "expected"),
    [
        pytest.param("rows/s", 2.0, 1.7, ["16.7"], id="fewer rows by more than the tolerance"),
        pytest.param("rows/s", 2.0, 1.8, [], id="fewer rows by less"),
        pytest.param("rows/s", 2.0, 9.0, [], id="more rows"),
        pytest.param("s", 1.0, 1.2, ["20"], id="more seconds by more than the tolerance"),
        pytest.param("s", 1.0, 0.5, [], id="fewer seconds"),
    ],
)
def test_what_got_worse_by_more_than_15_percent_is_reported(
    unit: str, before: float, now: float, expected: list[str]
) -> None:
    found = worse_than(with_ratio("x", before, unit), with_ratio("x", now, unit))

    assert len(found) == len(expected)
    assert all(f"{now:.2f} of `baseline`, was {before:.2f}" in line for line in found)


def test_new_row_is_not_compared_and_missing_one_is_reported() -> None:
    found = worse_than(with_ratio("x", 2, "rows/s"), with_ratio("y", 1, "rows/s"))

    assert found == ["x: no longer measured"]


def without_ratio(median: float, unit: str) -> dict[str, Any]:
    alone = {"name": "x", "unit": unit, "median": median, "ratio": None, "reference": None}
    return {"rows": [alone]}


def test_seconds_and_megabytes_of_no_other_row_are_compared_as_they_are() -> None:
    slower = worse_than(without_ratio(1.0, "s"), without_ratio(1.5, "s"))

    assert slower == ["x: 1.50 s (on this machine), was 1.00 (50 % worse)"]
    assert worse_than(without_ratio(900, "MB"), without_ratio(1000, "MB")) == []
    assert worse_than(without_ratio(900, "rows/s"), without_ratio(100, "rows/s")) == []


def test_limit_of_parts_in_series_adds_their_times() -> None:
    parts = [
        row("read, parse, judge, deduplicate; to nothing", 30_000),
        row("cassandra tickets", 20_000),
        row("cassandra tickets_by_team", 60_000),
    ]

    # 1/30,000 + 1/20,000 + 1/60,000 = 1/10,000
    assert series_limit(parts, "limit").median == pytest.approx(10_000)


def test_aims_are_judged_by_ratios() -> None:
    verdicts = judge(
        results(
            row("ready bytes in a loop", 100),
            row("one process", 30),
            row("baseline", 10),
            row("plain Python consumer, two tables, no guarantees", 8),
            row("Kafka Connect, two tables, no guarantees", 7),
            row("whole pipeline, every guarantee", 14),
            row("whole pipeline, every guarantee, direct writer", 20),
            row("its parts in series, computed", 18),
            row("its parts in series, computed, direct writer", 30),
            row("profiles: whole pipeline", 7),
            row("latency at 200/s, p50", 1.5, unit="s"),
        )
    )

    assert [line.partition(":")[::2] for line in verdicts] == [
        ("NOT MET", " whole pipeline / baseline: 1.40, wanted 1.5 or more"),
        ("met", " whole pipeline, direct writer / baseline: 2.00, wanted 1.5 or more"),
        ("NOT MET", " whole pipeline / plain Python consumer: 1.75, wanted 2.0 or more"),
        ("met", " whole pipeline, direct writer / plain Python consumer: 2.50, wanted 2.5 or more"),
        ("met", " whole pipeline / Kafka Connect: 2.00, wanted 2.0 or more"),
        ("met", " whole pipeline, direct writer / Kafka Connect: 2.86, wanted 2.5 or more"),
        ("met", " whole pipeline / its parts in series: 0.78, wanted 0.75 or more"),
        ("NOT MET", " the same, direct writer: 0.67, wanted 0.75 or more"),
        ("met", " profiles / tickets: 0.50, wanted 0.5 or more"),
        ("NOT MET", " producer / ready bytes: 0.30, wanted 0.4 or more"),
        ("NOT MET", " latency at 200/s, p50: 1.50 s, wanted less than 1.0 s"),
    ]


def test_chart_is_an_image_with_a_bar_for_each_row() -> None:
    rows = [row("a < b", 10), row("c", 5), row("d", 2, unit="s")]

    image = ElementTree.fromstring(bar_chart("title", rows))  # noqa: S314 - our own text

    bars = image.findall("{http://www.w3.org/2000/svg}rect")[1:]
    assert [int(bar.attrib["width"]) for bar in bars] == [420, 210, 420]


def test_the_workload_is_of_the_pipelines_that_the_options_name() -> None:
    assert [*Sizes().records] == [MAIN.name, SECOND.name] == ["tickets", "profiles"]
    for pipeline, field in ((MAIN, "ticket_id"), (SECOND, "login")):
        assert all(field in json.loads(message.value) for message in mixed(pipeline, 3))


def test_a_probe_asks_for_the_id_of_its_message() -> None:
    (message,) = valid(1)

    assert message.value[ID_PLACE].decode() == json.loads(message.value)["ticket_id"]
    assert STORED == "SELECT ticket_id FROM support.tickets WHERE ticket_id = ?"


def test_a_measured_job_reads_a_topic_of_its_own(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    created: list[str] = []
    started: list[tuple[str, list[str], dict[str, str]]] = []

    def start(
        module: str, options: list[str], _log: Path, environment: dict[str, str]
    ) -> subprocess.Popen[bytes]:
        started.append((module, options, environment))
        return subprocess.Popen(["sleep", "60"])

    monkeypatch.setattr(jobs, "ensure_topics", lambda _, topics: created.extend(topics))
    monkeypatch.setattr(jobs, "empty_tables", lambda *_: None)
    monkeypatch.setattr(jobs, "start_module", start)

    with jobs.job_on(settings, "short", options=["--available-now"]) as job:
        (topic,) = created

    assert topic.startswith("bench-short-")
    assert job.settings.tickets_topic == topic
    ((module, options, environment),) = started
    assert (module, options) == ("spark_jobs.tickets", ["--available-now"])
    assert environment["TICKETS_TOPIC"] == topic
    assert not job.runs()


def test_long_run_of_less_than_two_batches_is_refused_before_anything_starts(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[str] = []
    monkeypatch.setattr(long, "own_settings", lambda own, *_, **__: own)
    monkeypatch.setattr(long, "ensure_jars", lambda *_: started.append("jars"))
    monkeypatch.setattr(long, "find_java", lambda *_: None)

    with pytest.raises(BenchError) as caught:
        long.bench_long(settings, 399_999)

    assert started == []
    assert str(caught.value) == (
        "A long run of 399999 records is too short: rates are measured from the end of the first"
        " batch, which holds 200000. Nothing was started. Ask for 400000 or more."
    )


def test_processes_share_a_count_evenly() -> None:
    assert shares(10, 3) == [4, 3, 3]
    assert shares(2, 3) == [1, 1, 0]


def test_the_installed_command_finds_the_baseline_wherever_it_is_called(tmp_path: Path) -> None:
    code = "from operations.bench.peers import peer_module as p; print(p('baseline').TABLE)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )

    assert (done.stdout, done.returncode) == ("tickets\n", 0), done.stderr
