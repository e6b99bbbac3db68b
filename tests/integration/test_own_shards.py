"""A user's table with shards: written, proven and read like any other."""

from __future__ import annotations

import json
import zlib
from dataclasses import replace
from pathlib import Path

import pytest

from operations.show import RowFilter, show
from spark_jobs.registry import load_pipeline
from tests.support.own_checks import ALL, ORDERS, assert_stored, faults_of
from tests.support.pipeline_folders import DECLARED_SHARDS, SHARD_COLUMN, SHARD_IN_KEY, orders
from tests.support.pipelines import MakeWorld
from tests.support.world import World

PAID = {"status": "paid", "created_day": "2026-11-22"}


@pytest.fixture
def world(make_world: MakeWorld, tmp_path: Path) -> World:
    folder = orders(tmp_path / "sharded", DECLARED_SHARDS, SHARD_COLUMN, SHARD_IN_KEY)
    made = make_world(load_pipeline(folder))
    made = replace(made, settings=made.settings.model_copy(update={"sinks": ALL}))
    made.send(*ORDERS.messages(), partition=0)
    made.process()
    return made


def test_rows_are_in_the_shard_of_their_id_and_verify_says_so(world: World) -> None:
    assert_stored(world, ORDERS)

    shards = {row["order_id"]: row["shard"] for row in world.rows("orders_by_status")}
    assert shards == {each: zlib.crc32(each.encode()) % 3 for each in "ABCD"}
    assert faults_of(world) == []


def test_row_in_another_shard_is_named(world: World) -> None:
    [row] = [each for each in world.rows("orders_by_status") if each["order_id"] == "A"]
    moved = {**row, "shard": (row["shard"] + 1) % 3}
    names = [name for name, value in moved.items() if value is not None]
    marks = ", ".join(["%s"] * len(names))
    table = f"{world.keyspace}.orders_by_status"
    world.session.execute(
        f"INSERT INTO {table} ({', '.join(names)}) VALUES ({marks})",
        [moved[name] for name in names],
    )

    assert any("orders_by_status" in fault for fault in faults_of(world))


def test_key_without_its_shard_shows_the_rows_of_all(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()

    assert show(world.settings, "orders_by_status", RowFilter(PAID, 20), "json", ["all"]) == 0

    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {row["order_id"] for row in rows} == {"A", "D"}
    times = [row["created_at"] for row in rows]
    assert times == sorted(times, reverse=True)
