"""What is not known is no number: null for programs, words or a dash for people."""

from __future__ import annotations

import io
import json
import re
from dataclasses import replace
from typing import Any

import pytest
from rich.console import Console
from starlette.testclient import TestClient

from operations import top
from operations.board import Board, board_lines
from operations.overview.as_json import as_json
from operations.overview.model import Overview, PipelineView
from operations.report.page import render
from settings import Settings
from spark_jobs.state.ledger import Counts
from tests.support.dashboard_source import HandMade, overview_of, text_of
from tests.support.report_contents import contents_of

UNREAD = PipelineView("orders", "orders", "orders", "running", Counts(), is_known=False)
SEEN: Overview = replace(overview_of(0), pipelines=(UNREAD,), troubles=("mongodb is down.",))
OF_LEDGER = ("counts", "dead_letters", "rate")


def assert_unknown(found: dict[str, Any]) -> None:
    assert {name: found[name] for name in (*OF_LEDGER, "lag")} == dict.fromkeys((*OF_LEDGER, "lag"))
    assert (found["is_known"], found["job"]) == (False, "running")


def test_top_as_json_has_null_where_the_ledger_was_not_read(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(top, "collect", lambda _: SEEN)

    assert top.top(settings, in_json=True) == 0

    (orders,) = json.loads(capsys.readouterr().out)["pipelines"]
    assert_unknown(orders)


def test_numbers_that_are_known_stay_and_zero_is_one_of_them() -> None:
    orders, _ = as_json(overview_of(0))["pipelines"]
    assert (orders["counts"]["read"], orders["rate"], orders["lag"]) == (0, 0.0, 0)
    assert orders["dead_letters"] == {}

    # The broker alone is away.
    first = replace(overview_of(2_000).pipelines[0], partitions=())
    found = as_json(first)
    assert (found["lag"], found["counts"]["read"]) == (None, 2_000)


def test_api_has_null_where_the_ledger_was_not_read(source: HandMade, client: TestClient) -> None:
    source.seen = SEEN

    (orders,) = client.get("/api/overview").json()["pipelines"]
    assert_unknown(orders)
    assert_unknown(client.get("/api/pipelines/orders").json())


def test_report_has_null_and_its_page_says_that_it_is_unknown() -> None:
    contents = contents_of(0, SEEN)

    (part,) = as_json(contents)["parts"]
    assert part["waiting"] is None
    assert_unknown(part["view"])
    text = text_of(render(contents))
    assert "How many messages were read is unknown" in text
    assert re.search(r"orders orders – – – – – –", text)
    assert "0 messages read" not in text


def test_board_and_its_lines_show_no_number_that_is_not_known() -> None:
    console = Console(width=80, height=24, file=io.StringIO(), color_system=None)
    with console.capture() as caught:
        console.print(Board(SEEN))

    rows = [line.split() for line in caught.get().splitlines()]
    assert ["orders", "running", *["–"] * 7] in rows
    assert "orders: running, what it has read is unknown, lag unknown" in board_lines(SEEN)
