"""Jobs as processes of their own: killed at any time, alone or with their JVM."""

from __future__ import annotations

import random
import signal
import subprocess
import time

import psutil

from spark_jobs.tickets import TICKETS
from tests.support.pipelines import MakeWorld
from tests.support.processes import finish, kill_with_children, output_of, start_job, wait_for
from tests.support.tens import assert_exact, send_tens


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
    process = start_job(world, CASSANDRA_WRITER="direct")
    wait_for(lambda: world.totals().read > 0, 120, "first batch")

    jvm_of(process).kill()

    assert process.wait(30) == 1
    assert "Spark's Java process has ended" in output_of(world)
    assert "start the job again" in output_of(world)
    assert "Traceback" not in output_of(world)
    # A batch that one writer began, the other one ends.
    finish(world, CASSANDRA_WRITER="connector")
    assert_exact(world)
