"""Batches of users' pipelines that die at each named moment, and come again: exact every time."""

from __future__ import annotations

import pytest

from operations.chaos.fault_actions import PASSES
from spark_jobs.state.fault_points import FAULT_POINTS
from tests.integration.test_fault_points import crash
from tests.support.own_checks import EXAMPLES, Own, assert_stored, faults_of, own_world
from tests.support.pipelines import MakeWorld

pytestmark = pytest.mark.extended

PASSED = [
    (own, point)
    for own in EXAMPLES
    for point in FAULT_POINTS
    if point not in PASSES or PASSES[point](own.pipeline())
]


@pytest.mark.parametrize(("own", "point"), PASSED, ids=lambda value: getattr(value, "name", value))
def test_batch_that_dies_at_any_point_is_applied_once(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch, own: Own, point: str
) -> None:
    world = own_world(make_world, own)
    world.send(*own.messages(), partition=0)

    crash(world, monkeypatch, point)
    world.process()

    assert_stored(world, own)


@pytest.mark.parametrize("own", EXAMPLES, ids=lambda own: own.name)
def test_untouched_world_has_no_fault(make_world: MakeWorld, own: Own) -> None:
    world = own_world(make_world, own)
    world.send(*own.messages(), partition=0)

    world.process()

    assert_stored(world, own)
    assert faults_of(world) == []
