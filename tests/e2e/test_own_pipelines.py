"""Users' pipelines under jobs of their own that are killed, and stores that are away."""

from __future__ import annotations

import signal

import psutil
import pytest

from local_stack.cassandra import Cassandra
from local_stack.mongodb import MongoDB
from local_stack.postgres import Postgres
from local_stack.service import Service
from operations.chaos.fault_actions import start_again
from runtime.java import find_java
from runtime.processes import kill_family
from settings import Settings
from spark_jobs.state.ledger import Counts
from tests.support.own_checks import ORDERS, SENSORS, Own, faults_of, own_world
from tests.support.own_records import AT, order, reading
from tests.support.pipelines import MakeWorld
from tests.support.processes import finish, output_of, start_job, wait_for
from tests.support.world import Message, World

TENS = 30


def tens(world: World, first: int = 0) -> None:
    """Of each ten messages: eight to store, one of them again, one that is no record."""
    for ten in range(first, first + TENS):
        messages: list[Message]
        if world.pipeline.name == ORDERS.name:
            messages = [order(f"{ten}-{n}", amount=f"{n}.05") for n in range(8)]
        else:
            messages = [reading(f"roof-{n}", AT + ten, temperature=n / 3) for n in range(8)]
        world.send(*messages, messages[3], (None, b"no record"))


def expected(rounds: int = 1) -> Counts:
    number = TENS * rounds
    return Counts(
        read=10 * number,
        stored=8 * number,
        dead_lettered=number,
        duplicates=number,
        reasons={"unparseable": number},
    )


@pytest.mark.parametrize(
    ("own", "point"),
    [(ORDERS, "in-mongodb-bulk:2"), (SENSORS, "in-files-publish:2")],
    ids=["orders", "sensors"],
)
def test_job_killed_at_a_point_goes_on_where_it_was(
    make_world: MakeWorld, own: Own, point: str
) -> None:
    world = own_world(make_world, own)
    tens(world)
    process = start_job(world, "--available-now", MILLRACE_FAULT=point)

    assert process.wait(200) == -signal.SIGKILL, output_of(world)[-3000:]
    assert f"ends at {point.partition(':')[0]}" in output_of(world)
    finish(world)

    assert world.totals() == expected()
    assert faults_of(world) == []


def test_job_goes_on_by_itself_after_each_store_was_away(
    make_world: MakeWorld, settings: Settings, postgres_server: Settings
) -> None:
    world = own_world(make_world, ORDERS)
    tens(world)
    process = start_job(world, STORE_RETRY_SECONDS="300")
    java = find_java(settings)
    stores: list[Service] = [Postgres(postgres_server), MongoDB(settings)]
    stores.append(Cassandra(settings, java))
    for rounds, store in enumerate(stores, start=1):
        wait_for(lambda n=rounds: world.totals() == expected(n), 120, f"round {rounds}")  # type: ignore[misc]
        waited = output_of(world).count("query=orders waits")
        running = store.process()
        assert running is not None
        kill_family(psutil.Process(running.pid))
        try:
            tens(world, TENS * rounds)
            wait_for(lambda n=waited: output_of(world).count(" waits ") > n, 120, store.name)  # type: ignore[misc]
        finally:
            start_again([store])
    rounds = len(stores) + 1
    wait_for(lambda: world.totals() == expected(rounds), 120, "end of the outages")
    process.terminate()

    assert process.wait(60) == 0
    assert faults_of(world) == []
