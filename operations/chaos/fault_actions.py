"""The faults of the crash tests: what each does, and whether the job must survive it."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import psutil

from local_stack.service import Service
from operations.chaos.chaos_stack import ChaosError, ChaosStack, wait_until
from operations.producing import Producer
from runtime.processes import executors_of, kill, kill_family
from spark_jobs.pipeline import Pipeline
from spark_jobs.state.fault_points import FAULT_POINTS, VARIABLE

# Fault point -> whether a pipeline's batches pass it; all pipelines pass the others.
PASSES: Mapping[str, Callable[[Pipeline], bool]] = {
    "before-cassandra": lambda pipeline: bool(pipeline.tables),
    "between-tables": lambda pipeline: len(pipeline.tables) > 1,
    "before-files": lambda pipeline: bool(pipeline.file_sets),
    "in-files-publish": lambda pipeline: bool(pipeline.file_sets),
    "between-files-and-snapshots": lambda pipeline: bool(pipeline.snapshots),
    "before-postgres": lambda pipeline: bool(pipeline.sql_tables),
    "in-postgres-transaction": lambda pipeline: bool(pipeline.sql_tables),
    "before-topics": lambda pipeline: bool(pipeline.topics),
    "between-topics-and-confirmation": lambda pipeline: bool(pipeline.topics),
    "before-dead-letters": lambda pipeline: pipeline.input.makes_faults,
    "between-dead-letters-and-summaries": lambda pipeline: pipeline.input.makes_faults,
    "between-cassandra-and-mongodb": lambda pipeline: bool(pipeline.collections),
    "in-mongodb-bulk": lambda pipeline: bool(pipeline.collections),
}
PAUSE_SECONDS = 30
AWAY_SECONDS = 3.0
# Allows for a slow start on a busy machine with two cores.
FIRST_BATCH_SECONDS = 120


@dataclass
class Scene:
    """A running job, its producer and its stack."""

    chaos_stack: ChaosStack
    pipeline: Pipeline
    job: psutil.Process
    producer: Producer
    chance: random.Random
    batches_before: int

    def wait_for_batches(self, most: int) -> None:
        """Wait for one to `most` more batches or the job's end, then a random moment."""
        wanted = self.batches_before + self.chance.randint(1, most)
        wait_until(
            lambda: (
                not self.job.is_running()
                or self.job.status() == psutil.STATUS_ZOMBIE
                or self.chaos_stack.confirmed_batches(self.pipeline) >= wanted
            ),
            FIRST_BATCH_SECONDS,
            "batch",
        )
        time.sleep(self.chance.uniform(0, 1.2))


Action = Callable[[Scene], None]


@dataclass(frozen=True)
class ChaosFault:
    """One kind of fault.

    Attributes:
        name: Its name in the report.
        action: What is done while the job runs.
        ends_job: Whether the job ends; otherwise it must continue by itself.
        environment: Extra variables of the job's environment.
        kills_producer: Whether the producer is killed.
        affects: Whether a pipeline can be affected.
    """

    name: str
    action: Action
    ends_job: bool = True
    environment: dict[str, str] = field(default_factory=dict)
    kills_producer: bool = False
    affects: Callable[[Pipeline], bool] = lambda pipeline: True


def wait_for_the_point(scene: Scene) -> None:
    """Do nothing: the job dies by itself at its fault point."""


def kill_job(scene: Scene) -> None:
    """Kill the driver: Python and JVM at once."""
    scene.wait_for_batches(3)
    kill_family(scene.job)


def kill_jvm(scene: Scene) -> None:
    """Kill the driver's JVM; Python must notice."""
    scene.wait_for_batches(3)
    for child in scene.job.children():
        kill(child)


def kill_python(scene: Scene) -> None:
    """Kill the driver's Python; the JVM must notice and end."""
    scene.wait_for_batches(3)
    left = scene.job.children(recursive=True)
    kill(scene.job)
    wait_until(lambda: not any(each.is_running() for each in left), 30, "end of the orphaned JVM")


def kill_executor(scene: Scene) -> None:
    """Kill one of the two executors, which are separate processes here."""
    scene.wait_for_batches(3)
    executors = executors_of(scene.job)
    if not executors:
        raise ChaosError("There was no executor to kill.")
    kill(scene.chance.choice(executors))


def kill_producer(scene: Scene) -> None:
    """Kill the producer while it is sending."""
    scene.wait_for_batches(2)
    kill_family(psutil.Process(scene.producer.process.pid))
    scene.producer.process.wait()


def outage_of(*names: str) -> Action:
    """An action that kills services and starts them again after a few seconds."""

    def action(scene: Scene) -> None:
        everything = scene.chaos_stack.services()
        chosen = [everything[name] for name in names]
        scene.wait_for_batches(3)
        for service in chosen:
            kill_family(_process_of(service))
        time.sleep(scene.chance.uniform(0.5, AWAY_SECONDS))
        start_again(chosen)

    return action


def start_again(chosen: Sequence[Service]) -> None:
    """Start services that were killed, and wait until they answer."""
    for service in chosen:
        wait_until(partial(_has_ended, service), 30, f"end of the killed {service.name}")
        service.start()
    for service in chosen:
        service.wait_ready()


def _process_of(service: Service) -> psutil.Process:
    process = service.process()
    if process is None:
        raise ChaosError(f"{service.name} was not running. {service.log_excerpt()}")
    return process


def _has_ended(service: Service) -> bool:
    return service.process() is None


def pause_mongodb(scene: Scene) -> None:
    """Suspend MongoDB, which then neither answers nor refuses."""
    process = _process_of(scene.chaos_stack.services()["mongodb"])
    scene.wait_for_batches(3)
    process.send_signal(signal.SIGSTOP)
    try:
        time.sleep(PAUSE_SECONDS)
    finally:
        process.send_signal(signal.SIGCONT)


FAULTS = (
    *(
        ChaosFault(
            f"at {point}",
            wait_for_the_point,
            environment={VARIABLE: point},
            affects=PASSES.get(point, lambda pipeline: True),
        )
        for point in FAULT_POINTS
    ),
    ChaosFault("kill -9 of the driver", kill_job),
    ChaosFault("kill -9 of the driver's JVM", kill_jvm),
    ChaosFault("kill -9 of the driver's Python", kill_python),
    ChaosFault(
        "kill -9 of an executor",
        kill_executor,
        ends_job=False,
        environment={"SPARK_MASTER": "local-cluster[2,1,1024]"},
    ),
    ChaosFault("kill -9 of the producer", kill_producer, ends_job=False, kills_producer=True),
    ChaosFault("Kafka killed", outage_of("kafka"), ends_job=False),
    ChaosFault(
        "Cassandra killed",
        outage_of("cassandra"),
        ends_job=False,
        affects=lambda pipeline: bool(pipeline.tables),
    ),
    ChaosFault("MongoDB killed", outage_of("mongodb"), ends_job=False),
    ChaosFault(
        "PostgreSQL killed",
        outage_of("postgres"),
        ends_job=False,
        affects=lambda pipeline: bool(pipeline.sql_tables),
    ),
    ChaosFault(
        "all stores killed",
        outage_of("kafka", "cassandra", "mongodb", "postgres"),
        ends_job=False,
    ),
    ChaosFault(f"MongoDB paused for {PAUSE_SECONDS} s", pause_mongodb, ends_job=False),
)  # fmt: skip
