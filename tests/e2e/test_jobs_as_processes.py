"""Jobs as processes of their own: killed, ended by signals, with executors elsewhere."""

from __future__ import annotations

import random
import signal
import subprocess
import time

import psutil

from local_stack.mongodb import MongoDB
from settings import Settings
from spark_jobs.ledger import Counts
from spark_jobs.tickets import TICKETS
from tests.integration.test_tickets_pipeline import ticket
from tests.support.pipelines import MakeWorld
from tests.support.processes import finish, kill_with_children, output_of, start_job, wait_for
from tests.support.world import World

# Of each ten messages: eight tickets, one of them again, one that is no ticket.
TENS = 200
EXPECTED = Counts(
    read=10 * TENS,
    stored=8 * TENS,
    dead_lettered=TENS,
    duplicates=TENS,
    reasons={"unparseable": TENS},
)


def send_tens(world: World) -> None:
    for ten in range(TENS):
        tickets = [ticket(f"{ten}-{n}", client_id=f"C{n}") for n in range(8)]
        world.send(*tickets, tickets[3], (None, b"no ticket"))


def assert_exact(world: World) -> None:
    assert world.totals() == EXPECTED
    assert len(world.rows("tickets")) == 8 * TENS
    assert len(world.rows("tickets_by_team")) == 8 * TENS
    for collection in ("tickets_by_team", "tickets_by_type", "tickets_by_priority"):
        assert sum(d["count"] for d in world.documents(collection).values()) == 8 * TENS
    (metrics,) = world.documents("ticket_metrics").values()
    assert (metrics["total_tickets"], metrics["unique_clients"]) == (8 * TENS, 8)
    coordinates = {
        (headers["source_partition"], headers["source_offset"])
        for _, _, headers in world.dead_letters()
    }
    assert len(coordinates) == TENS
    assert len(world.documents("dead_letters")) == TENS


def jvm_of(process: subprocess.Popen[bytes]) -> psutil.Process:
    (jvm,) = psutil.Process(process.pid).children()
    return jvm


def test_killed_job_loses_and_doubles_nothing(make_world: MakeWorld) -> None:
    world = make_world(TICKETS)
    send_tens(world)
    seed = random.randrange(2**31)
    print(f"seed {seed}")  # noqa: T201 - pytest shows it when the test fails
    chance = random.Random(seed)

    for batches in (1, 4, 7):
        process = start_job(world, "--available-now")
        wait_for(
            lambda n=batches: world.database["batches"].count_documents({}) >= n,  # type: ignore[misc]
            120,
            f"batch {batches}",
        )
        time.sleep(chance.uniform(0, 1.5))
        kill_with_children(process)
    finish(world)

    assert_exact(world)


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


def test_second_signal_ends_job_and_jvm_at_once_and_the_restart_is_exact(
    make_world: MakeWorld,
) -> None:
    world = make_world(TICKETS)
    send_tens(world)
    process = start_job(world, STOP_TIMEOUT_SECONDS="60")
    wait_for(lambda: world.totals().read > 0, 120, "first batch")
    jvm = jvm_of(process)

    process.send_signal(signal.SIGTERM)
    process.send_signal(signal.SIGINT)

    assert process.wait(2) in {-signal.SIGINT, -signal.SIGTERM}
    wait_for(lambda: not jvm.is_running(), 2, "end of the JVM")
    # Python alone killed: the JVM must not go on with the checkpoint.
    process = start_job(world)
    batches = world.database["batches"].count_documents({})
    wait_for(lambda: world.database["batches"].count_documents({}) > batches, 120, "next batch")
    jvm = jvm_of(process)
    process.kill()
    process.wait()
    wait_for(lambda: not jvm.is_running(), 5, "end of the JVM")
    finish(world)
    assert_exact(world)


def test_killed_jvm_ends_the_job_with_an_error_and_the_restart_is_exact(
    make_world: MakeWorld,
) -> None:
    world = make_world(TICKETS)
    send_tens(world)
    process = start_job(world)
    wait_for(lambda: world.totals().read > 0, 120, "first batch")

    jvm_of(process).kill()

    assert process.wait(30) == 1
    assert "Spark's Java process has ended" in output_of(world)
    assert "start the job again" in output_of(world)
    assert "Traceback" not in output_of(world)
    finish(world)
    assert_exact(world)


def test_second_job_on_the_same_state_is_refused(make_world: MakeWorld) -> None:
    world = make_world(TICKETS)
    first = start_job(world)
    wait_for(lambda: "query=tickets started" in output_of(world), 90, "start")

    second = start_job(world)

    assert second.wait(90) == 1
    assert "is running already on this state folder" in output_of(world)
    first.send_signal(signal.SIGINT)
    assert first.wait(60) == 0


def test_executors_in_other_processes_get_what_they_need(make_world: MakeWorld) -> None:
    world = make_world(TICKETS)
    send_tens(world)

    finish(world, SPARK_MASTER="local-cluster[2,1,1024]", MAX_RECORDS_PER_BATCH="5000")

    assert_exact(world)


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
