"""`make bench-long`: long runs, with millions of records and thousands of small batches."""

from __future__ import annotations

import time
from collections.abc import Sequence
from itertools import pairwise
from statistics import median

import psutil
from pymongo.database import Database

from local_stack import stack
from operations.bench.bench import report
from operations.bench.jobs import Job, Probes, job_on, megabytes, steady_load
from operations.bench.pipelines import BenchError
from operations.bench.results import BenchRow, Results
from operations.bench.workload import MAIN, valid
from operations.own_stack import own_settings
from operations.prepare import prepare_stores
from operations.tables import say
from runtime.jars import ensure_jars
from runtime.java import find_java
from settings import Settings
from spark_jobs.sinks.mongodb import confirmed_database, connect_mongodb
from spark_jobs.state.ledger import Document, Entry, Ledger

SAMPLE_SECONDS = 1.0
PART = 1_000_000
SMALL_BATCHES, SMALL_RATE = 2000, 30
# How many small batches are compared, after the first ones have warmed up, and at the end.
WARM_BATCHES, COMPARED_BATCHES = 300, 300


def bench_long(settings: Settings, records: int) -> int:
    """Measure, print, compare with the committed results, write files; returns the exit code.

    Raises:
        BenchError: there are too few records to measure; nothing was started.
    """
    own = own_settings(settings, "bench", "measures", SINKS="cassandra,mongodb")
    _refuse_too_few(records, own.max_records_per_batch)
    ensure_jars(own, ["spark"], say, find_java(own, say))
    try:
        stack.up(own, say)
        prepare_stores(own, say)
        rows = [*_backlog(own, records), *_small_batches(own, SMALL_BATCHES)]
    finally:
        stack.down(own, say)
    sizes = {MAIN.name: records, "small_batches": SMALL_BATCHES}
    report(Results("Millrace: make bench-long", sizes, tuple(rows)), "bench-long")
    return 0


def _refuse_too_few(records: int, per_batch: int) -> None:
    if records < 2 * per_batch:
        raise BenchError(
            f"A long run of {records} records is too short: rates are measured from the end of the"
            f" first batch, which holds {per_batch}. Nothing was started. Ask"
            f" for {2 * per_batch} or more."
        )


def _backlog(own: Settings, records: int) -> list[BenchRow]:
    """Process a large backlog: rows per second in parts of it, and the memory used."""
    group = f"backlog of {records}"
    first = f"rows 1 to {PART}"
    rates = BenchRow(first, group)
    last = BenchRow(f"the last {PART}", group, reference=first)
    whole = BenchRow("all", group, reference=first)
    memory = BenchRow("peak memory", group, "MB")
    early = BenchRow(f"peak memory up to {PART} rows", group, "MB")
    with (
        job_on(own, "long", before=records, options=["--available-now"]) as job,
        connect_mongodb(own) as client,
    ):
        database = confirmed_database(client, job.settings)
        peaks = _watch(job, database, records)
        entries = Ledger(database, MAIN.name).entries()
    rates.values.append(_rate(entries, 0, PART))
    last.values.append(_rate(entries, records - PART, records))
    whole.values.append(_rate(entries, 0, records))
    early.values.append(max(mb for read, mb in peaks if read <= PART))
    memory.values.append(max(mb for _, mb in peaks))
    return [rates, last, whole, early, memory]


def _watch(job: Job, database: Database[Document], records: int) -> list[tuple[int, float]]:
    """Sample messages read and memory in megabytes until the job ends."""
    seen: list[tuple[int, float]] = []
    said, ledger = 0, Ledger(database, MAIN.name)
    while job.runs():
        last = ledger.last()
        read = 0 if last is None else sum(end for _, end in last.offsets.values())
        try:
            seen.append((read, megabytes(job.process)))
        except psutil.NoSuchProcess:
            break
        if read >= said + PART:
            said = read
            say(f"{read} of {records} read, {seen[-1][1]:.0f} MB")
        time.sleep(SAMPLE_SECONDS)
    return seen


def _rate(entries: Sequence[Entry], start: int, end: int) -> float:
    """Rows per second between two message counts, by the times of the ledger's entries."""
    read, marks = 0, []
    for entry in entries:
        read += entry.counts.read
        if entry.moment:
            marks.append((read, entry.moment.uptime_seconds))
    # Measured from the end of a batch, as the first one includes the job's start.
    inside = [(count, at) for count, at in marks if start < count <= end]
    (first, began), (final, ended) = inside[0], inside[-1]
    return (final - first) / (ended - began)


def _small_batches(own: Settings, batches: int) -> list[BenchRow]:
    """Process thousands of small batches, to compare late ones with early ones."""
    group = f"{batches} small batches"
    early, late = BenchRow("early batches", group, "s"), BenchRow("late batches", group, "s")
    with job_on(own, "small", environment={"TRIGGER_INTERVAL_SECONDS": "0"}) as job:
        records = Probes(valid(0, seed=1), every=SMALL_RATE)
        with steady_load(job.settings, records, SMALL_RATE), connect_mongodb(own) as client:
            ledger = Ledger(confirmed_database(client, job.settings), MAIN.name)
            while (last := ledger.last()) is None or last.batch_id < batches:
                time.sleep(SAMPLE_SECONDS)
            entries = ledger.entries()
    moments = [entry.moment.uptime_seconds for entry in entries if entry.moment]
    seconds = [after - before for before, after in pairwise(moments)]
    early.values.append(median(seconds[WARM_BATCHES:][:COMPARED_BATCHES]))
    late.values.append(median(seconds[-COMPARED_BATCHES:]))
    late.reference = early.name
    return [early, late]
