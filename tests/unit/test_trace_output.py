"""How a trace is printed: as text, and as JSON."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from operations.overview.as_json import as_json
from operations.trace.trace import trace
from settings import Settings
from spark_jobs.state.ledger import Counts
from tests.support.traced_world import NOON, TOPIC, TracedWorld, in_tables


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> TracedWorld:
    settings = Settings(
        _env_file=None, sinks=("cassandra", "mongodb"), output_path=str(tmp_path / "output")
    )
    return TracedWorld(monkeypatch, settings)


def test_json_has_times_in_utc_and_says_whether_anything_was_found(
    world: TracedWorld, capsys: pytest.CaptureFixture[str]
) -> None:
    world.send((0, 4), ticket_id="A-1")
    world.tables |= in_tables("A-1", (0, 4))
    world.confirm(Counts(read=1, stored=1), {0: (4, 5)})

    codes = [trace(world.settings, asked, "tickets", 100, "json") for asked in ("A-1", "Z-1")]

    first, second = capsys.readouterr().out.split("\n}\n")[:2]
    found, missed = json.loads(first + "}"), json.loads(second + "}")
    assert codes == [0, 1]
    assert (found["found"], missed["found"]) == (True, False)
    (record,) = found["records"]
    assert record["arrivals"][0]["batches"][0]["confirmed_at"] == "2026-11-22T12:00:00.000Z"
    assert record["rows"][0]["values"]["created_at"] == "2026-11-22T10:11:12.345Z"


def test_values_that_json_does_not_have_become_texts() -> None:
    naive = NOON.replace(tzinfo=None)

    assert as_json([float("nan"), naive, b"ab", NOON.date(), {1}]) == [
        *("nan", "2026-11-22T12:00:00.000Z", "<2 bytes>", "2026-11-22", [1])
    ]


def test_text_shows_the_way_in_order_and_no_control_character(
    world: TracedWorld, capsys: pytest.CaptureFixture[str]
) -> None:
    world.send((0, 4), ticket_id="A\u001b1")
    world.tables |= in_tables("A\u001b1", (0, 4))
    world.confirm(Counts(read=1, stored=1), {0: (4, 5)})

    assert trace(world.settings, "A\u001b1", "tickets", 100, "text") == 0

    printed = capsys.readouterr().out
    lines = printed.splitlines()
    assert "\u001b" not in printed
    assert lines[0] == "A\\x1b1 · pipeline tickets"
    assert lines[2] == f"Message: {TOPIC}/0/4, Kafka time 2026-11-22T12:00:00.004Z"
    assert lines[3] == "  stored"
    assert lines[4].startswith("  batch 7 of tickets, in the ledger since 2026-11-22T12:00:00.000Z")
    assert any(line.startswith("Stored in Cassandra, support.tickets_by_team") for line in lines)
    assert any(line.startswith("Searched: Cassandra support.tickets; ") for line in lines)
