"""Measures a job in its own process: latency, start-up, memory."""

from __future__ import annotations

import subprocess
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import quantiles
from threading import Event, Thread

import psutil
from cassandra.cluster import Session

from cql.client import close, connect
from operations.bench import workload
from operations.bench.pipelines import STORES, BenchError, empty_tables, fresh_settings
from operations.bench.workload import MAIN
from operations.chaos.chaos_stack import wait_until
from operations.producing import start_module
from producers.delivery import Delivery
from producers.messages import Message
from producers.pacing import delivery_options
from runtime.processes import kill_family
from settings import Settings
from spark_jobs.sinks.mongodb import confirmed_database, connect_mongodb
from spark_jobs.sources.topics import ensure_topics
from spark_jobs.state.ledger import Ledger

# Enough for the JVM to compile the code that every batch runs.
WARM_RECORDS, WARM_SECONDS = 20_000, 60
JOB_SECONDS = 180
PROBES_PER_SECOND = 20
PROBE_PAUSE_SECONDS = 0.005
SAMPLE_SECONDS = 0.25


@dataclass(frozen=True)
class Latency:
    """Seconds from handing a record to the producer to its row being readable in Cassandra."""

    p50: float
    p99: float


@dataclass(frozen=True)
class Job:
    """A job's process, its settings, and when it was started."""

    settings: Settings
    process: psutil.Process
    child: subprocess.Popen[bytes]
    started: float

    def runs(self) -> bool:
        """Whether it is still running."""
        return self.child.poll() is None


class Probes:
    """Passes messages on and remembers when some of them were sent."""

    def __init__(self, records: Iterator[Message], every: int) -> None:
        self.records, self.every = records, every
        self.sent: deque[tuple[str, float]] = deque()
        self.stopped = Event()

    def __iter__(self) -> Iterator[Message]:
        for number, message in enumerate(self.records):
            if self.stopped.is_set():
                return
            if not number % self.every:
                self.sent.append((message.value[workload.ID_PLACE].decode(), time.monotonic()))
            yield message


def latency(settings: Settings, rate: int, seconds: float) -> Latency:
    """Latency of a continuous job with every guarantee, at a steady rate of records.

    Measured once the job is warm: it first processes a backlog and a minute of load, during which
    the JVM is busy compiling.
    """
    with job_on(settings, f"latency{rate}", before=WARM_RECORDS) as job:
        records = workload.valid(0, time.monotonic_ns())
        probes = Probes(records, max(1, rate // PROBES_PER_SECOND))
        session = connect(job.settings)
        try:
            _until_read(job.settings, WARM_RECORDS)
            with steady_load(job.settings, probes, rate):
                _until_readable(session, probes, WARM_SECONDS)
                waited = _until_readable(session, probes, seconds)
        finally:
            close(session)
    if len(waited) < PROBES_PER_SECOND:
        raise BenchError(
            f"Only {len(waited)} records were seen in {seconds:.0f} s at {rate} a second: this"
            " machine cannot keep up, so there is no latency to report."
        )
    cuts = quantiles(waited, n=100)
    return Latency(cuts[49], cuts[98])


def start_up(settings: Settings, records: int) -> float:
    """Seconds from a job's command to its first committed batch."""
    with job_on(settings, "start", before=records) as job:
        _until_read(job.settings, 1)
        return time.monotonic() - job.started


def peak_memory(settings: Settings, backlog: int, seconds: float) -> float:
    """Peak memory of a job (JVM and Python) in megabytes while it processes a backlog.

    The measurement ends with the backlog, or after the given seconds.
    """
    with job_on(settings, f"memory{backlog}", before=backlog, options=["--available-now"]) as job:
        most, deadline = 0.0, job.started + seconds
        while job.runs() and time.monotonic() < deadline:
            most = max(most, megabytes(job.process))
            time.sleep(SAMPLE_SECONDS)
        return most


@contextmanager
def steady_load(settings: Settings, records: Probes, rate: int) -> Iterator[None]:
    """Send records at a steady rate while the block runs."""
    producer = Thread(target=_produce, args=(settings, records, rate))
    producer.start()
    try:
        yield
    finally:
        records.stopped.set()
        producer.join()


def _produce(settings: Settings, probes: Probes, rate: int) -> None:
    delivery = Delivery(settings, MAIN.topic(settings), options=delivery_options(float(rate)))
    delivery.connect()
    delivery.send_all(iter(probes), rate=rate)
    delivery.close()


def _until_readable(session: Session, probes: Probes, seconds: float) -> list[float]:
    """Wait for each record in turn, oldest first; returns the seconds that each took."""
    statement = session.prepare(workload.STORED)
    waited, end = [], time.monotonic() + seconds
    while time.monotonic() < end:
        if not probes.sent:
            time.sleep(PROBE_PAUSE_SECONDS)
            continue
        record_id, sent_at = probes.sent[0]
        if session.execute(statement, [record_id]).one() is None:
            if time.monotonic() - sent_at > JOB_SECONDS:
                raise BenchError(f"Record {record_id} was not stored within {JOB_SECONDS} s.")
            time.sleep(PROBE_PAUSE_SECONDS)
            continue
        waited.append(time.monotonic() - sent_at)
        probes.sent.popleft()
    return waited


def _until_read(settings: Settings, messages: int) -> None:
    with connect_mongodb(settings) as client:
        ledger = Ledger(confirmed_database(client, settings), MAIN.name)
        wait_until(
            lambda: ledger.totals().read >= messages, JOB_SECONDS, f"{messages} messages read"
        )


@contextmanager
def job_on(
    settings: Settings,
    name: str,
    *,
    before: int = 0,
    options: Sequence[str] = (),
    environment: dict[str, str] | None = None,
) -> Iterator[Job]:
    """The main pipeline's job as a process, with its own topic and state; killed at the end."""
    unique = f"{name}-{time.monotonic_ns()}"
    own = fresh_settings(settings, settings.millrace_home / "runs" / unique, STORES)
    own = own.model_copy(update={f"{MAIN.name}_topic": f"bench-{unique}"})
    ensure_topics(own, [MAIN.topic(own)])
    empty_tables(own, MAIN)
    if before:
        delivery = Delivery(own, MAIN.topic(own))
        delivery.connect()
        delivery.send_all(workload.mixed(MAIN, before))
        delivery.close()
    log_path = own.millrace_home / "job.log"
    started = time.monotonic()
    variables = _environment(own) | (environment or {})
    module, *words = MAIN.job_module
    child = start_module(module, [*words, *options], log_path, variables)
    job = Job(own, psutil.Process(child.pid), child, started)
    try:
        yield job
        if child.poll():
            raise BenchError(f"The job failed with exit code {child.poll()}: see {log_path}.")
    finally:
        if child.poll() is None:
            kill_family(job.process)
        child.wait()


def _environment(settings: Settings) -> dict[str, str]:
    return {
        "MILLRACE_HOME": str(settings.millrace_home),
        "MONGO_DATABASE": settings.mongo_database,
        f"{MAIN.name.upper()}_TOPIC": MAIN.topic(settings),
        "OUTPUT_PATH": settings.output_path,
        "SINKS": ",".join(settings.sinks),
    }


def megabytes(process: psutil.Process) -> float:
    """The memory of a process and its children, in megabytes."""
    total = 0
    for member in (process, *process.children(recursive=True)):
        try:
            total += member.memory_info().rss
        except psutil.NoSuchProcess:
            continue
    return total / 1e6
