"""A stop lets batches finish or abandons them, in one time for all, and says which."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Event
from typing import Any

import pytest

from spark_jobs.profiles import PROFILES
from spark_jobs.run.job import RunOptions, run_pipelines
from spark_jobs.session.stopping import StopRequest
from spark_jobs.sinks.mongodb import MongoAggregates
from spark_jobs.state.checkpoint import checkpoint_of
from spark_jobs.state.ledger import Counts
from spark_jobs.tickets import TICKETS
from tests.integration.test_profiles_pipeline import profile
from tests.integration.test_tickets_pipeline import ticket
from tests.support.pipelines import MakeWorld
from tests.support.processes import wait_for
from tests.support.world import World


class Hold:
    """Aggregates are written only once they are let go."""

    def __init__(self) -> None:
        self.reached: list[int] = []
        self.go = Event()

    def apply(self, original: Any) -> Any:
        def held(sink: MongoAggregates, changes: Any, batch_id: int) -> None:
            self.reached.append(batch_id)
            self.go.wait(60)
            original(sink, changes, batch_id)

        return held


@pytest.fixture
def hold(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hold]:
    hold = Hold()
    monkeypatch.setattr(MongoAggregates, "apply", hold.apply(MongoAggregates.apply))
    yield hold
    hold.go.set()


def start(
    pool: ThreadPoolExecutor, worlds: list[World], stop: StopRequest, said: list[str], seconds: int
) -> Future[None]:
    """Run the worlds' pipelines in one continuous job, on the first world's state."""
    changes: dict[str, Any] = {f"{w.pipeline.name}_topic": w.topic for w in worlds}
    settings = worlds[0].settings.model_copy(update=changes | {"stop_timeout_seconds": seconds})
    pipelines = [world.pipeline for world in worlds]
    options = RunOptions()
    return pool.submit(
        run_pipelines, worlds[0].spark, pipelines, settings, options, stop, said.append
    )


def test_batches_that_hang_are_abandoned_within_one_time_for_all(
    make_world: MakeWorld, hold: Hold
) -> None:
    tickets, profiles = make_world(TICKETS), make_world(PROFILES)
    tickets.send(ticket("A"), ticket("B"))
    profiles.send(profile())
    stop, said = StopRequest(), list[str]()

    with ThreadPoolExecutor(1) as pool:
        job = start(pool, [tickets, profiles], stop, said, 6)
        wait_for(lambda: len(hold.reached) == 2 or job.done(), 60, "batch of each pipeline")
        asked = time.monotonic()
        stop.ask()
        job.result(30)
        assert time.monotonic() - asked < 7.5
    hold.go.set()

    assert said == [
        "tickets: abandoned batch 0, which will be repeated",
        "profiles: abandoned batch 0, which will be repeated",
    ]
    wait_for(lambda: not tickets.spark.streams.active, 30, "end of the queries")
    tickets.process()
    assert tickets.totals() == Counts(read=2, stored=2)
    assert sum(d["count"] for d in tickets.documents("tickets_by_type").values()) == 2


def test_batch_in_work_is_finished_and_no_other_begins(make_world: MakeWorld, hold: Hold) -> None:
    world = make_world(TICKETS)
    world.send(ticket("A"), ticket("B"))
    stop, said = StopRequest(), list[str]()

    with ThreadPoolExecutor(1) as pool:
        job = start(pool, [world], stop, said, 30)
        wait_for(lambda: bool(hold.reached) or job.done(), 60, "batch")
        world.send(ticket("C"))
        stop.ask()
        time.sleep(0.5)
        hold.go.set()
        job.result(60)

    assert said == ["tickets: finished its batch"]
    assert world.totals() == Counts(read=2, stored=2)
    assert checkpoint_of(world.settings, world.pipeline.name).last_committed() == 0
    world.process()
    assert world.totals() == Counts(read=3, stored=3)
    assert len(world.rows("tickets_by_team")) == 3
