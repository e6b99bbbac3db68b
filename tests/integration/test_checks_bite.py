"""The platform broken on purpose: each time `make verify` must say so."""

from __future__ import annotations

from typing import Any

import pytest
from pymongo import UpdateOne
from pyspark.sql import DataFrame

from operations.verify.accounts import take_accounts
from spark_jobs.changes import Change
from spark_jobs.run import query as pipeline_run
from spark_jobs.run.batch_writer import BatchWriter
from spark_jobs.sinks.mongodb import MongoAggregates
from spark_jobs.tickets import TICKETS
from spark_jobs.transforms.deduplicate import select_first_arrivals
from tests.integration.test_fault_points import crash
from tests.integration.test_tickets_pipeline import ticket
from tests.support.pipelines import MakeWorld
from tests.support.world import World


def faults_of(world: World) -> list[str]:
    (account,) = take_accounts(world.settings, world.database, world.spark, [world.pipeline])
    return list(account.faults)


def test_aggregates_without_their_guard_are_found_doubled(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unguarded(self: Any, change: Change, batch_id: int, now: Any) -> UpdateOne:
        update = {"$inc": change.values, "$set": self._labels(change, batch_id, now)}
        return UpdateOne({"_id": change.document_id}, update, upsert=True)

    monkeypatch.setattr(MongoAggregates, "_plain_update", unguarded)
    world = make_world(TICKETS)
    world.send(ticket("A"), ticket("B"))

    crash(world, monkeypatch, "in-mongodb-bulk")
    world.process()

    faults = faults_of(world)
    assert any("tickets_by_team" in line and "(+2)" in line for line in faults), faults


def test_ledger_written_first_is_found_before_the_restart(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = make_world(TICKETS)
    world.send(ticket("A"), ticket("B"))
    world.process()
    world.send(ticket("C"))
    confirm_first(monkeypatch)

    crash(world, monkeypatch, "before-cassandra")

    faults = faults_of(world)
    assert any("tickets" in line and "(-1)" in line for line in faults), faults


def confirm_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """Enter each batch into the ledger before anything of it is written."""
    original = BatchWriter._write_sinks  # noqa: SLF001

    def write(self: BatchWriter, classified: DataFrame, summary: Any, batch_id: int) -> None:
        ranges = self.checkpoint.ranges(batch_id)
        self._confirm(self._count(summary, ranges), ranges, batch_id)
        original(self, classified, summary, batch_id)

    monkeypatch.setattr(BatchWriter, "_write_sinks", write)


def test_records_without_deduplication_are_found_doubled(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    def let_all_pass(records: DataFrame, **_: Any) -> DataFrame:
        return records

    monkeypatch.setattr(pipeline_run, "select_first_arrivals", let_all_pass)
    world = make_world(TICKETS)
    world.send(ticket("A"), ticket("A"), ticket("B"))

    world.process()

    faults = faults_of(world)
    assert any("tickets" in line and "(-1)" in line for line in faults), faults


def test_job_that_dies_in_the_same_place_unbroken_is_found_right(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the others assert is not always there."""
    world = make_world(TICKETS)
    world.send(ticket("A"), ticket("B"))
    world.process()
    world.send(ticket("C"))

    crash(world, monkeypatch, "before-cassandra")
    assert faults_of(world) == []

    world.process()
    assert faults_of(world) == []


def test_message_dropped_on_the_way_does_not_pass_for_a_duplicate(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As Spark drops rows behind the watermark: silently."""

    def drop_one(records: DataFrame, **options: Any) -> DataFrame:
        return select_first_arrivals(records, **options).filter("record_id <> 'B'")

    monkeypatch.setattr(pipeline_run, "select_first_arrivals", drop_one)
    world = make_world(TICKETS)
    world.send(ticket("A"), ticket("B"), ticket("A"))

    world.process()

    assert faults_of(world) == [
        "ledger: stored is 1, in these offsets the topic has 2 (-1)",
        "ledger: duplicates is 2, in these offsets the topic has 1 (+1)",
        f"Cassandra {world.keyspace}: `B` is lost: the topic holds it as a valid message, no table"
        " does",
    ]
