"""`make verify` names what is lost, doubled or foreign: ids of rows, coordinates of messages."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from confluent_kafka import Producer

from operations.verify.account import Account
from operations.verify.accounts import take_accounts
from runtime.config.topic_names import dead_letter_topic
from spark_jobs.run import batch_writer
from spark_jobs.run import query as pipeline_run
from spark_jobs.tickets import TICKETS
from tests.integration.test_tickets_pipeline import SENT_MS, ticket
from tests.integration.test_verify import account_of, tickets_world
from tests.support.pipelines import MakeWorld
from tests.support.starts import age_out
from tests.support.world import World

TEAM_KEY = ("assigned_team", "created_hour", "created_at", "ticket_id")


def row_of(world: World, table: str, ticket_id: str) -> dict[str, Any]:
    (row,) = [row for row in world.rows(table) if row["ticket_id"] == ticket_id]
    return row


def insert(world: World, table: str, row: dict[str, Any]) -> None:
    marks = ", ".join(["%s"] * len(row))
    world.session.execute(
        f"INSERT INTO {world.keyspace}.{table} ({', '.join(row)}) VALUES ({marks})",
        list(row.values()),
    )


def delete_everywhere(world: World, ticket_id: str) -> None:
    row = row_of(world, "tickets_by_team", ticket_id)
    world.session.execute(
        f"DELETE FROM {world.keyspace}.tickets_by_team WHERE assigned_team = %s"
        " AND created_hour = %s AND created_at = %s AND ticket_id = %s",
        [row[name] for name in TEAM_KEY],
    )
    world.session.execute(
        f"DELETE FROM {world.keyspace}.tickets WHERE ticket_id = %s", (ticket_id,)
    )


def test_lost_doubled_and_foreign_rows_are_named_by_id(make_world: MakeWorld) -> None:
    """The number of rows in `tickets` is right: one is lost, one was never sent."""
    world = tickets_world(make_world)
    delete_everywhere(world, "B")
    doubled = row_of(world, "tickets_by_team", "C")
    insert(world, "tickets_by_team", doubled | {"created_at": doubled["created_hour"]})
    for table in ("tickets", "tickets_by_team"):
        insert(world, table, row_of(world, table, "D") | {"ticket_id": "X"})

    faults = account_of(world).faults

    cassandra = f"Cassandra {world.keyspace}"
    assert [fault for fault in faults if fault.startswith("Cassandra")] == [
        f"{cassandra}.tickets_by_team: the number of rows is 5, the ledger says 4 (+1)",
        f"{cassandra}.tickets_by_team: `C` is there 2 times",
        f"{cassandra}: `B` is lost: the topic holds it as a valid message, no table does",
        f"{cassandra}.tickets: `X` is there, but the topic holds no valid message of it",
    ]
    assert (
        f"MongoDB {world.keyspace}.tickets_by_team: `2026-11-23|Billing`: `count` is 1, by the"
        f" rows of {world.keyspace}.tickets it is 2 (-1)"
    ) in faults


def test_rows_changed_alike_in_every_table_differ_from_their_messages(
    make_world: MakeWorld,
) -> None:
    world = tickets_world(make_world)
    for ticket_id, change in (("B", {"request": "other"}), ("C", {"kafka_offset": 0})):
        for table in ("tickets", "tickets_by_team"):
            insert(world, table, row_of(world, table, ticket_id) | change)

    assert account_of(world).faults == [
        f"Cassandra {world.keyspace}.tickets: `{ticket_id}` differs from its message on"
        f" {world.topic} in {column}"
        for ticket_id, column in (("B", "request"), ("C", "kafka_offset"))
    ]


def test_row_under_the_wrong_hour_is_named(make_world: MakeWorld) -> None:
    world = tickets_world(make_world)
    row = row_of(world, "tickets_by_team", "B")
    world.session.execute(
        f"DELETE FROM {world.keyspace}.tickets_by_team WHERE assigned_team = %s"
        " AND created_hour = %s AND created_at = %s AND ticket_id = %s",
        [row[name] for name in TEAM_KEY],
    )
    insert(world, "tickets_by_team", row | {"created_hour": datetime(2026, 11, 22, 9)})  # noqa: DTZ001

    assert account_of(world).faults == [
        f"Cassandra {world.keyspace}.tickets_by_team: `B` differs from {world.keyspace}.tickets in"
        " created_hour"
    ]


def send_dead_letter(world: World, partition: int, offset: int) -> None:
    """A message as the job writes them, of any source coordinates."""
    producer = Producer(world.settings.kafka_client_options())
    headers = {"source_topic": world.topic, "source_partition": partition, "source_offset": offset}
    producer.produce(
        dead_letter_topic(world.topic),
        value=b"kept",
        headers=[(name, str(value).encode()) for name, value in headers.items()],
    )
    assert producer.flush(30) == 0


def test_dead_letters_missing_or_too_many_are_named_by_coordinates(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = make_world(TICKETS)
    world.send(ticket("A"), (None, b"one"), (None, b"two"), partition=0)
    world.process()
    monkeypatch.setattr(batch_writer, "send_dead_letters", lambda *_: None)
    world.send((None, b"three"), partition=1)
    world.process()
    send_dead_letter(world, 0, 0)  # ticket A
    world.database["dead_letters"].delete_one({"_id": f"{world.topic}/0/2"})

    faults = account_of(world).faults

    kafka = f"Kafka {world.topic}-dead-letter"
    mongodb = f"MongoDB {world.keyspace}.dead_letters ({world.topic})"
    missing = "is missing; the source topic holds it as a rejected message"
    assert faults == [
        f"{mongodb}: the number of documents is 2, the ledger says 3 (-1)",
        f"{kafka}: batch 0: 3 dead letters, the ledger says 2 (+1)",
        f"{kafka}: batch 1: 0 dead letters, the ledger says 1 (-1)",
        f"{kafka}: `{world.topic}/0/0` is there, but the source topic holds no such rejected"
        " message",
        f"{kafka}: `{world.topic}/1/0` {missing}",
        f"{mongodb}: batch 0: 1 dead letters, the ledger says 2 (-1)",
        f"{mongodb}: `{world.topic}/0/2` {missing}",
    ]


@pytest.mark.usefixtures("no_pause")
def test_ids_that_came_again_after_the_days_of_deduplication_are_named(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The clock is moved forward by the floor under it, as no test can wait for days."""
    world = make_world(TICKETS)
    now = datetime.now(UTC)
    # The batch after the one that moved the watermark clears the state: more than two are needed.
    for day, ticket_id in ((0, "A"), (0, "D"), (3, "D"), (7.1, "B"), (7.2, "C"), (7.3, "A")):
        later = now + timedelta(days=day)
        monkeypatch.setattr(pipeline_run, "earliest_clock", lambda *_, later=later: later)
        world.send(ticket(ticket_id), timestamp_ms=SENT_MS + int(day * 24 * 3600 * 1000))
        world.process(deduplication_days=7)

    faults = account_of(world).faults

    tickets = f"Cassandra {world.keyspace}.tickets"
    assert [fault for fault in faults if fault.startswith("Cassandra")] == [
        f"{tickets}: the number of rows is 4, the ledger says 5 (-1)",
        f"{tickets}_by_team: the number of rows is 4, the ledger says 5 (-1)",
        f"{tickets}: `A` came again after DEDUPLICATION_DAYS (7): outside the promise, the ledger"
        " and the aggregates count it again",
    ]


