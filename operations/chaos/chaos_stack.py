"""The stack of the crash tests, with jobs and producers as processes."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from pymongo.database import Database
from pyspark.sql import SparkSession

from errors import MillraceError
from local_stack.service import Service
from local_stack.stack import services
from operations.pipelines import topic_offsets
from operations.producing import Producer, start_module
from operations.verify.account import Account
from operations.verify.accounts import take_accounts
from runtime.java import find_java
from runtime.processes import kill_family
from settings import Settings
from spark_jobs.pipeline import Pipeline
from spark_jobs.sinks.cassandra_watchdog import forget_sessions
from spark_jobs.sinks.mongodb import confirmed_database, connect_mongodb
from spark_jobs.state.ledger import Document, Ledger
from spark_jobs.state.offset_ranges import width

POLL_SECONDS = 0.05
JOB_SECONDS = 240
RECORDS_PER_BATCH = 300
INVALID_RATIO, DUPLICATE_RATIO = 0.05, 0.1


class ChaosError(MillraceError):
    """A crash test failed or could not be carried out."""


@dataclass
class ChaosStack:
    """A stack and the processes that a crash test starts on it.

    Child processes take their settings from this process's environment.
    """

    settings: Settings
    spark: SparkSession
    log_path: Path
    _jobs: dict[int, subprocess.Popen[bytes]] = field(default_factory=dict)

    def start_job(self, pipeline: Pipeline, *options: str, **environment: str) -> psutil.Process:
        """Start a pipeline's job; its output goes to the log."""
        own = {"MAX_RECORDS_PER_BATCH": str(RECORDS_PER_BATCH), "SPARK_MASTER": "local[2]"}
        module, *words = pipeline.job_module
        job = start_module(module, [*words, *options], self.log_path, own | environment)
        self._jobs[job.pid] = job
        return psutil.Process(job.pid)

    def wait_for_end(self, job: psutil.Process, seconds: float = JOB_SECONDS) -> int:
        """Exit code of a job; negative for the signal that ended it.

        Raises:
            ChaosError: it did not end in time.
        """
        try:
            return self._jobs[job.pid].wait(seconds)
        except subprocess.TimeoutExpired:
            kill_family(job)
            raise ChaosError(
                f"The job did not end within {seconds:.0f} s; its log is {self.log_path}."
            ) from None

    def process_all(self, pipeline: Pipeline) -> None:
        """Run a job until everything on the topic is processed.

        Raises:
            ChaosError: it failed.
        """
        job = self.start_job(pipeline, "--available-now", MAX_RECORDS_PER_BATCH="5000")
        if code := self.wait_for_end(job):
            raise ChaosError(f"A job failed with exit code {code}; its log is {self.log_path}.")

    def start_producer(self, pipeline: Pipeline, count: int, rate: float, seed: int) -> Producer:
        """Start a producer that sends records of every kind."""
        faults = pipeline.input.faults(INVALID_RATIO, DUPLICATE_RATIO)
        words = ["--count", str(count), "--rate", f"{rate:g}", "--seed", str(seed), *faults]
        return Producer(self.settings, pipeline, words)

    def confirmed_batches(self, pipeline: Pipeline) -> int:
        """Number of a pipeline's batches in the ledger."""
        with self._database() as database:
            return len(Ledger(database, pipeline.name).entries())

    def account(self, pipeline: Pipeline) -> Account:
        """The pipeline's account at this moment, as `make verify` takes it."""
        # Unlike the session of `make verify`, this one has lived through every outage.
        forget_sessions(self.spark)
        with self._database() as database:
            (account,) = take_accounts(self.settings, database, self.spark, [pipeline])
            return account

    def messages_on(self, pipeline: Pipeline) -> int:
        """Messages on a pipeline's topic."""
        return width(topic_offsets(self.settings, pipeline.topic(self.settings)))

    def waiting(self, pipeline: Pipeline) -> bool:
        """Whether the topic has offsets after the last confirmed batch."""
        with self._database() as database:
            last = Ledger(database, pipeline.name).last()
        reached = {} if last is None else {p: end for p, (_, end) in last.offsets.items()}
        offsets = topic_offsets(self.settings, pipeline.topic(self.settings))
        return any(end > reached.get(partition, 0) for partition, (_, end) in offsets.items())

    def has_ended(self, job: psutil.Process) -> bool:
        """Whether a job has ended."""
        return self._jobs[job.pid].poll() is not None

    def end_job(self, job: psutil.Process) -> int:
        """Ask a job to end, unless it has ended; returns its exit code."""
        if not self.has_ended(job):
            job.terminate()
        return self.wait_for_end(job)

    @contextmanager
    def _database(self) -> Iterator[Database[Document]]:
        with connect_mongodb(self.settings) as client:
            yield confirmed_database(client, self.settings)

    def services(self) -> dict[str, Service]:
        """The stack's services by name."""
        return {s.name: s for s in services(self.settings, find_java(self.settings))}

    def end_jobs(self) -> None:
        """Kill the jobs that are still running."""
        for job in self._jobs.values():
            if job.poll() is None:
                kill_family(psutil.Process(job.pid))
                job.wait()


def wait_until(condition: Callable[[], bool], seconds: float, what: str) -> None:
    """Wait until a condition holds.

    Raises:
        ChaosError: it did not hold in time.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise ChaosError(f"There was no {what} within {seconds:.0f} s.")
        time.sleep(POLL_SECONDS)
