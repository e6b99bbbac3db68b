"""`make verify` and `millrace replay` with every sink of records, not Cassandra's tables alone."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import pytest

from errors import JobError, SinkRejected
from operations.repair.apply import apply_replay
from operations.repair.compact import compact_pipeline
from operations.repair.range import understood
from operations.repair.replay import planned
from operations.status import show_status
from operations.verify.account import Account
from operations.verify.accounts import take_accounts
from settings import OUTPUT_FORMATS, Settings
from spark_jobs.pipeline import Pipeline
from spark_jobs.profiles import PROFILES
from spark_jobs.sinks.files.rows import show_set
from spark_jobs.tickets import TICKETS
from sql.client import transaction
from tests.integration.test_profiles_pipeline import profile
from tests.integration.test_tickets_pipeline import ticket
from tests.support.pipelines import MakeWorld
from tests.support.texts import HARD_TEXTS, random_texts
from tests.support.world import World

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

    faults = faults_of(world)
    assert any(f"`{second}` differs from the topic {world.topic} in age" in line for line in faults)
    assert any("profiles_by_gender: `female`" in line and "(+1)" in line for line in faults)


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
    plan = planned(world.settings, world.database, request)
    apply_replay(plan, world.settings, world.spark, world.database, print)


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


@pytest.mark.parametrize(
    ("stored", "formats", "setting"),
    [
        (("csv", "parquet"), "csv,parquet", ("parquet",)),
        (("parquet",), "parquet", ("json",)),
    ],
)
def test_files_are_judged_in_the_formats_that_are_stored(
    make_world: MakeWorld,
    stack_settings: Settings,
    capsys: pytest.CaptureFixture[str],
    stored: tuple[str, ...],
    formats: str,
    setting: tuple[str, ...],
) -> None:
    """And counted, merged and missed in them, whatever OUTPUT_FORMAT says."""
    world = world_of(make_world, TICKETS, ("cassandra", "files", "mongodb"))
    settings = world.settings.model_copy(update={"output_format": setting})
    for name in "AB":
        world.send(ticket(name, created_at="2026-11-21T10:00:00Z"), partition=0)
        world.process(output_format=stored)
    places = [f"tickets_with_assignment ({form})" for form in stored]
    differs = f"files of tickets in `{settings.output_path}` are {formats}, OUTPUT_FORMAT is"

    def taken() -> Account:
        (account,) = take_accounts(settings, world.database, world.spark, [world.pipeline])
        return account

    account = taken()
    assert account.faults == []
    found = {store.place: store.found for store in account.stores if store.store == "files"}
    assert {place: found[place] for place in places} == dict.fromkeys(places, 2)
    note = f"{differs} {setting[0]}; set OUTPUT_FORMAT={formats} for the next job"
    assert account.notes == [note]
    capsys.readouterr()
    place = {"output_path": settings.output_path, "output_format": setting, "sinks": ("files",)}
    show_status(stack_settings.model_copy(update=place))
    printed = capsys.readouterr().out
    assert f"{note}.\n" in printed
    assert [place in printed for place in places] == [True] * len(places)

    compact_pipeline(world.spark, settings, world.database, world.pipeline)
    printed = capsys.readouterr().out
    assert printed.count("tickets_with_assignment/") == len(stored)
    assert printed.count("; 2 rows before and after") == 2 * len(stored)
    assert taken().faults == []

    folder = Path(settings.output_path) / "tickets_with_assignment"
    shutil.rmtree(folder / stored[0] if len(stored) > 1 else folder)
    assert taken().faults[0] == (
        f"files {places[0]}: the number of rows is 0, the ledger says 2 (-2)"
    )


def test_place_without_the_files_and_a_damaged_file_are_named_by_their_setting(
    make_world: MakeWorld, tmp_path: Path
) -> None:
    world = world_of(make_world, TICKETS, ("cassandra", "files", "mongodb"))
    world.send(ticket("A"))
    world.process()
    elsewhere = world.settings.model_copy(update={"output_path": str(tmp_path / "elsewhere")})

    (account,) = take_accounts(elsewhere, world.database, world.spark, [world.pipeline])
    assert account.faults[0].startswith("files tickets_with_assignment (parquet): the number of")
    assert account.notes == []
    assert account.faults[2:3] == [
        f"files: OUTPUT_PATH is `{elsewhere.output_path}`, where `_millrace/tickets.json` is"
        " missing: the job wrote to another place, or it was deleted. Set OUTPUT_PATH to where the"
        " files are, or bring the file back"
    ]

    (file,) = (Path(world.settings.output_path) / "tickets_with_assignment").rglob("*.parquet")
    file.write_bytes(b"PAR1 no longer")
    place = f"tickets_with_assignment/day=2026-11-22/{file.name}"
    (fault,) = faults_of(world)
    assert fault.startswith(f"files tickets_with_assignment (parquet): `{place}` cannot be read")
    with pytest.raises(SinkRejected, match=r"`tickets_with_assignment` in .* cannot be read"):
        show_set(world.settings, "tickets_with_assignment", 5, (TICKETS,))


def test_every_hard_text_is_one_value_in_every_store(make_world: MakeWorld) -> None:
    """In Cassandra, PostgreSQL, MongoDB and files of each format, as `make verify` compares."""
    texts = [text for text in [*HARD_TEXTS, *random_texts(100, 7)] if len(text) < 200]
    tickets, profiles = world_of(make_world, TICKETS), world_of(make_world, PROFILES)
    of_files = tickets.settings.model_copy(update={"output_format": OUTPUT_FORMATS})
    tickets = dataclasses.replace(tickets, settings=of_files)
    tickets.send(*(ticket(f"T{n}", request=f"x{t}x") for n, t in enumerate(texts)), partition=0)
    person = "7a0eed16-9430-4d68-901f-c0d4c1c3"
    changes = [{"nat": text, "gender": text, "phone": text} for text in texts]
    profiles.send(*(profile(f"{person}{n:04x}", **c) for n, c in enumerate(changes)), partition=0)

    for world in (tickets, profiles):
        world.process()
        assert faults_of(world) == []
        assert world.totals().stored == len(texts)
    stored = {row["ticket_id"]: row["request"] for row in tickets.rows("tickets")}
    assert stored == {f"T{n}": f"x{text}x" for n, text in enumerate(texts)}
