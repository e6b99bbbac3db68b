"""`make verify` and `millrace replay` with every sink of records, not Cassandra's tables alone."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from operations.accounts import take_accounts
from operations.repair_range import understood
from operations.replay import replay_request
from settings import JobError
from spark_jobs.pipeline import Pipeline
from spark_jobs.profiles import PROFILES
from spark_jobs.tickets import TICKETS
from sql.client import transaction
from tests.integration.test_profiles_pipeline import profile
from tests.integration.test_tickets_pipeline import ticket
from tests.support.pipelines import MakeWorld
from tests.support.world import World

pytestmark = pytest.mark.extended

ALL = ("cassandra", "files", "postgres", "mongodb")


def world_of(make_world: MakeWorld, pipeline: Pipeline, sinks: tuple[str, ...] = ALL) -> World:
    world = make_world(pipeline)
    settings = world.settings.model_copy(update={"sinks": sinks})
    return dataclasses.replace(world, settings=settings)


def faults_of(world: World) -> list[str]:
    (account,) = take_accounts(world.settings, world.database, world.spark, [world.pipeline])
    return list(account.faults)


def in_postgres(world: World, statement: str) -> None:
    with transaction(world.settings, "take what the test says") as work:
        work.execute(statement.encode())


def test_rows_that_differ_from_cassandra_are_named_by_id(make_world: MakeWorld) -> None:
    world = world_of(make_world, TICKETS)
    odd = "a\\u0000b\t\\\\n é"
    messages = ticket("A"), ticket("B", request="x" + odd), ticket("C"), (None, b"no ticket")
    world.send(*messages, partition=0)
    world.process()
    assert faults_of(world) == []

    in_postgres(world, "UPDATE tickets SET priority = 'low' WHERE ticket_id = 'A'")
    in_postgres(world, "DELETE FROM tickets WHERE ticket_id = 'B'")
    in_postgres(
        world, "INSERT INTO tickets SELECT 'X', client_id, created_at, request, request_type,"
        " priority, assigned_team, 0, 0, kafka_timestamp FROM tickets LIMIT 1"
    )  # fmt: skip

    source = f"{world.keyspace}.tickets"
    assert faults_of(world) == [
        f"PostgreSQL tickets: `A` differs from {source} in priority",
        f"PostgreSQL tickets: `B` is missing; {source} has it",
        f"PostgreSQL tickets: `X` is there, but not in {source}",
    ]


def test_profiles_without_cassandra_are_compared_with_the_topic(make_world: MakeWorld) -> None:
    world = world_of(make_world, PROFILES, ("postgres", "mongodb"))
    second = "7a0eed16-9430-4d68-901f-c0d4c1c3bf01"
    world.send(profile(), profile(second, nat=None, gender=None), profile())
    world.process()
    assert faults_of(world) == []

    in_postgres(world, f"UPDATE users_profiles SET age = 99 WHERE identifiant = '{second}'")
    world.database["profiles_by_gender"].update_one({"_id": "female"}, {"$inc": {"count": 1}})

    told = faults_of(world)
    assert any(f"`{second}` differs from the topic {world.topic} in age" in line for line in told)
    assert any("profiles_by_gender: `female`" in line and "(+1)" in line for line in told)


def test_sink_that_is_turned_on_later_is_refused_until_it_has_everything(
    make_world: MakeWorld,
) -> None:
    world = world_of(make_world, TICKETS)
    world.send(ticket("A"), ticket("B"))
    world.process(sinks=("cassandra", "mongodb"))
    world.send(ticket("C"), ticket("A"))
    world.process(sinks=("cassandra", "mongodb"))
    world.send(ticket("D"))

    with pytest.raises(JobError, match=rf"(?s)--topic {world.topic} --sink files.*--sink postgres"):
        world.process()
    # One after the other: each time the sinks are those of the ledger and the new one.
    for new, sinks in (("files", ALL[:2] + ALL[3:]), ("postgres", ALL)):
        grown = dataclasses.replace(
            world, settings=world.settings.model_copy(update={"sinks": sinks})
        )
        with pytest.raises(JobError, match="needs all of it"):
            replay(grown, new, "0:1", "latest")
        replay(grown, new, "earliest", "latest")
    world.process()

    assert faults_of(world) == []
    assert world.sql("SELECT count(*) FROM tickets") == [(4,)]


def replay(world: World, sink: str, start: str, end: str) -> None:
    request = understood(world.settings, world.topic, start, end, sink, (world.pipeline,))
    replay_request(world.settings, world.spark, world.database, request)


def test_files_that_differ_are_named_by_id_and_snapshots_by_group(make_world: MakeWorld) -> None:
    world = world_of(make_world, TICKETS, ("cassandra", "files", "mongodb"))
    settings = world.settings.model_copy(update={"output_format": ("csv", "parquet")})
    world = dataclasses.replace(world, settings=settings)
    day = "2026-11-21T10:00:00Z"
    world.send(ticket("A"), ticket("B", created_at=day, priority="low", request_type="general"))
    world.process()
    world.send(ticket("C", client_id="C8"))
    world.process()
    assert faults_of(world) == []

    output = Path(settings.output_path)
    (of_day,) = (output / "tickets_with_assignment" / "csv").glob("day=2026-11-21/*")
    (by_type,) = (output / "tickets_by_type" / "csv").iterdir()
    of_day.unlink()
    by_type.write_text(by_type.read_text().replace("billing,2", "billing,3"))

    source = f"{world.keyspace}.tickets"
    assert faults_of(world) == [
        "files tickets_with_assignment (csv): the number of rows is 2, the ledger says 3 (-1)",
        f"files tickets_with_assignment (csv): `B` is missing; {source} has it",
        f"files tickets_by_type (csv): `billing`: `count` is 3, by the rows of {source} it is 2"
        " (+1)",
    ]
