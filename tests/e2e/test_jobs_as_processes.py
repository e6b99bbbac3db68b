"""Jobs as processes of their own: ended by a signal, with executors elsewhere."""

from __future__ import annotations

import signal

from local_stack.mongodb import MongoDB
from settings import Settings
from spark_jobs.state.ledger import Counts
from spark_jobs.tickets import TICKETS
from tests.integration.test_tickets_pipeline import ticket
from tests.support.pipelines import MakeWorld
from tests.support.processes import finish, output_of, start_job, wait_for
from tests.support.tens import assert_exact, send_tens


def test_sigterm_ends_a_continuous_job_cleanly(make_world: MakeWorld) -> None:
    world = make_world(TICKETS)
    process = start_job(world)
    wait_for(lambda: "query=tickets started" in output_of(world), 90, "start")
    world.send(ticket("A"), ticket("B"))
    wait_for(lambda: world.totals().stored == 2, 60, "batch")

    process.send_signal(signal.SIGTERM)

    assert process.wait(60) == 0
    assert "finished its batch" in output_of(world)
    assert "Traceback" not in output_of(world)


def test_second_job_on_the_same_state_is_refused(make_world: MakeWorld) -> None:
    world = make_world(TICKETS)
    first = start_job(world)
    wait_for(lambda: "query=tickets started" in output_of(world), 90, "start")

    second = start_job(world)

    assert second.wait(90) == 1
    assert "is already running on this state folder" in output_of(world)
    assert f"process {first.pid}" in output_of(world)
    first.send_signal(signal.SIGINT)
    assert first.wait(60) == 130
    assert "ended by Ctrl-C" in output_of(world)


def test_executors_in_other_processes_get_what_they_need(make_world: MakeWorld) -> None:
    world, foreign = make_world(TICKETS), make_world(TICKETS)
    send_tens(world)
    # Executors must read it too: Spark alone stops at a timestamp in nanoseconds.
    foreign.send(ticket("A"), timestamp_ms=2**63 - 1)

    # The classes of this project among it.
    for each in (world, foreign):
        finish(each, SPARK_MASTER="local-cluster[2,1,1024]", CASSANDRA_WRITER="direct")

    assert_exact(world)
    assert foreign.totals().reasons == {"invalid_kafka_timestamp": 1}


def test_store_that_is_away_for_a_while_only_delays(
    make_world: MakeWorld, settings: Settings
) -> None:
    world = make_world(TICKETS)
    process = start_job(world)
    wait_for(lambda: "query=tickets started" in output_of(world), 90, "start")
    store = MongoDB(settings)
    store.stop()
    try:
        world.send(ticket("A"), (None, b"no ticket"))
        wait_for(lambda: "query=tickets waits" in output_of(world), 60, "retry")
    finally:
        store.start()
        store.wait_ready()

    wait_for(lambda: world.totals().read == 2, 90, "batch after the outage")
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 0
    assert world.totals() == Counts(read=2, stored=1, dead_lettered=1, reasons={"unparseable": 1})


def test_job_without_services_says_so_at_once(make_world: MakeWorld) -> None:
    world = make_world(TICKETS)

    process = start_job(world, MONGO_URI="mongodb://127.0.0.1:9")

    assert process.wait(60) == 1
    text = output_of(world)
    assert "Cannot reach MongoDB at `mongodb://127.0.0.1:9`" in text
    assert "make up" in text
    assert "Traceback" not in text
