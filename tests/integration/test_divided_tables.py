"""A table of the platform that a setting divides: written, proven and read like any other."""

from __future__ import annotations

import json
import zlib
from dataclasses import replace
from typing import Any

import pytest

from errors import SinkRejected
from operations import prepare
from operations import show as show_module
from operations.doctor.store_checks import look_at_cassandra
from operations.overview.stores import OpenStores
from operations.repair.apply import apply_replay
from operations.repair.range import understood
from operations.repair.replay import planned
from operations.show import RowFilter, show
from operations.trace.find import Limits, find
from settings import Settings
from spark_jobs.sinks.registry import sinks_of
from spark_jobs.tickets import TICKETS
from tests.integration.test_tickets_pipeline import ticket
from tests.support.own_checks import faults_of
from tests.support.pipelines import MakeWorld
from tests.support.world import World, create_tables, in_keyspace

HOUR = {"assigned_team": "Billing", "created_hour": "2026-11-22T10:00:00Z"}
# Enough for rows in every shard, and for two in most.
IDS = [f"T-{number}" for number in range(40)]
STORED = [*IDS, "EARLIER", "OTHER"]


def with_shards(settings: Settings, shards: int) -> Settings:
    return settings.model_copy(update={"tickets_by_team_shards": shards})


@pytest.fixture
def world(make_world: MakeWorld, stack_settings: Settings) -> World:
    made = make_world(TICKETS.divided(with_shards(stack_settings, 8)))
    return replace(made, settings=with_shards(made.settings, 8))


def send(world: World) -> None:
    times = {each: f"2026-11-22T10:{n:02}:00Z" for n, each in enumerate(IDS)}
    world.send(*(ticket(each, created_at=at) for each, at in times.items()))
    world.send(ticket("EARLIER", created_at="2026-11-22T09:59:00Z"))
    world.send(ticket("OTHER", request_type="account"), (None, b"no ticket"))


@pytest.mark.parametrize("writer", ["connector", "direct"])
def test_rows_are_in_the_shard_of_their_id_and_verify_is_exact(world: World, writer: str) -> None:
    send(world)

    world.process(cassandra_writer=writer)

    found = {row["ticket_id"]: row["shard"] for row in world.rows("tickets_by_team")}
    assert found == {each: zlib.crc32(each.encode()) % 8 for each in STORED}
    assert {*found.values()} == {*range(8)}
    assert "shard" not in world.rows("tickets")[0]
    assert faults_of(world) == []
    row = next(each for each in world.rows("tickets_by_team") if each["ticket_id"] == "T-1")
    insert(world, row | {"shard": (row["shard"] + 1) % 8})
    assert any("tickets_by_team" in fault for fault in faults_of(world))


def insert(world: World, row: dict[str, Any]) -> None:
    marks = ", ".join(["%s"] * len(row))
    table = f"{world.keyspace}.tickets_by_team"
    world.session.execute(
        f"INSERT INTO {table} ({', '.join(row)}) VALUES ({marks})", [*row.values()]
    )


def test_team_and_hour_show_the_rows_of_all_shards_and_trace_finds_one(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    send(world)
    world.process()
    monkeypatch.setattr(show_module, "pipelines_of", lambda _: (world.pipeline,))
    place = f"{world.keyspace}.tickets_by_team"

    def shown(**where: str) -> list[str]:
        capsys.readouterr()
        assert show(world.settings, place, RowFilter(where, 100), "json", ["all"]) == 0
        return [json.loads(line)["ticket_id"] for line in capsys.readouterr().out.splitlines()]

    # Newest first, whatever their shard.
    assert shown(**HOUR) == IDS[::-1]
    assert shown(assigned_team="Billing") == [*IDS[::-1], "EARLIER"]
    with OpenStores(world.settings) as stores:
        (record,) = find(stores, "T-7", [world.pipeline], Limits(1000)).records
    places = [row.place for row in record.rows]
    assert places == [f"{world.keyspace}.{name}" for name in ("tickets", "tickets_by_team")]
    assert not record.not_searched


def test_other_number_is_refused_before_anything_is_written_until_the_table_is_made_again(
    world: World,
) -> None:
    send(world)
    world.process()
    place = f"{world.keyspace}.tickets_by_team"
    sixteen = with_shards(world.settings, 16)
    pipeline = in_keyspace(TICKETS.divided(sixteen), world.keyspace)
    later = replace(world, settings=sixteen, pipeline=pipeline)
    later.send(ticket("LATER"))
    said = (
        f"{place} was made with TICKETS_BY_TEAM_SHARDS=8, which now is 16.*"
        f'DROP TABLE {place}".*make up.*replay --topic {world.topic} --sink cassandra'
    )

    with pytest.raises(SinkRejected, match=said):
        later.process()
    with pytest.raises(SinkRejected, match=said):
        next(
            s for s in sinks_of(pipeline, sixteen, world.database) if s.name == "cassandra"
        ).prepare()
    assert {row["ticket_id"] for row in world.rows("tickets_by_team")} == {*STORED}
    assert any("TICKETS_BY_TEAM_SHARDS=8" in fault for fault in faults_of(later))

    world.session.execute(f"DROP TABLE {place}", timeout=60)
    create_tables(world.session, TICKETS.divided(sixteen), world.keyspace)
    request = understood(sixteen, world.topic, "earliest", "latest", "cassandra", (pipeline,))
    plan = planned(sixteen, world.database, request)
    apply_replay(plan, sixteen, world.spark, world.database, print)
    later.process()
    found = {row["ticket_id"]: row["shard"] for row in later.rows("tickets_by_team")}
    assert found == {each: zlib.crc32(each.encode()) % 16 for each in [*STORED, "LATER"]}
    assert faults_of(later) == []


def test_up_and_doctor_refuse_another_number_than_the_table_has(stack_settings: Settings) -> None:
    eight = with_shards(stack_settings, 8)
    said = "support.tickets_by_team was made with TICKETS_BY_TEAM_SHARDS=1, which now is 8"

    with pytest.raises(SinkRejected, match=said):
        prepare.prepare_stores(eight, print)
    *_, tables = look_at_cassandra(eight)
    assert said in tables.text
    prepare.prepare_stores(stack_settings, print)
