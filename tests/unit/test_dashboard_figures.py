"""How the dashboard draws and writes numbers, and what of it comes from elsewhere."""

from __future__ import annotations

import json
import tomllib
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from dashboard import figures, flow
from dashboard.source import Bar, Chart
from dashboard.templating import STATIC, templates
from dashboard.views import chart_values, history_values, reasons_of
from operations.overview.model import BatchView, PipelineView
from settings import PROJECT_ROOT
from spark_jobs.state.ledger import Counts
from tests.support.dashboard_source import BY_COUNTRY, NOW, batches
from tests.support.vendored import VENDORED

COUNTS = Counts(1_000, 700, 200, 100, 0, alerts=7)


@pytest.mark.parametrize("size", [flow.WIDE, flow.NARROW], ids=["wide", "narrow"])
def test_streams_are_as_thick_as_their_numbers_and_leave_no_gap(size: flow.Size) -> None:
    drawn = flow.picture(COUNTS, size)
    stored, letters, filtered, duplicates = drawn.streams

    thick = {each.outcome: each.height for each in drawn.streams}
    assert thick["stored"] == pytest.approx(size.stream * 0.7, abs=0.1)
    assert thick["dead_lettered"] == pytest.approx(size.stream * 0.2, abs=0.1)
    assert sum(thick.values()) == pytest.approx(drawn.inlet_height, abs=0.2)
    assert [each.share for each in drawn.streams] == ["70.0 %", "20.0 %", "10.0 %", "0 %"]
    assert stored.note == "7 of them alerts"
    assert (duplicates.path, duplicates.height) == ("", 0)
    assert drawn.missing == 0
    # Each stream begins where the one above it ends, and no name lies over another.
    begins = [float(each.path.split("C")[0].split()[1]) for each in (stored, letters, filtered)]
    assert begins[1] - begins[0] == pytest.approx(stored.height, abs=0.1)
    assert begins[2] - begins[1] == pytest.approx(letters.height, abs=0.1)
    places = [each.text for each in drawn.streams]
    assert all(low - high >= 40 for high, low in pairwise(places))
    assert places[-1] + 20 <= drawn.height


def test_one_message_in_a_million_can_be_seen() -> None:
    drawn = flow.picture(Counts(1_000_001, 1_000_000, 1), flow.WIDE)

    assert drawn.streams[1].height == flow.THINNEST
    assert drawn.streams[1].share == "<0.1 %"
    assert drawn.streams[0].share == ">99.9 %"


def test_counts_that_do_not_add_up_are_seen() -> None:
    assert flow.picture(Counts(10, 7, 1), flow.WIDE).missing == 2
    assert flow.picture(Counts(10, 12), flow.WIDE).missing == -2
    assert flow.picture(Counts(), flow.WIDE).missing == 0


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"), (0, "0"), (1_234_567, "1,234,567"), (41.5, "41.50"), (3.0, "3"),
        (Decimal("1234.5"), "1,234.50"), (Decimal("18.00"), "18"), ("2026", "2026"), (True, "True"),
        (-5, "-5"), (float("inf"), "inf"), (Decimal("NaN"), "NaN"),
    ],
)  # fmt: skip
def test_numbers_are_written_with_their_thousands_apart(value: Any, text: str) -> None:
    assert figures.number(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"), (0.0, "0.00 s"), (0.424, "0.42 s"), (12.34, "12.3 s"), (60.0, "1 min"),
        (185.2, "3 min 5 s"),
    ],
)  # fmt: skip
def test_spans_are_written_in_the_unit_that_fits(value: float | None, text: str) -> None:
    assert figures.seconds(value) == text


def test_instants_are_written_in_utc() -> None:
    east = datetime(2026, 11, 28, 1, 30, tzinfo=timezone(timedelta(hours=2)))

    assert figures.moment(east) == "2026-11-27 23:30:00 UTC"
    # Cassandra's have no zone.
    assert figures.moment(datetime(2026, 11, 28, 1, 30)) == "2026-11-28 01:30:00 UTC"  # noqa: DTZ001
    assert figures.moment("253402300800000") == "253402300800000"


def test_a_sparkline_of_many_batches_has_forty_points_at_most() -> None:
    assert figures.sparkline(()) == ""
    assert figures.sparkline(batches("orders", 1, 10, NOW)) == ""
    assert len(figures.sparkline(batches("orders", 39, 3_900, NOW)).split()) == 39
    assert len(figures.sparkline(batches("orders", 240, 24_000, NOW)).split()) == 40
    two = tuple(BatchView("orders", n, NOW, Counts(read)) for n, read in ((2, 100), (1, 50)))
    # The oldest first; the largest one reaches the top.
    assert figures.sparkline(two, width=100, height=28) == "0.0,14.5 100.0,2.0"


