"""Pages and `/api` of the dashboard over hand-made data, without a browser."""

from __future__ import annotations

import logging
import re
from dataclasses import replace
from typing import Any
from unittest.mock import MagicMock

import pytest
from starlette.testclient import TestClient

from dashboard.app import build_app
from dashboard.source import Bar, Chart
from errors import JobError, RequestError
from operations.overview.model import Overview, ProofView
from tests.support.dashboard_source import (
    ADDRESS,
    BY_COUNTRY,
    NOW,
    HandMade,
    away,
    overview_of,
    text_of,
)
from tests.support.screenshots import PAGES

PARTS = (
    "/?part=overview",
    "/pipelines/orders?part=pipeline",
    "/pipelines/orders?part=history",
    "/pipelines/orders?part=ledger",
    "/pipelines/orders?part=chart&aggregate=orders_by_day",
    "/pipelines/orders?part=chart&aggregate=orders_by_country",
    "/pipelines/orders?part=chart&aggregate=order_metrics",
    "/records/orders.orders?part=found",
    "/records/orders.orders_by_status?part=found",
    "/records/orders.orders_by_status?part=found&status=paid&created_day=2026-11-28",
    "/dead-letters?part=found",
    "/trace/A-00001?part=found",
)
API = (
    "/api/overview",
    "/api/pipelines/orders",
    "/api/pipelines/orders/orders_by_day",
    "/api/history/orders",
    "/api/records",
    "/api/records/orders.orders_by_status",
    "/api/dead-letters",
    "/api/trace/A-00001",
)


@pytest.mark.parametrize("read", [0, 1, 5_000_000])
@pytest.mark.parametrize("path", [*PAGES.values(), *PARTS])
def test_every_page_and_piece_is_drawn_whatever_there_is(
    path: str, read: int, source: HandMade, client: TestClient
) -> None:
    source.seen = overview_of(read)

    answer = client.get(path)

    assert answer.status_code == (404 if path == PAGES["not-found"] else 200)
    assert "text/html" in answer.headers["content-type"]


@pytest.mark.parametrize("path", [*PAGES.values(), *PARTS])
def test_pages_have_nothing_inline_and_nothing_from_elsewhere(
    path: str, client: TestClient
) -> None:
    answer = client.get(path)
    html = answer.text

    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "http" not in policy
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert not re.search(r"\sstyle=|\son[a-z]+=|<style|javascript:", html)
    scripts = re.findall(r"<script([^>]*)>", html)
    assert all("src=" in each or 'type="application/json"' in each for each in scripts)
    links = re.findall(r'(?:src|href|action|hx-get)="([^"]*)"', html)
    assert [link for link in links if not re.match(r"/(?!/)|#content$", link)] == []


@pytest.mark.parametrize("path", [*PAGES.values(), *PARTS, *API])
def test_a_store_that_is_away_is_said_in_words(
    path: str, source: HandMade, client: TestClient
) -> None:
    source.fault = away("MongoDB")

    answer = client.get(path)

    assert "Traceback" not in answer.text
    if path.startswith("/api/") and path != "/api/records":
        assert answer.status_code == 503
        assert "MongoDB does not answer" in answer.text
    elif "part=" in path and "history" not in path:
        assert answer.status_code == 200
        assert "MongoDB does not answer" in text_of(answer.text)
    else:
        assert answer.status_code in {200, 404}


def test_what_cannot_be_asked_like_that_is_the_callers_mistake(
    source: HandMade, client: TestClient
) -> None:
    source.fault = RequestError("Give a value for each column.")

    answer = client.get("/api/records/orders.orders_by_status?colour=red")

    assert (answer.status_code, answer.json()) == (400, {"error": "Give a value for each column."})


def test_numbers_of_the_first_page_are_sums_over_pipelines_and_add_up(
    source: HandMade, client: TestClient
) -> None:
    # 2,000 orders and 500 readings: 1,930 + 483, 40 + 10, 20 + 5, 10 + 2.
    text = text_of(client.get("/").text)

    assert "2,500 messages read" in text
    assert "2,500 = 2,413 + 50 + 25 + 12" in text
    assert "120 more wait on their topics." in text
    assert "Verified" in text


def test_counts_that_do_not_add_up_are_said(source: HandMade, client: TestClient) -> None:
    orders, *others = source.seen.pipelines
    counts = replace(orders.counts, stored=orders.counts.stored - 3)
    source.seen = replace(source.seen, pipelines=(replace(orders, counts=counts), *others))

    page = text_of(client.get("/pipelines/orders").text)

    assert "The numbers do not add up: 3 of 2,000 have no outcome. Run make verify" in page
    assert "3 of them have no outcome" in text_of(client.get("/").text)


