"""Batches of users' pipelines that die at each named moment, and come again: exact every time."""

from __future__ import annotations

import pytest

from operations.chaos.fault_actions import PASSES
from spark_jobs.state.fault_points import FAULT_POINTS
from tests.integration.test_fault_points import crash
from tests.support.own_checks import (
    ORDERS,
    SENSORS,
    assert_stored,
    faults_of,
    own_world,
    stored_ids,
)
from tests.support.own_records import readings
from tests.support.pipelines import MakeWorld

INSIDE = ("between-tables", "in-files-publish", "in-postgres-transaction", "in-mongodb-bulk")
# Some or all documents include the unfinished batch: they are compared within bounds.
APPLIED = ("in-mongodb-bulk", "before-ledger")
PASSED = [p for p in FAULT_POINTS if p not in PASSES or PASSES[p](ORDERS.pipeline())]


@pytest.mark.parametrize("point", PASSED)
def test_batch_of_orders_that_dies_at_any_point_is_applied_once(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch, point: str
) -> None:
    world = own_world(make_world, ORDERS)
    world.send(*ORDERS.messages(), partition=0)

    crash(world, monkeypatch, point)
    if point in APPLIED:
        assert faults_of(world) == []
    world.process()

    assert_stored(world, ORDERS)


def test_batches_of_readings_that_die_inside_their_stores_are_applied_once(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = own_world(make_world, SENSORS)

    for number, point in enumerate(INSIDE, start=1):
        world.send(*readings(str(number)), partition=0)
        crash(world, monkeypatch, point)
        if point in APPLIED:
            assert faults_of(world) == []
        world.process()
        assert (world.totals().read, world.totals().stored) == (8 * number, 4 * number), point

    assert {place: len(ids) for place, ids in stored_ids(world, SENSORS).items()} == dict.fromkeys(
        stored_ids(world, SENSORS), 4 * len(INSIDE)
    )
    assert faults_of(world) == []
