"""`make verify` on a world of its own: clean, then with one thing changed behind its back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from operations.verify.account import Account
from operations.verify.accounts import take_accounts
from spark_jobs.profiles import PROFILES
from spark_jobs.tickets import TICKETS
from tests.integration.test_tickets_pipeline import ticket
from tests.support.builders import payload, profile
from tests.support.pipelines import MakeWorld
from tests.support.world import World

pytestmark = pytest.mark.usefixtures("compiled")

Harm = Callable[[World], object]


def account_of(world: World) -> Account:
    (account,) = take_accounts(world.settings, world.database, world.spark, [world.pipeline])
    return account


def tickets_world(make_world: MakeWorld) -> World:
    world = make_world(TICKETS)
    world.send(
        ticket("A", client_id="C1"),
        ticket("B", client_id="C2", priority="critical"),
        ticket("C", client_id="C2", request_type="technical"),
        ticket("D", client_id="C3", created_at="2026-11-23T10:05:00Z"),
        ticket("A"),
        (None, b"garbage"),
        partition=0,
    )
    world.process()
    return world


def profiles_world(make_world: MakeWorld) -> World:
    world = make_world(PROFILES)
    ids = [f"{digit}7155000-95f4-4b29-9d80-0aa0c2ee9f40" for digit in "13f"]
    records: list[dict[str, Any]] = [
        profile(login__uuid=ids[0], dob__date="1990-05-17T08:30:00Z"),
        profile(login__uuid=ids[1], dob__date="2000-05-17T08:30:00Z", nat=..., gender=...),
        profile(login__uuid=ids[2], dob__date="1950-05-17T08:30:00Z", nat="DE"),
    ]
    sent = [(r["login"]["uuid"].encode(), payload(r)) for r in records]
    # 2026-11-22T10:15:00Z: they are 36, 26 and 76 years old.
    world.send(*sent, partition=0, timestamp_ms=1_795_342_500_000)
    world.process()
    return world


@pytest.mark.parametrize("prepare", [tickets_world, profiles_world])
def test_untouched_world_has_no_fault(
    make_world: MakeWorld, prepare: Callable[[MakeWorld], World]
) -> None:
    account = account_of(prepare(make_world))

    assert account.faults == []
    assert account.balanced
    assert {store.store for store in account.stores} == {"Kafka", "Cassandra", "MongoDB"}
    assert all(store.found for store in account.stores[2:])


def shift_between_teams(world: World) -> None:
    teams = world.database["tickets_by_team"]
    teams.update_one({"_id": "2026-11-22|Billing"}, {"$inc": {"count": 1}})
    teams.update_one({"_id": "2026-11-22|Technical Support"}, {"$inc": {"count": -1}})


def delete_row_of_a_team(world: World) -> None:
    (row,) = [row for row in world.rows("tickets_by_team") if row["ticket_id"] == "B"]
    world.session.execute(
        f"DELETE FROM {world.keyspace}.tickets_by_team WHERE assigned_team = %s"
        " AND created_hour = %s AND created_at = %s AND ticket_id = %s",
        (row["assigned_team"], row["created_hour"], row["created_at"], "B"),
    )


def change_priority_of_a_row(world: World) -> None:
    update = f"UPDATE {world.keyspace}.tickets SET priority = 'low' WHERE ticket_id = 'B'"
    world.session.execute(update)


def change_unique_clients(world: World) -> None:
    metrics = world.database["ticket_metrics"]
    metrics.update_one({"_id": "2026-11-22"}, {"$set": {"unique_clients": 5}})


def move_a_day(world: World) -> None:
    documents = world.database["tickets_by_type"]
    moved = documents.find_one_and_delete({"_id": "2026-11-23|billing"})
    assert moved is not None
    documents.insert_one(moved | {"_id": "2026-11-24|billing", "day": "2026-11-24"})


@pytest.mark.parametrize(
    ("harm", "expected"),
    [
        (
            shift_between_teams,
            [
                "MongoDB {db}.tickets_by_team: `2026-11-22|Billing`: `count` is 3,"
                " by the rows of {ks}.tickets it is 2 (+1)",
                "MongoDB {db}.tickets_by_team: `2026-11-22|Technical Support`: `count` is 0,"
                " by the rows of {ks}.tickets it is 1 (-1)",
            ],
        ),
        (
            delete_row_of_a_team,
            [
                "Cassandra {ks}.tickets_by_team: the number of rows is 3, the ledger says 4 (-1)",
                "Cassandra {ks}.tickets_by_team: `B` is missing; {ks}.tickets has it",
            ],
        ),
        (
            change_priority_of_a_row,
            [
                "Cassandra {ks}.tickets_by_team: `B` differs from {ks}.tickets in priority",
                "Cassandra {ks}.tickets: `B` differs from its message on {topic} in priority",
                "MongoDB {db}.tickets_by_priority: `2026-11-22|critical` is there, but no row of"
                " {ks}.tickets belongs to it",
                "MongoDB {db}.tickets_by_priority: `2026-11-22|low` is missing; the rows of"
                " {ks}.tickets give count 1",
                "MongoDB {db}.ticket_metrics: `2026-11-22`: `critical_priority_count` is 1,"
                " by the rows of {ks}.tickets it is 0 (+1)",
            ],
        ),
        (
            change_unique_clients,
            [
                "MongoDB {db}.ticket_metrics: `2026-11-22`: `unique_clients` is 5, by the rows of"
                " {ks}.tickets it is 2 (+3); an estimate may differ by 2",
            ],
        ),
        (
            move_a_day,
            [
                "MongoDB {db}.tickets_by_type: `2026-11-24|billing` is there, but no row of"
                " {ks}.tickets belongs to it",
                "MongoDB {db}.tickets_by_type: `2026-11-23|billing` is missing; the rows of"
                " {ks}.tickets give count 1",
            ],
        ),
    ],
)
def test_harm_to_tickets_is_reported_place_by_place(
    make_world: MakeWorld, harm: Harm, expected: list[str]
) -> None:
    world = tickets_world(make_world)

    harm(world)

    names = {"ks": world.keyspace, "db": world.database.name, "topic": world.topic}
    assert account_of(world).faults == [line.format(**names) for line in expected]


def change_average_age(world: World) -> None:
    world.database["profile_metrics"].update_one({}, {"$set": {"average_age": 46.1}})


def delete_unknown_gender(world: World) -> None:
    world.database["profiles_by_gender"].update_one({"_id": "female"}, {"$inc": {"count": 1}})
    world.database["profiles_by_gender"].delete_one({"_id": "unknown"})


@pytest.mark.parametrize(
    ("harm", "expected"),
    [
        (
            change_average_age,
            [
                "MongoDB {db}.profile_metrics: `all`: `average_age` is 46.100000, by the rows of"
                " {ks}.users_profiles it is 46.000000 (+0.100000)",
            ],
        ),
        (
            delete_unknown_gender,
            [
                "MongoDB {db}.profiles_by_gender: `female`: `count` is 3, by the rows of"
                " {ks}.users_profiles it is 2 (+1)",
                "MongoDB {db}.profiles_by_gender: `unknown` is missing; the rows of"
                " {ks}.users_profiles give count 1",
            ],
        ),
    ],
)
def test_harm_to_profiles_is_reported_place_by_place(
    make_world: MakeWorld, harm: Harm, expected: list[str]
) -> None:
    world = profiles_world(make_world)

    harm(world)

    names = {"ks": world.keyspace, "db": world.database.name, "topic": world.topic}
    assert account_of(world).faults == [line.format(**names) for line in expected]


def test_beginning_that_is_gone_from_the_ledger_is_reported(make_world: MakeWorld) -> None:
    world = make_world(TICKETS)
    world.send(ticket("A"), ticket("B"), partition=0)
    world.process()
    world.send(ticket("C"), partition=0)
    world.process()

    world.database["batches"].delete_one({"batch_id": 0})

    assert (
        account_of(world)
        .faults[0]
        .startswith(
            "ledger: batch 0 (partition 0, offsets 0 to 1) is missing; Spark's checkpoint has"
        )
    )
