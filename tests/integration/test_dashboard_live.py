"""The dashboard over a real ledger and real aggregates, whose store stops in the middle.

Only MongoDB runs, on its own: broker and Cassandra are down, which the pages say.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from dashboard.app import build_app
from dashboard.live import LiveSource
from local_stack.mongodb import MongoDB
from settings import Settings, load_settings
from spark_jobs.sinks.mongodb import connect_mongodb
from spark_jobs.state.ledger import Counts, Entry, Ledger
from tests.conftest import free_ports
from tests.support.browser import CHROMIUM, WITHOUT_CHROMIUM, chromium, served

ADDRESS = "http://127.0.0.1:8484"
DAY = datetime(2026, 11, 27, 10, tzinfo=UTC)
BATCHES = [
    Counts(100, 90, 5, 0, 5, reasons={"missing_priority": 3, "invalid_created_at": 2}),
    Counts(60, 60),
    Counts(40, 30, 10, 0, 0, reasons={"missing_priority": 10}),
]
TEAMS = {"Billing": (50, 20), "Technical Support": (70, 10), "Customer Service": (30, 0)}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    kafka, cassandra, mongodb = free_ports(3)
    return load_settings(
        {
            "millrace_home": tmp_path / "home",
            "kafka_bootstrap_servers": f"127.0.0.1:{kafka}",
            "cassandra_port": cassandra,
            "mongo_uri": f"mongodb://127.0.0.1:{mongodb}",
            "pipelines": ("tickets",),
        },
        tmp_path / "no.env",
    )


@pytest.fixture
def store(settings: Settings) -> Iterator[MongoDB]:
    """A MongoDB of its own with three batches and their aggregates."""
    service = MongoDB(settings)
    service.start()
    try:
        with connect_mongodb(settings) as client:
            fill(client[settings.mongo_database])
        yield service
    finally:
        service.stop()


def fill(database: Any) -> None:
    ledger = Ledger(database, "tickets")
    ledger.prepare()
    for number, counts in enumerate(BATCHES):
        entry = Entry(
            "tickets", "client_tickets", "q", number, {0: (number, number + 1)}, counts,
            ("cassandra", "mongodb"), seconds=2.0, sink_seconds={"cassandra": 1.5},
        )  # fmt: skip
        ledger.confirm(entry, DAY + timedelta(minutes=number))
    database["tickets_by_team"].insert_many(
        {
            "_id": f"{day}|{team}",
            "day": day,
            "assigned_team": team,
            "count": counted,
            "updated_at": DAY,
        }
        for team, found in TEAMS.items()
        for day, counted in zip(("2026-11-26", "2026-11-27"), found, strict=True)
        if counted
    )


@contextmanager
def client_of(settings: Settings) -> Iterator[TestClient]:
    source = LiveSource(settings)
    try:
        with TestClient(build_app(source), base_url=ADDRESS) as client:
            yield client
    finally:
        source.close()


def test_numbers_are_those_of_ledger_and_aggregates(settings: Settings, store: MongoDB) -> None:
    with client_of(settings) as client:
        found = client.get("/api/overview").json()
        (view,) = found["pipelines"]
        chart = client.get("/api/pipelines/tickets/tickets_by_team").json()
        history = client.get("/api/history/tickets").json()
        health = client.get("/healthz")
        metrics = client.get("/metrics").text

    assert {name: view["counts"][name] for name in ("read", "stored", "dead_lettered")} == {
        "read": 200,
        "stored": 180,
        "dead_lettered": 15,
    }
    assert [batch["batch_id"] for batch in view["history"]] == [2, 1, 0]
    assert view["history"][0]["sink_seconds"] == {"cassandra": 1.5}
    assert chart["total"] == sum(map(sum, TEAMS.values()))
    assert {bar["label"]: bar["value"] for bar in chart["bars"]} == {
        team: sum(found) for team, found in TEAMS.items()
    }
    assert chart["lines"]["Customer Service"] == [30, None]
    assert sum(history["lines"]["stored"]) == 180
    assert health.json()["down"] == ["kafka", "cassandra"]
    assert 'millrace_messages_total{outcome="stored",pipeline="tickets"} 180.0' in metrics
    assert any("kafka is down" in trouble for trouble in found["troubles"])


def test_records_and_traces_say_what_does_not_answer(settings: Settings, store: MongoDB) -> None:
    with client_of(settings) as client:
        for path, text in {
            "/records/support.tickets?part=found&ticket_id=A": "Cassandra",
            "/trace/A?part=found": "Cassandra",
            "/dead-letters?part=found": "None: every message so far kept to its contract.",
        }.items():
            answer = client.get(path)
            assert answer.status_code == 200
            assert text in answer.text
            assert "Traceback" not in answer.text


@pytest.mark.skipif(CHROMIUM is None, reason=WITHOUT_CHROMIUM)
def test_a_browser_sees_the_stores_numbers_their_loss_and_their_return(
    settings: Settings, store: MongoDB
) -> None:
    from playwright.sync_api import expect

    source = LiveSource(settings)
    said: list[str] = []
    try:
        with served(build_app(source)) as address, chromium() as browser:
            page = browser.new_page()
            page.on("pageerror", lambda error: said.append(str(error)))
            page.goto(f"{address}/pipelines/tickets")
            team = page.locator("#of-tickets_by_team")
            expect(team.locator("table.bars .n")).to_have_text(["80", "70", "30"], timeout=20_000)
            expect(team.locator(".total")).to_have_text("180")
            expect(page.locator(".flow.wide .count").first).to_have_text("200", timeout=20_000)

            store.stop()
            trouble = page.locator("#pipeline .trouble")
            expect(trouble).to_contain_text("mongodb is down", timeout=40_000)
            # What is known stays.
            expect(page.locator(".flow.wide .count").first).to_have_text("200")
            charts = f"{address}/pipelines/tickets?part=chart&aggregate="
            assert "180" in page.goto(f"{charts}tickets_by_team").text()
            # Of a measure that no one looked at yet.
            unread = page.goto(f"{charts}ticket_metrics&measure=billing_count")
            assert "MongoDB" in unread.text()
            page.goto(f"{address}/pipelines/tickets")

            store.start()
            expect(page.locator("#pipeline")).not_to_contain_text(
                re.compile("mongodb is down"), timeout=60_000
            )
            expect(team.locator(".total")).to_have_text("180", timeout=60_000)
    finally:
        source.close()
    assert said == []
