"""Users' pipelines that lost something: redrive, replay, rebuild and reset bring it back."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from operations import reset
from operations.dead_letters.dead_letters import run_dead_letters
from operations.options import build_parser
from operations.pipelines import read_topic
from operations.repair.apply import Replayed, apply_replay
from operations.repair.range import understood
from operations.repair.rebuild import rebuild
from operations.repair.replay import planned
from spark_jobs.registry import load_pipeline
from spark_jobs.state.ledger import Counts
from sql.client import transaction
from tests.support.own_checks import (
    ALL,
    EXAMPLES,
    ORDERS,
    SENSORS,
    Own,
    assert_stored,
    documents,
    faults_of,
    forwarded,
    own_world,
    stored_ids,
)
from tests.support.own_pipelines import create_own_tables
from tests.support.own_records import AT, order, reading
from tests.support.pipelines import MakeWorld
from tests.support.world import World

both = pytest.mark.parametrize("own", EXAMPLES, ids=lambda own: own.name)


def in_two_batches(make_world: MakeWorld, own: Own) -> World:
    world = own_world(make_world, own)
    first, *others = own.messages()
    world.send(first, partition=0)
    world.process()
    world.send(*others, partition=0)
    world.process()
    return world


def replayed(world: World, sink: str, start: str = "earliest") -> Replayed:
    request = understood(world.settings, world.topic, start, "latest", sink, (world.pipeline,))
    plan = planned(world.settings, world.database, request)
    return apply_replay(plan, world.settings, world.spark, world.database, print)


def redrive(world: World, *options: str) -> int:
    words = ["dead-letters", "redrive", "--topic", world.topic, *options]
    return run_dead_letters(world.settings, build_parser().parse_args(words))


def lose(world: World, sink: str) -> None:
    """Let a store lose all that it holds of the pipeline's records."""
    if sink == "cassandra":
        for table in world.pipeline.tables:
            world.session.execute(f"TRUNCATE {table.place}")
    elif sink == "postgres":
        with transaction(world.settings, "take what the test says") as work:
            for each in world.pipeline.sql_tables:
                work.execute(f"TRUNCATE {each.name}".encode())
    elif sink == "files":
        shutil.rmtree(Path(world.settings.output_path))
    else:
        world.database.client.drop_database(world.database.name)


@both
def test_store_that_lost_everything_is_filled_again(make_world: MakeWorld, own: Own) -> None:
    world = in_two_batches(make_world, own)
    tables = {t.name: sorted(world.rows(t.name), key=str) for t in world.pipeline.tables}
    # Compares the documents with all batches before it, and changes nothing.
    assert replayed(world, "mongodb", "0:1").batches == 1
    assert documents(world) == own.documents

    for sink in ALL:
        lose(world, sink)
        done = replayed(world, sink)
        assert (sink, done.messages) == (sink, own.counts.read)

    assert {t: sorted(world.rows(t), key=str) for t in tables} == tables
    assert_stored(world, own)
    assert faults_of(world) == []


def test_table_that_was_dropped_and_made_again_is_filled_by_a_replay(make_world: MakeWorld) -> None:
    world = in_two_batches(make_world, ORDERS)
    before = world.sql("SELECT * FROM orders ORDER BY order_id")
    notes = world.sql("SELECT batch_id, rows FROM millrace_batches ORDER BY 1")
    with transaction(world.settings, "do what the sink's check advises") as work:
        work.execute("DROP TABLE orders")
    create_own_tables(world.pipeline, world.settings, world.database)

    assert replayed(world, "postgres").batches == 2

    assert world.sql("SELECT * FROM orders ORDER BY order_id") == before != []
    assert world.sql("SELECT batch_id, rows FROM millrace_batches ORDER BY 1") == notes
    assert faults_of(world) == []


def test_first_topic_gets_what_is_stored_from_now_on(make_world: MakeWorld) -> None:
    world = own_world(make_world, ORDERS)
    before = World(**vars(world) | {"pipeline": replace(world.pipeline, topics=())})
    # Alerts, which the topic takes.
    before.send(order("OLD", amount="20000"), partition=0)
    before.process()

    assert replayed(world, "postgres").batches == 1
    assert faults_of(world) == []
    world.send(order("NEW", amount="20000"), partition=0)
    world.process()

    assert world.totals() == Counts(read=2, stored=2, alerts=2)
    assert forwarded(world) == {1}
    assert faults_of(world) == []
    world.send(order("LATER", amount="20000"), partition=0)
    world.process()
    assert forwarded(world) == {1, 2}
    assert faults_of(world) == []


