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
from operations.bench.pipelines import STORES, BenchError, empty_tables, fresh_settings
from operations.bench.topics import messages
from operations.chaos.chaos_stack import wait_until
from operations.producing import start_module
from producers.delivery import Delivery
from producers.generate import TicketGenerator
from producers.messages import Message
from producers.pacing import delivery_options
from runtime.processes import kill_family
from settings import Settings
from spark_jobs.sinks.mongodb import confirmed_database, connect_mongodb
from spark_jobs.sources.topics import ensure_topics
from spark_jobs.state.ledger import Ledger
from spark_jobs.tickets import TICKETS

# Enough for the JVM to compile the code that every batch runs.
WARM_TICKETS, WARM_SECONDS = 20_000, 60
JOB_SECONDS = 180
PROBES_PER_SECOND = 20
PROBE_PAUSE_SECONDS = 0.005
SAMPLE_SECONDS = 0.25
TICKET_ID = slice(len('{"ticket_id":"'), len('{"ticket_id":"') + 36)


@dataclass(frozen=True)
class Latency:
    """Seconds from handing a ticket to the producer to its row being readable in Cassandra."""

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

    def __init__(self, tickets: Iterator[Message], every: int) -> None:
        self.tickets, self.every = tickets, every
        self.sent: deque[tuple[str, float]] = deque()
        self.stopped = Event()

    def __iter__(self) -> Iterator[Message]:
        for number, message in enumerate(self.tickets):
            if self.stopped.is_set():
                return
            if not number % self.every:
                self.sent.append((message.value[TICKET_ID].decode(), time.monotonic()))
            yield message


def latency(settings: Settings, rate: int, seconds: float) -> Latency:
    """Latency of a continuous job with every guarantee, at a steady rate of tickets.

    Measured once the job is warm: it first processes a backlog and a minute of load, during which
    the JVM is busy compiling.
    """
    with job_on(settings, f"latency{rate}", before=WARM_TICKETS) as job:
        tickets = TicketGenerator(time.monotonic_ns()).messages(0)
        probes = Probes(tickets, max(1, rate // PROBES_PER_SECOND))
        session = connect(job.settings)
        try:
            _until_read(job.settings, WARM_TICKETS)
            with steady_load(job.settings, probes, rate):
                _until_readable(session, probes, WARM_SECONDS)
                waited = _until_readable(session, probes, seconds)
        finally:
            close(session)
    if len(waited) < PROBES_PER_SECOND:
        raise BenchError(
            f"Only {len(waited)} tickets were seen in {seconds:.0f} s at {rate} a second: this"
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
def steady_load(settings: Settings, tickets: Probes, rate: int) -> Iterator[None]:
    """Send tickets at a steady rate while the block runs."""
    producer = Thread(target=_produce, args=(settings, tickets, rate))
    producer.start()
    try:
        yield
    finally:
        tickets.stopped.set()
        producer.join()


def _produce(settings: Settings, probes: Probes, rate: int) -> None:
    delivery = Delivery(settings, TICKETS.topic(settings), options=delivery_options(float(rate)))
    delivery.connect()
    delivery.send_all(iter(probes), rate=rate)
    delivery.close()


def _until_readable(session: Session, probes: Probes, seconds: float) -> list[float]:
    """Wait for each ticket in turn, oldest first; returns the seconds that each took."""
    statement = session.prepare("SELECT ticket_id FROM support.tickets WHERE ticket_id = ?")
    waited, end = [], time.monotonic() + seconds
    while time.monotonic() < end:
        if not probes.sent:
            time.sleep(PROBE_PAUSE_SECONDS)
            continue
        ticket_id, sent_at = probes.sent[0]
        if session.execute(statement, [ticket_id]).one() is None:
            if time.monotonic() - sent_at > JOB_SECONDS:
                raise BenchError(f"Ticket {ticket_id} was not stored within {JOB_SECONDS} s.")
            time.sleep(PROBE_PAUSE_SECONDS)
            continue
        waited.append(time.monotonic() - sent_at)
        probes.sent.popleft()
    return waited


def _until_read(settings: Settings, messages: int) -> None:
    with connect_mongodb(settings) as client:
        ledger = Ledger(confirmed_database(client, settings), TICKETS.name)
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
    """A tickets job in its own process, with its own topic and state; killed at the end."""
    unique = f"{name}-{time.monotonic_ns()}"
    own = fresh_settings(settings, settings.millrace_home / "runs" / unique, STORES)
    own = own.model_copy(update={"tickets_topic": f"bench-{unique}"})
    ensure_topics(own, [own.tickets_topic])
    empty_tables(own, TICKETS)
    if before:
        delivery = Delivery(own, own.tickets_topic)
        delivery.connect()
        delivery.send_all(messages("tickets", before))
        delivery.close()
    log_path = own.millrace_home / "job.log"
    started = time.monotonic()
    variables = _environment(own) | (environment or {})
    child = start_module("spark_jobs.tickets", options, log_path, variables)
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
        "TICKETS_TOPIC": settings.tickets_topic,
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
