"""`millrace report`: what the page says, and that it needs nothing from elsewhere."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pymongo.errors import ServerSelectionTimeoutError

from dashboard.source import Chart
from errors import MillraceError
from operations.masking import MASK, writable_value
from operations.overview import records
from operations.overview.model import Overview, PipelineView, ProofView
from operations.overview.stores import OpenStores
from operations.report import report as module
from operations.report.contents import read_contents, run_times
from operations.report.drawing import HEIGHT, TOP, draw_batches, draw_lines
from operations.report.report import MOST_BYTES, page_of, page_path, report
from settings import Settings
from spark_jobs.aggregates import Aggregate, count, maximum, total
from spark_jobs.registry import built_in
from spark_jobs.state.ledger import Counts
from tests.support.builders import ticket
from tests.support.dashboard_source import NOW, batches, overview_of
from tests.support.fake_broker import FakeBroker
from tests.support.fake_mongo import Database
from tests.support.report_contents import contents_of

TICKETS, PROFILES, CUSTOMERS = built_in()


def text_of(page: str) -> str:
    """What a reader sees: without styles and tags, in one line."""
    shown = re.sub(r"<style>.*?</style>|<[^>]+>", " ", page, flags=re.DOTALL)
    return re.sub(r"\s+", " ", shown)


@pytest.mark.parametrize("read", [0, 2_000, 5_000_000])
def test_page_is_small_and_asks_no_one_for_anything(read: int) -> None:
    page = page_of(contents_of(read))

    assert len(page.encode()) < 150_000
    assert not re.search(r"<script|<link|<img|<iframe|@import|url\(|\bsrc=|\bhref=|https?:", page)
    assert "<svg" in page or read == 0


def test_numbers_of_the_picture_add_up_and_are_those_of_the_ledger() -> None:
    text = text_of(page_of(contents_of(2_000)))

    # Orders and sensors: 2,000 and 500 read.
    assert "2,500 messages read, 120 waiting" in text
    assert "2,500 = 2,413 + 50 + 25 + 12" in text
    assert "2,000 = 1,930 + 40 + 20 + 10" in text
    assert "500 = 483 + 10 + 5 + 2" in text
    assert "The numbers do not add up" not in text

    seen = overview_of(2_000)
    orders = replace(seen.pipelines[0], counts=replace(seen.pipelines[0].counts, stored=1_900))
    wrong = contents_of(2_000, replace(seen, pipelines=(orders, *seen.pipelines[1:])))
    assert "The numbers do not add up: 30 of 2,000 have no outcome" in text_of(page_of(wrong))


def test_parts_of_a_pipeline_do_not_count_their_messages_twice() -> None:
    seen = overview_of(2_000)
    first = replace(seen.pipelines[0], name="orders-files")
    second = replace(seen.pipelines[0], name="orders-postgres", counts=Counts(10, 10))
    page = page_of(contents_of(2_000, replace(seen, pipelines=(first, second))))

    assert "2,000 messages read, 120 waiting" in text_of(page)


@pytest.mark.parametrize(
    ("proof", "said"),
    [
        (None, "Not proven yet"),
        (ProofView(NOW, verified=True), "Verified: nothing lost, nothing doubled."),
        (ProofView(NOW, False, ("orders: 3 rows lack",)), "found differences: orders: 3 rows lack"),
    ],
)
def test_proof_is_said_as_it_ended(proof: ProofView | None, said: str) -> None:
    seen = replace(overview_of(2_000), proof=proof)

    assert said in text_of(page_of(contents_of(2_000, seen)))


def test_reasons_samples_aggregates_run_times_and_versions_are_there() -> None:
    text = text_of(page_of(contents_of(2_000)))

    assert "missing_country" in text
    assert f"&#34;email&#34;: &#34;{MASK}&#34;" in text
    assert "The broker no longer has the message on orders ." in text
    assert "count in all: 1,930." in text
    assert "average_amount 41.50" in text
    assert "The last 200 batches: 3 min 35 s in all" in text
    assert (
        "Not shown, as their values may be personal or there are too many: people_by_name." in text
    )
    assert "kafka 3.9.2" in text
    assert "millrace 0.1.0" in text


def test_one_batch_is_no_picture() -> None:
    seen = overview_of(2_000)
    one = replace(seen.pipelines[0], history=batches("orders", 1, 2_000, NOW))
    page = page_of(contents_of(2_000, replace(seen, pipelines=(one,))))

    assert "The only batch took 1.0 s." in text_of(page)
    assert "bar-of-batch" not in page.partition("</style>")[2]


def test_without_any_data_the_page_says_so() -> None:
    seen = replace(overview_of(0), troubles=("mongodb is down: batches are unknown.",))
    text = text_of(page_of(contents_of(0, seen)))

    assert "No batch is confirmed yet." in text
    assert "Not everything could be read. mongodb is down: batches are unknown." in text


def test_page_that_would_be_too_large_has_no_samples() -> None:
    contents = contents_of(2_000)
    orders = contents.parts[0]
    reason = replace(orders.reasons[0], samples=orders.reasons[0].samples * 2_000)
    large = replace(contents, parts=(replace(orders, reasons=(reason,)), *contents.parts[1:]))

    page = page_of(large)

    assert len(page.encode()) < MOST_BYTES
    assert "Samples are left out" in page
    assert "missing_country" in page


def test_value_cannot_become_part_of_the_page() -> None:
    contents = contents_of(2_000)
    orders = contents.parts[0]
    bad = replace(orders.reasons[0].samples[0], value="<img src=x onerror=alert(1)>" + "x" * 5_000)
    reason = replace(orders.reasons[0], samples=(bad,))
    page = page_of(replace(contents, parts=(replace(orders, reasons=(reason,)),)))

    assert "<img" not in page
    assert "&lt;img src=x" in page
    assert "x" * 601 not in page


def test_half_a_surrogate_pair_in_a_message_breaks_no_page() -> None:
    contents = contents_of(2_000)
    orders = contents.parts[0]
    value = writable_value(b'{"ticket_id": "A\\ud800"}', TICKETS.contract)
    reason = replace(
        orders.reasons[0], samples=(replace(orders.reasons[0].samples[0], value=value),)
    )

    assert (
        rb"A\ud800"
        in page_of(replace(contents, parts=(replace(orders, reasons=(reason,)),))).encode()
    )


def test_lines_are_drawn_to_scale_with_gaps_where_there_is_no_value() -> None:
    line = (0, 10, None, 5, None, None, 10)
    times = tuple(f"2026-11-{day:02}" for day in range(1, 8))
    chart = Chart("a", "count", "lines", times=times, lines={"x": line, "y": (None,) * 7})

    drawn = draw_lines(chart)

    assert drawn is not None
    x, y = drawn.lines
    bottom = HEIGHT - 26
    # Two neighbours make a line, single values are dots; 10 is at the top, 0 at the bottom.
    assert x.pieces == (f"64.0,{bottom}.0 172.0,{TOP}.0",)
    assert [height for _, height in x.dots] == [TOP + (bottom - TOP) / 2, TOP]
    assert (y.pieces, y.dots) == ((), ())
    assert [tick.label for tick in drawn.levels] == ["0", "5", "10"]
    assert [tick.label for tick in drawn.times] == ["2026-11-01", "2026-11-04", "2026-11-07"]
    assert draw_lines(replace(chart, times=times[:1])) is None


def test_batches_are_drawn_the_oldest_first_without_those_that_say_no_time() -> None:
    history = batches("orders", 3, 300, NOW)
    history = (replace(history[0], seconds=2.0), replace(history[1], seconds=None), history[2])
    history = (*history[:2], replace(history[2], seconds=1.0))

    drawn = draw_batches(history)

    assert drawn is not None
    heights = [bar[3] for bar in drawn.bars]
    assert heights == [pytest.approx(81), pytest.approx(162)]
    assert draw_batches(history[:2]) is None
    times = run_times(PipelineView("o", "o", "o", "running", Counts(), history))
    assert times is not None
    assert (times.batches, times.total, times.median, times.longest) == (2, 3.0, 1.5, 2.0)
    assert times.sinks["cassandra"] == sum(b.sink_seconds["cassandra"] for b in history)


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """Reads the contents about tickets from stores in memory."""
    database, broker = Database(), FakeBroker()
    monkeypatch.setattr(OpenStores, "database", property(lambda _: database))
    monkeypatch.setattr(records, "messages_at", broker.at)
    asked: list[tuple[str, str]] = []

    def chart(_: Any, aggregate: Aggregate, measure: str) -> Chart:
        asked.append((aggregate.name, measure))
        return Chart(aggregate.name, measure, "bars")

    monkeypatch.setattr("operations.report.contents.read_chart", chart)
    for offset in range(5):
        letter: dict[str, Any] = {"source_topic": "client_tickets", "reasons": ["missing_priority"]}
        letter |= {"_id": f"client_tickets/0/{offset}", "source_timestamp": NOW}
        database["dead_letters"].documents.append(letter)
        broker.put("client_tickets", (0, offset), json.dumps(ticket(priority=...)).encode())
    settings = Settings(_env_file=None, output_path=str(tmp_path / "output"))
    view = PipelineView(
        "tickets",
        "tickets",
        "client_tickets",
        "not running",
        Counts(9, 4, 5),
        dead_letters={"missing_priority": 5, "unparseable": 0},
    )
    seen = Overview(datetime.now(UTC), (), (view,))

    def work(*pipelines: Any, views: Any = None) -> Any:
        overview = replace(seen, pipelines=views or seen.pipelines)
        with OpenStores(settings) as stores:
            return read_contents(overview, pipelines or (TICKETS,), stores, 3), asked

    work.database = database  # type: ignore[attr-defined]
    work.settings = settings  # type: ignore[attr-defined]
    work.seen = seen  # type: ignore[attr-defined]
    return work


def test_samples_are_read_masked_and_charts_show_the_number_of_records(read: Any) -> None:
    contents, asked = read()

    (part,) = contents.parts
    assert [(r.reason, r.count, len(r.samples)) for r in part.reasons] == [
        ("missing_priority", 5, 3),
        ("unparseable", 0, 0),
    ]
    value = json.loads(part.reasons[0].samples[0].value)
    assert (value["request"], value["request_type"]) == (MASK, "billing")
    assert asked == [
        ("tickets_by_team", "count"),
        ("tickets_by_type", "count"),
        ("tickets_by_priority", "count"),
        ("ticket_metrics", "total_tickets"),
    ]
    assert contents.versions["pyspark"].startswith("3.5")
    assert contents.troubles == ()
    # The broker's offsets are not known.
    assert part.waiting is None


def test_aggregate_by_a_personal_column_is_not_shown(read: Any) -> None:
    by_city = Aggregate("by_city", ("city",), {"count": count()})
    oldest = Aggregate("oldest", ("country",), {"count": count(), "last": maximum("last_name")})
    by_country = Aggregate("by_country", ("country",), {"spent": total("amount")})
    pipeline = replace(CUSTOMERS, aggregates=(by_city, oldest, by_country))
    view = replace(read.seen.pipelines[0], name="customers", family="customers", dead_letters={})

    contents, asked = read(pipeline, views=(view, replace(view, name="customers-files")))

    assert asked == [("by_country", "spent")]
    assert [part.hidden for part in contents.parts] == [("by_city", "oldest"), ()]


def test_store_that_does_not_answer_is_a_trouble_and_counts_are_kept(read: Any) -> None:
    read.database["dead_letters"].fault = ServerSelectionTimeoutError("10.0.0.7:27017: refused")

    view = read.seen.pipelines[0]
    people = replace(view, name="profiles", family="profiles", topic="users_profiles")

    contents, _ = read(TICKETS, PROFILES, views=(view, people))

    for part in contents.parts:
        assert [(r.reason, r.count) for r in part.reasons] == [
            ("missing_priority", 5),
            ("unparseable", 0),
        ]
    (trouble,) = contents.troubles
    assert trouble.startswith("Cannot reach MongoDB")


def test_command_writes_page_and_json_and_says_where(
    read: Any,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    monkeypatch.setattr(module, "collect", lambda *_: read.seen)
    monkeypatch.setattr(module, "pipelines_of", lambda _: (TICKETS,))

    assert report(read.settings, None) == 0

    page, data = tmp_path / "output" / "report.html", tmp_path / "output" / "report.json"
    kilobytes = page.stat().st_size // 1024 + 1
    assert capsys.readouterr().out == f"Report: {page} ({kilobytes} KB), {data}\n"
    assert "4 stored" in text_of(page.read_text())
    found = json.loads(data.read_text())
    assert found["parts"][0]["view"]["counts"]["stored"] == 4
    assert found["overview"]["taken_at"].endswith("Z")
    assert found["parts"][0]["reasons"][0]["samples"][0]["source"] == "client_tickets/0/0"

    troubled = replace(read.seen, troubles=("kafka is down: offsets and lag are unknown.",))
    monkeypatch.setattr(module, "collect", lambda *_: troubled)
    assert report(read.settings, str(tmp_path / "mine.html")) == 1
    assert (tmp_path / "mine.json").is_file()
    assert "Not in the report: kafka is down" in capsys.readouterr().err


def test_place_that_cannot_be_written_is_an_error_in_words(
    read: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(module, "collect", lambda *_: read.seen)
    monkeypatch.setattr(module, "pipelines_of", lambda _: (TICKETS,))
    (tmp_path / "file").write_text("")

    with pytest.raises(MillraceError, match=r"cannot be written to `.*/file/r\.html`"):
        report(read.settings, str(tmp_path / "file" / "r.html"))


def test_page_lies_with_the_files_that_users_read_if_these_are_here() -> None:
    here, elsewhere = (
        Settings(_env_file=None, output_path=place) for place in ("/data/out", "s3a://bucket/out")
    )

    assert page_path(here, None) == Path("/data/out/report.html")
    assert page_path(elsewhere, None) == Path("output/report.html")
    assert page_path(here, "a/b.html") == Path("a/b.html")
    with pytest.raises(MillraceError, match=r"--output names the page, such as `a\.html`"):
        page_path(here, "a.json")
    for folder in (".", "..", "/", ""):
        with pytest.raises(
            MillraceError, match=r"--output names the page, such as `.*report\.html`"
        ):
            page_path(here, folder)
