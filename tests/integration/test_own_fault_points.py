"""Batches of users' pipelines that die at each named moment, and come again: exact every time."""

from __future__ import annotations

import pytest

from operations.chaos.fault_actions import PASSES
from spark_jobs.state.fault_points import FAULT_POINTS
from tests.integration.test_fault_points import crash
from tests.support.own_checks import ORDERS, SENSORS, Own, assert_stored, faults_of, own_world
from tests.support.pipelines import MakeWorld

pytestmark = pytest.mark.extended


def points_of(own: Own) -> list[str]:
    """Those that the pipeline's batches pass, in their order."""
    return [p for p in FAULT_POINTS if p not in PASSES or PASSES[p](own.pipeline())]


@pytest.mark.parametrize("point", points_of(ORDERS))
def test_batch_of_orders_that_dies_at_any_point_is_applied_once(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch, point: str
) -> None:
    world = own_world(make_world, ORDERS)
    world.send(*ORDERS.messages(), partition=0)

    crash(world, monkeypatch, point)
    world.process()

    assert_stored(world, ORDERS)


def test_batch_of_readings_that_dies_at_all_points_one_after_the_other_is_applied_once(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = own_world(make_world, SENSORS)
    world.send(*SENSORS.messages(), partition=0)

    for point in points_of(SENSORS):
        crash(world, monkeypatch, point)
    world.process()

    assert_stored(world, SENSORS)
    assert faults_of(world) == []