def test_faults_of_the_last_proof_are_listed(source: HandMade, client: TestClient) -> None:
    faults = tuple(f"table `t{n}`: a row is missing" for n in range(25))
    source.seen = replace(source.seen, proof=ProofView(NOW, False, faults))

    text = text_of(client.get("/").text)

    assert "Not verified" in text
    assert "t19 : a row is missing" in text
    assert "t20" not in text
    assert "and 5 more" in text


@pytest.mark.parametrize("path", ["/", "/pipelines/orders?part=chart&aggregate=orders_by_day"])
def test_a_piece_is_sent_again_only_when_it_changed(
    path: str, source: HandMade, client: TestClient
) -> None:
    (again,) = re.findall(r'hx-get="([^"]+seen=[^"]+)"', client.get(path).text)
    again = again.replace("&amp;", "&")

    same, older = client.get(again), client.get(re.sub("seen=.*", "seen=0", again))

    assert (same.status_code, same.text) == (204, "")
    assert older.status_code == 200
    assert f'hx-get="{again}"'.replace("&", "&amp;") in older.text
    # What was seen less than two seconds ago is not collected again.
    assert source.looks == 1


def test_a_chart_whose_store_is_away_is_shown_as_last_seen(
    source: HandMade, client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Nothing is taken from memory as long as it can be read.
    for name in ("FRESH_SECONDS", "TIMES_ITS_COST", "UNCHANGED_SECONDS"):
        monkeypatch.setattr(f"dashboard.kept.{name}", 0.0)
    path = "/pipelines/orders?part=chart&aggregate=orders_by_country"
    (total,) = re.findall('class="total">([^<]+)<', client.get(path).text)
    monkeypatch.setattr(source, "chart", MagicMock(side_effect=JobError("MongoDB is away.")))

    known = client.get(path).text
    unread = client.get(f"{path}&measure=revenue").text

    assert "MongoDB is away. What follows is as last seen." in text_of(known)
    assert f'class="total">{total}<' in known
    assert "MongoDB is away." in unread
    assert "as last seen" not in unread


def test_an_unknown_page_table_or_pipeline_is_a_404_with_the_nearest_name(
    client: TestClient,
) -> None:
    for path, text in {
        "/pipelines/order": "There is no enabled pipeline order . Did you mean orders ?",
        "/records/orders.order": "There is no table orders.order of an enabled pipeline",
        "/nowhere": "There is no page /nowhere .",
    }.items():
        answer = client.get(path)
        assert answer.status_code == 404
        assert text.split(". Did")[0] in text_of(answer.text)
    assert client.get("/api/pipelines/nothing").json()["known"] == ["orders", "sensors"]
    assert client.get("/api/nothing").json() == {"error": "There is no page `/api/nothing`."}
    chart = client.get("/api/pipelines/orders/nothing")
    assert chart.json()["known"] == ["orders_by_day", "orders_by_country", "order_metrics"]


def test_a_pipelines_part_has_a_page_of_its_own(source: HandMade, client: TestClient) -> None:
    orders, sensors = source.seen.pipelines
    counts = replace(orders.counts, read=1_000, stored=930)
    part = replace(orders, name="orders-files", counts=counts, job="not running")
    source.seen = replace(source.seen, pipelines=(orders, part, sensors))

    first = client.get("/").text
    assert "/pipelines/orders-files" in first
    # Both read the same messages: the one that is ahead counts.
    assert "2,500 messages read" in text_of(first)
    assert "120 more wait on their topics." in text_of(first)
    page = client.get("/pipelines/orders-files").text
    assert "aggregate=orders_by_day" in page
    assert "1,000 = 930 + 40 + 20 + 10" in text_of(page)


def test_a_pipeline_of_which_only_parts_ran_names_them(
    source: HandMade, client: TestClient
) -> None:
    orders, sensors = source.seen.pipelines
    source.seen = replace(source.seen, pipelines=(replace(orders, name="orders-files"), sensors))

    assert "Only parts of it have run: orders-files ." in text_of(
        client.get("/pipelines/orders").text
    )
    answer = client.get("/api/pipelines/orders")
    assert (answer.status_code, answer.json()["known"]) == (404, ["orders-files", "sensors"])
    for path in ("/pipelines/", "/api/pipelines/", "/api/history/"):
        assert client.get(f"{path}orders-files").status_code == 200
        assert client.get(f"{path}orders-nothing").status_code == 404


def test_what_a_ledger_that_does_not_answer_holds_is_unknown(
    source: HandMade, client: TestClient
) -> None:
    source.seen = replace(overview_of(0), troubles=("mongodb is down.",))

    first, orders, part = (
        text_of(client.get(path).text)
        for path in ("/", "/pipelines/orders", "/pipelines/orders-files")
    )

    assert "read – per second – waiting 0 dead letters – last batch –" in first
    assert "Dead letters Unknown. Last proof Unknown." in first
    assert "The way of its messages Unknown." in orders
    assert "Whether a job of it has run is unknown." in part
    answer = client.get("/api/pipelines/orders-files")
    assert (answer.status_code, answer.json()) == (503, {"error": "mongodb is down."})


def test_infinity_is_text(source: HandMade, client: TestClient) -> None:
    line, bar = (float("inf"), 1.0), Bar("a", float("inf"))
    odd = Chart(
        "x", "count", "lines", {}, (bar,), float("nan"), 1, "day", ("2026", "27"), {"a": line}
    )
    source.chart = lambda *_: odd  # type: ignore[method-assign]

    found = client.get("/api/pipelines/orders/orders_by_day").json()
    page = client.get("/pipelines/orders?part=chart&aggregate=orders_by_day").text

    assert (found["total"], found["bars"]) == ("nan", [{"label": "a", "value": "inf"}])
    assert found["lines"] == {"a": ["inf", 1.0]}
    assert '"a": [null, 1.0]' in page


def test_data_of_charts_ends_no_script(source: HandMade) -> None:
    chart = source.chart(source.declared["orders"].aggregates[0], "count")
    odd = replace(chart, lines={"</script><b>": chart.lines["paid"]}, bars=())
    source.chart = lambda *_: odd  # type: ignore[method-assign]

    with TestClient(build_app(source), base_url=ADDRESS) as client:
        page = client.get("/pipelines/orders?part=chart&aggregate=orders_by_day").text

    assert "</script><b>" not in page
    assert "\\u003c/script\\u003e\\u003cb\\u003e" in page


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/api/pipelines/orders", {"name": "orders", "lag": 120, "job": "running"}),
        (
            "/api/pipelines/orders/orders_by_country?measure=revenue",
            {"measure": "revenue", "total": 77_200, "kind": "bars"},
        ),
        ("/api/dead-letters?reason=invalid_amount", {"following": None}),
        (
            "/api/records",
            {"orders.orders": {"pipeline": "orders", "key": ["order_id"]}},
        ),
        ("/api/trace/never", {"found": False, "asked": "never"}),
    ],
)
def test_data_are_those_of_the_pages(
    path: str, expected: dict[str, Any], client: TestClient
) -> None:
    found = client.get(path).json()

    assert {name: found[name] for name in expected} == expected