def test_batches_are_drawn_the_oldest_first_with_gaps_for_what_is_not_known() -> None:
    start = datetime(2026, 11, 28, tzinfo=UTC)
    history = (
        BatchView("orders", 2, start + timedelta(seconds=5), Counts(40), 2.0, {"files": 0.5}),
        BatchView("orders", 1, start, Counts(10)),
    )
    view = PipelineView("orders", "orders", "orders", "running", Counts(), history)
    values = history_values(view)

    assert values["rates"]["lines"] == {"messages per second": [None, 20.0]}
    assert values["seconds"]["lines"] == {"whole batch": [None, 2.0], "files": [None, 0.5]}
    assert values["rates"]["times"] == [start.timestamp(), start.timestamp() + 5]
    old = history_values(replace(view, history=history[1:]))
    assert old["rates"]["lines"] == {"messages": [10]}
    assert history_values(None)["history"] == ()


def test_reasons_are_ranked_and_a_pipelines_parts_do_not_count_twice() -> None:
    def view(name: str, family: str, letters: dict[str, int]) -> PipelineView:
        return PipelineView(name, family, family, "running", Counts(), dead_letters=letters)

    many = {f"missing_{n:02}": n for n in range(15)}
    found = reasons_of(
        [view("orders-files", "orders", many), view("orders-postgres", "orders", {"missing_14": 3})]
    )

    assert [row["count"] for row in found["reasons"]] == list(range(14, 2, -1))
    assert (found["reasons"][0]["percent"], found["more_reasons"]) == (100.0, 2)
    assert reasons_of([]) == {"reasons": [], "more_reasons": 0}


def test_bars_of_texts_and_of_negative_numbers_have_no_length() -> None:
    bars = (Bar("a", 50), Bar("b", -100), Bar("c", "text"), Bar("d", None))
    values = chart_values(BY_COUNTRY, "count", "/x", Chart("x", "count", "bars", bars=bars))

    assert values["percents"] == [50.0, 0.0, 0.0, 0.0]


def test_instants_over_time_are_in_the_table_and_draw_no_line() -> None:
    lines = {"FR": (NOW, None), "BE": ("text", None)}
    drawn = Chart("x", "first_at", "lines", times=("2026-11-01", "2026-11-02"), lines=lines)
    values = chart_values(BY_COUNTRY, "first_at", "/x", drawn)

    assert not values["has_numbers"]
    page = templates().get_template("parts/chart.html").render(values | {"trouble": None})
    assert "data-chart" not in page
    assert "2026-11-28 12:00:00" in page
    some = replace(drawn, lines={"FR": (Decimal("1.5"), None)})
    assert chart_values(BY_COUNTRY, "count", "/x", some)["lines"]["lines"] == {"FR": [1.5, None]}


@pytest.mark.parametrize("wanted", VENDORED, ids=lambda wanted: wanted["package"])
def test_libraries_from_npm_are_there_at_the_pinned_version_with_their_licence(
    wanted: dict[str, Any],
) -> None:
    folder = PROJECT_ROOT / wanted["folder"]
    package = json.loads((folder / "package.json").read_text())
    name, _, version = wanted["package"].rpartition("@")

    assert (package["name"], package["version"]) == (name, version)
    assert {path.name for path in folder.iterdir()} == {Path(each).name for each in wanted["files"]}
    assert len((folder / "LICENSE").read_text()) > 500
    notice = (PROJECT_ROOT / "NOTICE").read_text()
    assert wanted["folder"] in notice
    assert package["license"].replace("BSD-0-Clause", "0BSD") in notice


def test_everything_that_pages_load_goes_with_the_package() -> None:

    project = tomllib.loads((PROJECT_ROOT / "pyproject.toml").read_text())
    patterns = project["tool"]["setuptools"]["package-data"]["dashboard"]
    root = PROJECT_ROOT / "dashboard"
    packed = {path for pattern in patterns for path in root.glob(pattern) if path.is_file()}
    needed = {
        p for folder in (STATIC, root / "templates") for p in folder.rglob("*") if p.is_file()
    }

    assert needed - packed == set()
    assert len(needed) > 20
