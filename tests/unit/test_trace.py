"""`millrace trace` on a broker, a ledger and tables in memory."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from operations.masking import MASK
from operations.trace.find import Limits
from operations.trace.on_broker import MOST_ARRIVALS
from operations.trace.trace import lines_of
from spark_jobs.state.ledger import Counts
from tests.support.builders import ticket
from tests.support.fake_broker import FakeMessage
from tests.support.traced_world import (
    CREATED,
    LETTERS,
    NOON,
    NOON_MS,
    TOPIC,
    TracedWorld,
    in_tables,
    outcomes,
    traced_world,
)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> TracedWorld:
    return traced_world(monkeypatch, tmp_path)


def test_stored_record_is_shown_with_message_batch_and_every_row(world: TracedWorld) -> None:
    world.send((0, 4), ticket_id="A-1")
    world.send((1, 9), ticket_id="A-2")
    world.tables |= in_tables("A-1", (0, 4))
    world.confirm(Counts(read=2, stored=2), {0: (4, 5), 1: (9, 10)})

    record = world.one("A-1")

    (arrival,) = record.arrivals
    assert (arrival.source, arrival.outcome) == (f"{TOPIC}/0/4", "stored")
    assert arrival.timestamp == NOON + timedelta(milliseconds=4)
    (batch,) = arrival.batches
    assert (batch.ledger, batch.batch_id, batch.confirmed_at) == ("tickets", 7, NOON)
    assert batch.sinks == ("cassandra", "mongodb")
    assert arrival.value is not None
    assert json.loads(arrival.value)["request"] == MASK
    assert [(row.place, row.source) for row in record.rows] == [
        ("support.tickets", f"{TOPIC}/0/4"),
        ("support.tickets_by_team", f"{TOPIC}/0/4"),
    ]
    assert all(row.values["request"] == MASK for row in record.rows)
    assert record.rows[0].values["client_id"] == "CLIENT_42"
    # The second table is asked by the whole key, which the first one's row gives.
    assert world.asked[1] == (
        "support.tickets_by_team",
        {
            "assigned_team": "Billing",
            "created_hour": datetime.fromisoformat("2026-11-22T10:00:00"),
            "created_at": CREATED,
            "ticket_id": "A-1",
        },
    )
    assert record.not_searched == ()


def test_of_several_arrivals_the_stored_one_is_named(world: TracedWorld) -> None:
    for offset in (4, 6, 8):
        world.send((0, offset), ticket_id="A-1")
    world.send((0, 9), ticket_id="A-1", priority=...)
    world.tables |= in_tables("A-1", (0, 6))
    world.reject((0, 9), "missing_priority")
    world.confirm(Counts(4, 1, 1, 0, 2), {0: (4, 10)})

    record = world.one("A-1")

    assert outcomes(record) == [
        (f"{TOPIC}/0/4", "duplicate"),
        (f"{TOPIC}/0/6", "stored"),
        (f"{TOPIC}/0/8", "duplicate"),
        (f"{TOPIC}/0/9", "rejected"),
    ]
    assert record.arrivals[0].why == f"duplicate: the id is stored from {TOPIC}/0/6"
    assert record.arrivals[3].reasons == ("missing_priority",)
    assert record.arrivals[3].letter is not None
    assert record.arrivals[3].letter.state == "waiting"


def test_stored_arrival_is_shown_although_many_others_were_found(world: TracedWorld) -> None:
    for offset in range(25):
        world.send((0, offset), ticket_id="A-1")
    world.tables |= in_tables("A-1", (0, 2))
    world.confirm(Counts(25, 1, 0, 0, 24), {0: (0, 25)})

    record = world.one("A-1", limits=Limits(messages=22))

    assert outcomes(record)[0] == (f"{TOPIC}/0/2", "stored")
    assert len(record.arrivals) == MOST_ARRIVALS
    assert [each for each in record.not_searched if "more arrivals" in each] == [
        "2 more arrivals: not shown",
        "1 more arrivals that were found: not shown",
    ]


def test_coordinates_of_a_duplicate_lead_to_the_stored_arrival(world: TracedWorld) -> None:
    for offset in (4, 8):
        world.send((0, offset), ticket_id="A-1")
    world.tables |= in_tables("A-1", (0, 4))
    world.confirm(Counts(2, 1, 0, 0, 1), {0: (4, 9)})

    record = world.one(f"{TOPIC}/0/8", limits=Limits(messages=0))

    assert record.id == "A-1"
    assert outcomes(record) == [(f"{TOPIC}/0/4", "stored"), (f"{TOPIC}/0/8", "duplicate")]


@pytest.mark.parametrize(
    ("counts", "outcome"),
    [
        (Counts(read=1, filtered=1), "filtered"),
        (Counts(read=1, duplicates=1), "duplicate"),
        # A duplicate's first arrival would be in the table that was asked.
        (Counts(read=3, stored=1, filtered=1, duplicates=1), "filtered"),
        (Counts(read=1, stored=1), "stored"),
    ],
)
def test_without_a_row_the_counts_of_the_batch_say_what_became_of_a_message(
    world: TracedWorld, counts: Counts, outcome: str
) -> None:
    world.send((0, 4), ticket_id="A-1")
    world.confirm(counts, {0: (4, 7)})

    assert outcomes(world.one("A-1")) == [(f"{TOPIC}/0/4", outcome)]


def test_without_a_table_to_ask_a_message_may_be_filtered_or_a_duplicate(
    world: TracedWorld,
) -> None:
    world.no_cassandra = True
    world.send((0, 3), ticket_id="A-0")
    for offset in (4, 6):
        world.send((0, offset), ticket_id="A-1")
    world.confirm(Counts(read=3, stored=1, filtered=1, duplicates=1), {0: (4, 7)})

    # The first of all that ever came cannot be a duplicate.
    assert [outcome for _, outcome in outcomes(world.one("A-1"))] == [
        "filtered",
        "filtered or duplicate",
    ]
    world.broker.first[TOPIC] = 3
    assert [outcome for _, outcome in outcomes(world.one("A-1"))] == ["filtered or duplicate"] * 2


def test_message_that_no_batch_has_read_is_waiting_or_was_left_out(world: TracedWorld) -> None:
    for offset in (1, 3, 9):
        world.send((0, offset), ticket_id=f"A-{offset}")
    world.confirm(Counts(read=2, stored=2), {0: (6, 8)}, lost={0: (3, 6)})

    assert [world.one(f"A-{offset}").arrivals[0].why for offset in (1, 3, 9)] == [
        "not read: the job began after it (`--starting-offsets latest`)",
        "not read: it had expired, and its loss was accepted before batch 7",
        "waiting: no confirmed batch has read it yet",
    ]


def test_message_that_expired_is_said_so_and_its_rows_are_shown(world: TracedWorld) -> None:
    world.send((0, 4), ticket_id="A-1")
    world.send((0, 9), ticket_id="A-2")
    world.broker.first[TOPIC] = 8
    world.tables |= in_tables("A-1", (0, 4))
    world.confirm(Counts(read=6, stored=6), {0: (4, 10)})

    (arrival,) = world.one("A-1").arrivals

    assert (arrival.outcome, arrival.value, arrival.timestamp) == ("stored", None, None)
    assert arrival.absent == "expired: the topic begins at offset 8 of partition 0"
    assert [b.batch_id for b in arrival.batches] == [7]


def test_rejected_message_that_expired_is_read_from_the_dead_letter_topic(
    world: TracedWorld,
) -> None:
    world.send((0, 4), ticket_id="A-1")
    world.send((0, 9), ticket_id="A-2")
    world.broker.first[TOPIC] = 8
    world.reject((0, 4), "missing_priority")
    world.confirm(Counts(6, 5, 1), {0: (4, 10)})
    value = json.dumps(ticket(ticket_id="A-1", priority=...)).encode()
    world.copy(LETTERS, (2, 0), b"other", f"{TOPIC}/0/5")
    world.copy(LETTERS, (2, 1), value, f"{TOPIC}/0/4")

    record = world.one(f"{TOPIC}/0/4")

    (arrival,) = record.arrivals
    assert (record.id, arrival.outcome, arrival.reasons) == (
        "A-1",
        "rejected",
        ("missing_priority",),
    )
    assert arrival.value is not None
    assert json.loads(arrival.value)["ticket_id"] == "A-1"


def test_redriven_dead_letter_names_the_message_that_was_sent_back(world: TracedWorld) -> None:
    broken = json.dumps(ticket(ticket_id="A-1", priority=...)).encode()
    world.broker.put(TOPIC, (0, 4), broken, NOON_MS)
    sent = (("redrives", b"1"), ("redriven_from", f"{TOPIC}/0/4".encode()))
    world.broker.put_message(FakeMessage(TOPIC, (1, 3), broken, NOON_MS + 9_000, sent))
    note = f"{TOPIC}/0/4".encode()
    world.broker.put_message(
        FakeMessage(f"{TOPIC}-redriven", (0, 0), None, NOON_MS + 9_000, named=note)
    )
    for place in ((0, 4), (1, 3)):
        world.reject(place, "missing_priority")
    world.confirm(Counts(2, 0, 2), {0: (4, 5), 1: (3, 4)})

    first, second = world.one("A-1").arrivals

    assert first.letter is not None
    assert second.letter is not None
    assert (first.letter.state, first.letter.redriven_to) == ("redriven", f"{TOPIC}/1/3")
    assert (second.redrives, second.redriven_from) == (1, f"{TOPIC}/0/4")
    assert second.letter.state == "waiting"
    parked = world.settings.model_copy(update={"max_redrives": 1})
    world.settings = parked
    assert world.one("A-1").arrivals[1].letter == replace(second.letter, state="parked")


def test_id_that_never_came_is_not_found_and_says_what_was_searched(world: TracedWorld) -> None:
    for offset in range(10):
        world.send((0, offset), ticket_id=f"A-{offset}")

    found = world.find("Z-1", limits=Limits(messages=4))

    (record,) = found.records
    assert not found.is_found
    assert record.searched == (
        "Cassandra support.tickets",
        f"the newest 4 offsets of {TOPIC}",
    )
    assert any(each.startswith(f"other messages of {TOPIC}: ") for each in record.not_searched)
    # What the first table does not have, the second one cannot have.
    assert not any("tickets_by_team" in each for each in record.not_searched)
    assert "No trace of Z-1" in "\n".join(lines_of(found))


def test_table_that_cannot_be_asked_is_named_when_the_first_one_has_lost_its_row(
    world: TracedWorld,
) -> None:
    world.send((0, 4), ticket_id="A-1")
    world.confirm(Counts(read=1, stored=1), {0: (4, 5)})

    record = world.one("A-1")

    assert (record.arrivals[0].outcome, record.rows) == ("stored", ())
    assert "Cassandra support.tickets" in record.searched
    (said,) = [each for each in record.not_searched if "tickets_by_team" in each]
    assert said == (
        "Cassandra support.tickets_by_team: its key has `created_hour`, which is computed from what"
        " is not known here"
    )


def test_search_ends_in_time_and_says_how_far_it_came(world: TracedWorld) -> None:
    world.send((0, 4), ticket_id="A-1")

    record = world.one("A-1", limits=Limits(seconds=-1))

    assert f"0 messages among all 5 offsets of {TOPIC}" in record.searched
    assert any(each.startswith(f"other messages of {TOPIC}: ") for each in record.not_searched)
    assert not record.is_found


def test_offset_that_the_topic_does_not_have_is_no_arrival(world: TracedWorld) -> None:
    world.send((0, 4), ticket_id="A-1")

    found = world.find(f"{TOPIC}/0/99")

    assert not found.is_found
    (record,) = found.records
    assert record.not_searched == (f"{TOPIC}/0/99: the topic ends before offset 5 of partition 0",)


def test_unreadable_message_is_found_by_its_place_and_by_an_id_in_its_bytes(
    world: TracedWorld,
) -> None:
    world.broker.put(TOPIC, (0, 4), b"{'ticket_id': 'A1B2C3D4'}", NOON_MS)
    world.reject((0, 4), "unparseable")
    world.confirm(Counts(1, 0, 1), {0: (4, 5)})

    by_place, by_id = world.one(f"{TOPIC}/0/4"), world.one("A1B2C3D4")

    assert (by_place.id, by_id.id) == (None, "A1B2C3D4")
    for record in (by_place, by_id):
        (arrival,) = record.arrivals
        assert arrival.reasons == ("unparseable",)
        assert "A1B2C3D4" not in str(arrival.value)


def test_what_does_not_answer_is_named_once_and_the_rest_is_shown(world: TracedWorld) -> None:
    world.tables |= in_tables("A-1", (0, 4))
    world.broker.is_away = True

    (record,) = world.find("A-1").records

    assert [row.place for row in record.rows] == ["support.tickets", "support.tickets_by_team"]
    assert record.arrivals[0].absent == "the topic could not be read"
    (said,) = [each for each in record.not_searched if "Kafka" in each]
    assert said == f"topic {TOPIC}: Cannot reach Kafka. Start it with `make up`"

    world.broker.is_away, world.no_cassandra = False, True
    world.send((0, 4), ticket_id="A-1")
    world.confirm(Counts(read=1, stored=1), {0: (4, 5)})
    (record,) = world.find("A-1").records
    assert record.arrivals[0].outcome == "stored"
    assert "no row was found" in record.arrivals[0].why
    assert any("Cannot reach Cassandra" in each for each in record.not_searched)


def test_message_that_cannot_be_read_is_not_called_a_duplicate(world: TracedWorld) -> None:
    world.send((0, 4), ticket_id="A-1")
    world.confirm(Counts(read=3, stored=2, duplicates=1), {0: (4, 7)})
    world.broker.is_away = True

    (arrival,) = world.one(f"{TOPIC}/0/4").arrivals

    assert (arrival.outcome, arrival.absent) == ("unknown", "the topic could not be read")
    assert arrival.why == "unknown: the message cannot be read, and its batch had duplicates too"
