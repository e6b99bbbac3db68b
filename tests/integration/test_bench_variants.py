"""Every variant that `make bench` measures does its work; how fast is not asked here."""

from __future__ import annotations

import pytest

from operations.bench import bench, pipelines
from operations.bench.peers import Peers
from operations.bench.pipelines import Warm
from operations.bench.topics import Topics
from spark_jobs.tickets import TICKETS
from tests.support.pipelines import MakeWorld
from tests.support.world import World

COUNT = 3000


@pytest.fixture
def warm(make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch) -> tuple[World, Warm]:
    monkeypatch.setattr(pipelines, "wait_until_quiet", lambda settings: None)
    world = make_world(TICKETS)
    settings = world.settings.model_copy(update={"sinks": (*bench.SINKS, "postgres")})
    topics = Topics(settings)
    topics.fill(world.pipeline, COUNT)
    return world, Warm(settings, world.spark, topics)


def test_every_variant_of_the_benchmark_runs(
    warm: tuple[World, Warm], monkeypatch: pytest.MonkeyPatch
) -> None:
    world, measured = warm
    monkeypatch.setattr(bench, "MAIN", world.pipeline)
    # Another pipeline, and peers that have tests of their own.
    left = {bench.SECOND_WHOLE, bench.BASELINE, bench.PLAIN, bench.CONNECT}
    variants = [
        *bench.wholes(measured, Peers(measured, worker=None)),
        *bench.variants(measured),
        *bench.reading(measured),
        *bench.sinks(measured),
    ]

    rates = {row.name: measure() for row, measure in variants if row.name not in left}
    measured.forget()

    assert len(rates) == 15
    assert all(rate > 0 for rate in rates.values())


def test_the_plain_consumer_stores_what_a_pipeline_stores(warm: tuple[World, Warm]) -> None:
    world, measured = warm
    stored: dict[str, set[str]] = {}
    # The tables are emptied before each of them.
    for run in (measured.whole, Peers(measured, worker=None).plain_consumer):
        run(world.pipeline)
        first, second = (
            {row["ticket_id"] for row in world.rows(table)}
            for table in ("tickets", "tickets_by_team")
        )
        assert first == second
        stored[run.__name__] = first

    # It is more lenient.
    assert stored["plain_consumer"] >= stored["whole"]
    assert len(stored["whole"]) > 0.9 * COUNT