@both
def test_aggregates_are_rebuilt_from_the_rows(make_world: MakeWorld, own: Own) -> None:
    world = in_two_batches(make_world, own)
    for number, name in enumerate(world.pipeline.collections):
        collection = world.database[name]
        collection.delete_one({})
        collection.update_one({}, {"$inc": {"count": number + 1}})
        collection.insert_one({"_id": "nobody", "count": 1})

    done = rebuild(world.pipeline, world.settings, world.spark, world.database)

    assert (done.records, done.whole) == (own.counts.stored, True)
    assert documents(world) == own.documents
    # What comes later is added to them.
    world.send(order("Z") if own is ORDERS else reading("roof-1", AT + 1))
    world.process()
    assert faults_of(world) == []


@both
def test_reset_pipeline_makes_the_same_of_its_topic_again(
    make_world: MakeWorld,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    own: Own,
) -> None:
    world = in_two_batches(make_world, own)
    monkeypatch.setattr("sys.stdin.readline", lambda: "n\n")
    assert reset.reset(world.settings, own.name, topics=False, yes=False) == 0
    assert f"This deletes for {own.name}:" in capsys.readouterr().out
    assert world.totals() == own.counts

    assert reset.reset(world.settings, own.name, topics=False, yes=True) == 0

    assert {place: len(ids) for place, ids in stored_ids(world, own).items()} == dict.fromkeys(
        stored_ids(world, own), 0
    )
    assert documents(world) == {name: {} for name in world.pipeline.collections}
    assert (world.totals(), world.documents("dead_letters")) == (Counts(), {})
    world.process()
    assert_stored(world, own)
    assert faults_of(world) == []


def test_reset_with_topics_begins_with_nothing(make_world: MakeWorld) -> None:
    world = in_two_batches(make_world, ORDERS)

    reset.reset(world.settings, "orders", topics=True, yes=True)

    world.process()
    assert world.totals() == Counts()
    assert [*read_topic(world.settings, world.pipeline.topics[0].name)] == []
    assert world.dead_letters() == []


def test_dead_letters_of_a_contract_that_was_too_strict_are_stored_after_a_redrive(
    make_world: MakeWorld, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of three, one fits the corrected contract; the others come back."""
    world = in_two_batches(make_world, SENSORS)
    assert world.pipeline.folder is not None
    path = world.pipeline.folder / "contract.schema.json"
    contract = json.loads(path.read_text())
    contract["properties"]["temperature"]["maximum"] = 300
    path.write_text(json.dumps(contract))
    corrected = World(**vars(world) | {"pipeline": load_pipeline(world.pipeline.folder)})

    assert redrive(corrected, "--reason", "invalid_temperature") == 0
    assert redrive(corrected) == 0
    assert redrive(corrected) == 0
    assert [li for li in capsys.readouterr().out.splitlines() if li.startswith("redriven=")] == [
        "redriven=1 parked=0 skipped=0 failed=0",
        "redriven=2 parked=0 skipped=1 failed=0",
        "redriven=0 parked=0 skipped=3 failed=0",
    ]
    corrected.process()

    assert corrected.totals() == Counts(
        read=11,
        stored=5,
        dead_lettered=5,
        duplicates=1,
        reasons={"invalid_sensor_id": 2, "invalid_temperature": 1, "missing_at": 2},
    )
    hottest = corrected.documents("readings_by_hour")["oven-1|2026-11-22T11"]
    assert (hottest["count"], hottest["warmest"]) == (1, 200.5)
    redrives = sorted(headers["redrives"] for _, _, headers in corrected.dead_letters())
    assert redrives == ["0", "0", "0", "1", "1"]
    assert faults_of(corrected) == []


def test_order_that_was_ahead_of_its_time_is_stored_after_a_redrive(make_world: MakeWorld) -> None:
    world = own_world(make_world, ORDERS)
    # Sent on 2020-01-01, created two days later.
    early = order("EARLY", created_at="2020-01-03T00:00:01Z", amount="12000")
    world.send(early, timestamp_ms=1_577_836_800_000)
    world.process()
    assert world.totals().reasons == {"invalid_created_at": 1}

    redrive(world)
    world.process()

    assert world.totals() == Counts(
        read=2, stored=1, dead_lettered=1, alerts=1, reasons={"invalid_created_at": 1}
    )
    assert {*map(tuple, stored_ids(world, ORDERS).values())} == {("EARLY",)}
    assert faults_of(world) == []
