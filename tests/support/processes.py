"""A pipeline's job as a process of its own, on the tables of a `World`."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence

import psutil

from operations.producing import end_with_parent
from runtime.processes import kill_family
from settings import PROJECT_ROOT
from tests.support.pipelines import TEST_KEY
from tests.support.world import World

JOB_IN_KEYSPACE = (sys.executable, "-m", "tests.support.job_in_keyspace")
OWN_JOB = (sys.executable, "-m", "spark_jobs.job")


def start_job(
    world: World, *options: str, launcher: Sequence[str] = JOB_IN_KEYSPACE, **environment: str
) -> subprocess.Popen[bytes]:
    """Start the job of the world's pipeline; what it prints goes to a file of its state folder."""
    settings, name = world.settings, world.pipeline.name
    settings.millrace_home.mkdir(parents=True, exist_ok=True)
    own = {
        "MILLRACE_HOME": str(settings.millrace_home),
        f"{name.upper()}_TOPIC": world.topic,
        "MONGO_DATABASE": settings.mongo_database,
        "SINKS": ",".join(settings.sinks),
        "OUTPUT_PATH": settings.output_path,
        "POSTGRES_DSN": settings.postgres_dsn.get_secret_value(),
        "PII_HASH_KEY": TEST_KEY,
        "MAX_RECORDS_PER_BATCH": "150",
        "SPARK_MASTER": "local[2]",
    }
    command = [*launcher, world.keyspace, name]
    if world.pipeline.folder:
        own["PIPELINES_PATH"] = str(world.pipeline.folder.parent)
        own["PIPELINES"] = name
        command = [*OWN_JOB, name]
    with (settings.millrace_home / "output.txt").open("ab") as output:
        return subprocess.Popen(
            [*command, *options],
            cwd=PROJECT_ROOT,
            env=os.environ | own | environment,
            stdout=output,
            stderr=output,
            preexec_fn=end_with_parent,
        )


def output_of(world: World) -> str:
    return (world.settings.millrace_home / "output.txt").read_text()


def finish(world: World, **environment: str) -> None:
    """Run the job, in large batches, until what is on the topic is processed."""
    process = start_job(world, "--available-now", **{"MAX_RECORDS_PER_BATCH": "5000"} | environment)
    assert process.wait(200) == 0, output_of(world)[-3000:]


def errors_in(stderr: str) -> list[str]:
    """The lines of standard error but those that say what a command does while people wait."""
    return [line for line in stderr.splitlines() if not line.startswith("… ")]


def wait_for(condition: Callable[[], bool], seconds: float, what: str) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"no {what} within {seconds} s"
        time.sleep(0.02)


def kill_with_children(process: subprocess.Popen[bytes]) -> None:
    family = kill_family(psutil.Process(process.pid))
    process.wait()
    psutil.wait_procs(family)