def test_the_overview_as_data_is_whole(source: HandMade, client: TestClient) -> None:
    source.lose("cassandra")
    found = client.get("/api/overview").json()

    assert found["pipelines"][0]["counts"]["stored"] == 1_930
    assert found["pipelines"][0]["history"][0]["sink_seconds"].keys() == {
        "cassandra", "mongodb", "files"
    }  # fmt: skip
    assert found["troubles"] == ["cassandra is down: what it holds is as last seen."]
    assert [each["condition"] for each in found["services"]] == ["up", "down", "up"]


def test_measures_are_those_of_the_declaration(client: TestClient) -> None:
    page = client.get("/pipelines/orders?part=chart&aggregate=orders_by_country&measure=nonsense")

    assert re.findall(r"<option( selected)?>(\w+)</option>", page.text) == [
        (" selected" if name == "count" else "", name) for name in BY_COUNTRY.measures
    ]


def test_nothing_enabled_is_an_answer_too(source: HandMade, client: TestClient) -> None:
    source.declared, source.tables = {}, {}
    source.seen = Overview(NOW, (), ())

    assert "No pipeline is enabled" in text_of(client.get("/").text)
    assert "No enabled pipeline has a table" in text_of(client.get("/records").text)


def test_an_answer_that_cannot_be_made_is_a_page_and_a_line_without_a_traceback(
    source: HandMade, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    # The client's own log is none of the dashboard's.
    caplog.set_level(logging.WARNING, "httpx2")

    def broken(*_: Any) -> Any:
        raise KeyError("a record's value")

    source.trace = broken
    app = build_app(source)
    with TestClient(app, base_url=ADDRESS, raise_server_exceptions=False) as client:
        page, data = client.get("/trace/A?part=found"), client.get("/api/trace/A")

    assert (page.status_code, data.status_code) == (500, 500)
    assert page.headers["cache-control"] == data.headers["cache-control"] == "no-store"
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert "could not be made (KeyError)" in text_of(page.text)
    assert data.json() == {"error": data.json()["error"]}
    said = capsys.readouterr().err
    assert said.count("dashboard: an answer could not be made (KeyError)") == 2
    assert "Traceback" not in said
    assert "a record's value" not in said + page.text + data.text
    # The server, which prints it with LOG_LEVEL=DEBUG, gets the error itself.
    with TestClient(app, base_url=ADDRESS) as client, pytest.raises(KeyError):
        client.get("/api/trace/A")
