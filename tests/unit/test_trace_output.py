"""How a trace is printed: as text, and as JSON."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from operations.overview.as_json import as_json
from operations.trace.model import Trace
from operations.trace.trace import trace
from spark_jobs.state.ledger import Counts
from tests.support.builders import profile
from tests.support.traced_world import (
    NOON,
    NOON_MS,
    PROFILES,
    TOPIC,
    TracedWorld,
    in_tables,
    traced_world,
)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> TracedWorld:
    return traced_world(monkeypatch, tmp_path)


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


def test_person_is_masked_in_rows_and_message(world: TracedWorld) -> None:
    place = "usersprofilespace.users_profiles"
    uuid = "a7155000-95f4-4b29-9d80-0aa0c2ee9f40"
    row = {"identifiant": uuid, "full_name": "Lovelace Ada", "age": 36, "gender": "female"}
    row |= {"email": "0" * 64, "kafka_partition": 0, "kafka_offset": 1, "nationality": None}
    world.tables[place] = [row]
    by_nation = row | {"nationality": "unknown", "shard": 10}
    world.tables["usersprofilespace.profiles_by_nationality"] = [by_nation]
    world.broker.put("users_profiles", (0, 1), json.dumps(profile()).encode(), NOON_MS)

    record = world.one(uuid.upper(), PROFILES)

    shown = json.dumps(Trace("x", NOON, (record,)).as_json())
    assert not any(word in shown for word in ("Ada", "Lovelace", "bluecat", "36"))
    assert "female" in shown
    # An absent nationality is `unknown` in the key of the second table.
    assert [r.place.partition(".")[2] for r in record.rows] == [
        "users_profiles",
        "profiles_by_nationality",
    ]
