"""Ledger, marks and sketches changed behind `make verify`'s back: each is named with a remedy."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasketches
import pytest
from bson.decimal128 import Decimal128

from operations.repair.rebuild import rebuild
from operations.verify.checkpoint_reading import CheckpointReading
from operations.verify.ledger_account import ledger_account
from operations.verify.snapshot import take_snapshot
from spark_jobs.sources.topics import topic_state
from spark_jobs.state.checkpoint import checkpoint_of
from spark_jobs.state.ledger import Ledger
from spark_jobs.tickets import TICKETS
from tests.integration.test_fault_points import crash
from tests.integration.test_tickets_pipeline import ticket
from tests.integration.test_verify import account_of
from tests.support.own_checks import SENSORS, faults_of, own_world
from tests.support.own_records import readings
from tests.support.pipelines import MakeWorld
from tests.support.world import World

Change = Callable[[Any], object]


def query_of(world: World) -> str:
    last = Ledger(world.database, world.pipeline.name).last()
    assert last is not None
    return last.query_id


def test_marks_types_and_sketches_that_were_changed_are_named_and_rebuilt(
    make_world: MakeWorld,
) -> None:
    world = own_world(make_world, SENSORS)
    for mark in "12":
        world.send(*readings(mark), partition=0)
        world.process()
    assert faults_of(world) == []
    hours, states = world.database["readings_by_hour"], world.database["readings_by_state"]
    applied = f"applied.{query_of(world)}"
    empty = datasketches.hll_sketch(14, datasketches.tgt_hll_type.HLL_8).serialize_compact()

    for collection, name, change in (
        (hours, "roof-1|2026-11-22T10", {"$set": {applied: 2}}),
        (hours, "yard-1|2026-11-22T11", {"$set": {applied: 1}}),
        (hours, "oven-1|2026-11-23T10", {"$unset": {applied: ""}}),
        (hours, "roof-2|2026-11-22T10", {"$set": {applied: 0}}),
        (hours, "yard-2|2026-11-22T11", {"$set": {"applied.x": 1}}),
        (hours, "oven-2|2026-11-23T10", {"$set": {"count": 1.0}}),
        (states, "2026-11-22|ok", {"$set": {"sensors_sketch": bytes(empty)}}),
        (states, "2026-11-22|fault", {"$set": {"battery_sum": Decimal128("18")}}),
        (states, "2026-11-23|fault", {"$set": {"updated_at": "today"}}),
    ):
        assert collection.update_one({"_id": name}, change).modified_count == 1

    hour, state = (f"MongoDB {c.database.name}.{c.name}" for c in (hours, states))
    by = f"by the rows of {world.keyspace}.readings it is"
    *faults, remedy = faults_of(world)
    assert "millrace rebuild aggregates" in remedy
    assert sorted(faults) == sorted([
        f"{hour}: `oven-2|2026-11-23T10`: `count` is 1.000000 (a double), {by} 1 (an integer)",
        f"{state}: `2026-11-22|fault`: `battery_sum` is 18 (a decimal), {by} 18 (an integer)",
        f"{hour}: `roof-1|2026-11-22T10`: `applied` names batch 2, but the ledger ends with batch 1"
        " and no such batch is in work: the next job would leave out its own batch here",
        f"{hour}: `yard-1|2026-11-22T11`: `applied` names batch 1, but batch 0 was the last to"
        " change it",
        f"{hour}: `oven-1|2026-11-23T10`: `applied` does not name the pipeline's query: a repeated"
        " batch would be added twice",
        f"{hour}: `roof-2|2026-11-22T10`: `applied` names batch 0, but batch 1 was the last to"
        " change it",
        f"{hour}: `yard-2|2026-11-22T11`: `applied` names the query x, which is not the pipeline's",
        f"{state}: `2026-11-23|fault`: `updated_at` is text, not a time",
        f"{state}: `2026-11-22|ok`: `sensors_sketch` lacks a value that rows have",
    ])  # fmt: skip

    rebuild(world.pipeline, world.settings, world.spark, world.database)
    assert faults_of(world) == []
    world.send(*readings("1"), *readings("3"), partition=0)
    world.process()
    assert faults_of(world) == []


def ledger_faults(world: World) -> list[str]:
    """What the ledger alone shows; nothing else is read."""
    checkpoint = CheckpointReading(checkpoint_of(world.settings, world.pipeline.name))
    ledger = Ledger(world.database, world.pipeline.name)
    snapshot = take_snapshot(ledger, world.topic, world.pipeline.aggregates, checkpoint, 0)
    state = topic_state(world.settings, world.topic)
    faults, _ = ledger_account(
        world.pipeline, world.settings, ledger, snapshot, checkpoint, state, state.offsets
    )
    return faults


def three_batches(make_world: MakeWorld) -> World:
    world = make_world(TICKETS)
    for names in ("AB", "C", "DE"):
        world.send(*(ticket(name) for name in names), (None, b"garbage"), partition=0)
        world.process()
    return world


def set_fields(batch_id: int, **fields: Any) -> Change:
    return lambda batches: batches.update_one({"batch_id": batch_id}, {"$set": fields})


def offsets(start: int, end: int) -> list[dict[str, int]]:
    others = [{"partition": p, "from": 0, "until": 0} for p in (1, 2)]
    return [{"partition": 0, "from": start, "until": end}, *others]


def copied(number: int, **fields: Any) -> Change:
    """Add a copy of an entry that differs in these fields."""

    def change(batches: Any) -> None:
        entry = batches.find_one({"batch_id": number}) | fields
        batches.insert_one(entry | {"_id": f"{entry['query_id']}/{entry['batch_id']}"})

    return change


RANGE = "ledger: batch 1 names partition 0, {}; Spark's checkpoint planned partition 0,"
BEYOND = "ledger: batch 2 was read to offset 9 of partition 0, which ends at 8 on the broker: the"
LACKS = "and lacks 3 offsets. Was MongoDB restored from an older backup?"
CHANGES: list[tuple[Change, list[str]]] = [
    (
        set_fields(1, sinks=["mongodb"]),
        ["ledger: batch 1: `sinks` lacks cassandra"],
    ),
    (
        set_fields(1, offsets=offsets(3, 6)),
        [
            RANGE.format("offsets 3 to 5") + " offsets 3 to 4",
            "ledger: partition 0, offsets 5 to 5 are read twice before batch 2",
        ],
    ),
    (
        set_fields(1, offsets=offsets(3, 4)),
        [
            RANGE.format("offset 3") + " offsets 3 to 4",
            "ledger: partition 0, offsets 4 to 4 are missing before batch 2",
        ],
    ),
    (
        set_fields(2, offsets=offsets(5, 9)),
        [
            "ledger: batch 2 names partition 0, offsets 5 to 8; Spark's checkpoint planned"
            " partition 0, offsets 5 to 7",
            f"{BEYOND} ledger names offsets that the topic never had",
        ],
    ),
    (lambda batches: batches.delete_one({"batch_id": 2}), [LACKS]),
    (
        lambda batches: batches.delete_one({"batch_id": 1}),
        [
            "ledger: batch 1 (partition 0, offsets 3 to 4) is missing; Spark's checkpoint has it",
            "ledger: partition 0, offsets 3 to 4 are missing before batch 2",
        ],
    ),
    (copied(1, query_id="x"), ["is a second entry of batch 1"]),
    (copied(2, batch_id=7), ["batch 7 is beyond Spark's checkpoint", "read twice before batch 7"]),
    (
        set_fields(1, query_id="x"),
        [
            "ledger: batch 1 (entry `",
            "`): `query_id` and `batch_id` are `x` and `1`, unlike its `_id`",
        ],
    ),
    (set_fields(2, pipeline="orders"), ["`pipeline` is `orders`, not `tickets`"]),
    (set_fields(0, topic="x"), ["ledger: batch 0: `topic` is `x`, it must be `{topic}`"]),
    (set_fields(2, topic_id="x"), ["ledger: batch 2: `topic_id` is `x`, it must be `{id}`"]),
    (set_fields(1, hash_key_id="x"), ["ledger: batch 1: `hash_key_id` is `x`, it must be `None`"]),
    (set_fields(1, stored=1.0), ["`stored` is a double, not a count"]),
    (set_fields(1, read="2"), ["`read` is text, not a count", "batch 1: read 0, but its parts"]),
    (set_fields(1, reasons={}), ["batch 1: 1 dead letters cannot have the 0 reasons"]),
    (set_fields(1, offsets="all", counts=None), ["`offsets` is text, not a list of ranges"]),
    (
        set_fields(1, accepted_loss=[{"partition": 0, "from": 3, "until": 4}]),
        ["ledger: batch 1 has an accepted loss up to offset 3 of partition 0, but the broker has"],
    ),
]


def test_ledger_that_was_changed_is_named_entry_by_entry(make_world: MakeWorld) -> None:
    world = three_batches(make_world)
    batches = world.database["batches"]
    backup, topic_id = list(batches.find()), topic_state(world.settings, world.topic).topic_id
    assert ledger_faults(world) == []

    for number, (change, expected) in enumerate(CHANGES):
        change(batches)
        faults = ledger_faults(world)
        for words in expected:
            wanted = words.replace("{topic}", world.topic).replace("{id}", str(topic_id))
            assert any(wanted in fault for fault in faults), (number, wanted, faults)
        assert any("millrace replay" in fault for fault in faults), (number, faults)
        batches.delete_many({})
        batches.insert_many(backup)
    assert ledger_faults(world) == []

    confirmations = world.database["confirmations"]
    assert confirmations.update_one({}, {"$set": {"batch_id": 3}}).modified_count == 1
    (fault,) = ledger_faults(world)
    assert "confirmations: sinks are noted to have batch 3, which was never planned" in fault


def test_entry_of_another_shape_leaves_the_other_accounts(make_world: MakeWorld) -> None:
    world = three_batches(make_world)
    batches = world.database["batches"]
    batches.update_one({"batch_id": 1}, {"$set": {"clock": 5, "stored": "1"}})
    batches.update_one({"batch_id": 2}, {"$set": {"reasons": {"invalid_priority": 1}}})

    account = account_of(world)

    assert account.faults[0].endswith(
        "/1`): `stored` is text, not a count; `clock` is 5, not a clock's time"
    )
    of_batch, of_topic = "ledger: batch 2: reason", "in these offsets the topic has"
    assert f"{of_batch} invalid_priority is 1, {of_topic} 0 (+1)" in account.faults
    assert f"{of_batch} unparseable is 0, {of_topic} 1 (-1)" in account.faults
    assert {store.place for store in account.stores} >= {
        f"{world.keyspace}.tickets",
        f"{world.keyspace}.ticket_metrics",
    }


def test_batch_that_died_is_no_fault_without_its_checkpoint_and_what_is_unknown_is_noted(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = make_world(TICKETS)
    world.send(ticket("A"), partition=0)
    world.process()
    world.send(ticket("B"), partition=0)
    crash(world, monkeypatch, "before-ledger")
    checkpoint = checkpoint_of(world.settings, world.pipeline.name)

    assert account_of(world).faults == []
    shutil.move(str(checkpoint.path), str(Path(world.settings.millrace_home, "aside")))
    without = account_of(world)
    world.database["tickets_by_team"].update_many({}, {"$inc": {f"applied.{query_of(world)}": 1}})

    assert without.faults == []
    assert any(f"`{checkpoint.path}` is not here" in note for note in without.notes)
    assert any(
        "`applied` names batch 2, but the ledger ends with batch 0" in fault
        for fault in account_of(world).faults
    )