@pytest.mark.parametrize("sinks", [("cassandra",), ("mongodb",)], ids=lambda sinks: sinks[0])
def test_one_store_alone_is_verified_too(make_world: MakeWorld, sinks: tuple[str, ...]) -> None:
    world = make_world(TICKETS)
    world.send(ticket("A"), ticket("B"), (None, b"garbage"), partition=0)
    world.process(sinks=sinks)
    settings = world.settings.model_copy(update={"sinks": sinks})

    def account() -> Account:
        (found,) = take_accounts(settings, world.database, world.spark, [world.pipeline])
        return found

    before = account()
    if sinks == ("cassandra",):
        delete_everywhere(world, "A")
    else:
        world.database["tickets_by_type"].update_one({}, {"$inc": {"count": 1}})

    assert before.balanced
    assert {store.store.lower() for store in before.stores[2:]} == {*sinks}
    expected = {
        "cassandra": f"Cassandra {world.keyspace}: `A` is lost: the topic holds it as a valid"
        " message, no table does",
        "mongodb": f"MongoDB {world.keyspace}.tickets_by_type: the sum of `count` is 3, the ledger"
        " says 2 (+1)",
    }
    assert expected[sinks[0]] in account().faults


def test_messages_that_aged_out_unread_are_named(make_world: MakeWorld) -> None:
    world = make_world(TICKETS)
    world.send(ticket("A"), ticket("B"), partition=0)
    world.process()
    world.send(ticket("C"), ticket("D"), partition=0)
    age_out(world, 4)

    assert account_of(world).faults == [
        "ledger: partition 0, offsets 2 to 3 were never read and are gone from the broker"
        " (2 messages)"
    ]


def test_ledger_of_another_topic_or_query_is_reported(make_world: MakeWorld) -> None:
    world = make_world(TICKETS)
    for name in "AB":
        world.send(ticket(name), partition=0)
        world.process()
    batches = world.database["batches"]

    (topic_id,) = batches.distinct("topic_id")
    other = {"$set": {"topic_id": "AAAAAAAAAAAAAAAAAAAAAQ"}}
    batches.update_one({"batch_id": 1}, other)
    of_batch, remedy = account_of(world).faults
    assert of_batch == (
        f"ledger: batch 1: `topic_id` is `AAAAAAAAAAAAAAAAAAAAAQ`, it must be `{topic_id}`"
    )
    assert remedy.startswith("ledger: restore `batches` from a backup; or delete the wrong entries")

    batches.update_many({}, other)
    assert (
        f"ledger: its batches belong to a former topic {world.topic}; the present one was created"
        " again and is not read"
    ) in account_of(world).faults

    (query_id,) = batches.distinct("query_id")
    batches.update_one({"batch_id": 0}, {"$set": {"topic": "elsewhere", "query_id": "other"}})
    assert {
        f"ledger: batch 0: `query_id` is `other`, it must be `{query_id}`",
        f"ledger: batch 0: `topic` is `elsewhere`, it must be `{world.topic}`",
    } <= {*account_of(world).faults}


def test_ledger_whose_counts_differ_from_the_topic_is_reported(make_world: MakeWorld) -> None:
    world = tickets_world(make_world)
    changes = {"read": 1, "filtered": 1}
    world.database["batches"].update_one({}, {"$inc": changes})

    assert account_of(world).faults == [
        "ledger: read is 7, in these offsets the topic has 6 (+1)",
        "ledger: filtered is 1, in these offsets the topic has 0 (+1)",
    ]
