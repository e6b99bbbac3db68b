"""`make bench`: the platform's rows per second, compared with what its parts can do.

It runs on its own stack: `MILLRACE_HOME/bench`, other ports. Variants alternate (A B A B) in one
warm session, so that a slow phase of the machine affects all of them; then jobs run as processes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from local_stack import stack
from operations.bench.jobs import latency, peak_memory, start_up
from operations.bench.peers import Peers, peers_of
from operations.bench.pipelines import Warm
from operations.bench.results import BenchRow, Results, committed, save, worse_than
from operations.bench.sizes import Sizes
from operations.bench.topics import Topics, produce, produce_by_command, produce_ready_bytes
from operations.bench.workload import MAIN, SECOND
from operations.own_stack import own_settings
from operations.prepare import prepare_stores
from operations.tables import print_table, say
from runtime.jars import ensure_jars
from runtime.java import find_java
from settings import PROJECT_ROOT, Settings
from spark_jobs.session.session import build_session
from spark_jobs.session.stopping import stop_spark

SINKS = ("cassandra", "mongodb", "files")
CEILING, BASELINE = "ready bytes in a loop", "baseline"
PLAIN = "plain Python consumer, two tables, no guarantees"
CONNECT = "Kafka Connect, two tables, no guarantees"
WHOLE, LIMIT = "whole pipeline, every guarantee", "its parts in series, computed"
DIRECT = ", direct writer"
WHOLE_DIRECT, LIMIT_DIRECT = f"{WHOLE}{DIRECT}", f"{LIMIT}{DIRECT}"
SECOND_WHOLE = f"{SECOND.name}: whole pipeline"
PARSED = "read, parse, judge; to nothing"
DEDUPLICATED = "read, parse, judge, deduplicate; to nothing"
TABLES = tuple(table.name for table in MAIN.tables)
WARM_UPS = 2
LATENCY_SECONDS = 20
SMALL_BACKLOG, LARGE_BACKLOG = 300_000, 3_000_000
# The large backlog is not processed to its end: memory use shows long before.
MEMORY_SECONDS = 30
COLUMNS = ("group", "row", "median", "unit", "range", "ratio", "of")
Measure = Callable[[], float]


def bench(settings: Settings, sizes: Sizes) -> int:
    """Measure, print, compare with the committed results, write files; returns the exit code."""
    started = time.monotonic()
    own = own_settings(settings, "bench", "measures", SINKS=",".join((*SINKS, "postgres")))
    ensure_jars(own, ["spark", "connect"], say, find_java(own, say))
    try:
        stack.up(own, say)
        prepare_stores(own, say)
        rows = [*_producers(own, sizes), *_pipelines(own, sizes)]
        if sizes.jobs:
            rows += _jobs(own, sizes)
    finally:
        stack.down(own, say)
    amounts = {**sizes.records, "rounds": sizes.rounds}
    results = Results("Millrace: make bench", amounts, tuple(rows))
    report(results, "bench")
    for line in judge(results):
        say(line)
    say(f"took {(time.monotonic() - started) / 60:.1f} minutes")
    return 0


def report(results: Results, name: str) -> None:
    """Print the table and what got worse, and write the files."""
    print_table(results.title, COLUMNS, results.lines())
    former = committed(name)
    if former is None:
        say("no committed results to compare with")
    elif former["sizes"] != results.sizes:
        say(f"not compared: the committed results have other sizes, {former['sizes']}")
    else:
        worse = worse_than(former, results.document())
        for line in worse:
            say(f"WORSE  {line}")
        if not worse:
            say("nothing is worse than the committed results by more than 15 %")
    paths = ", ".join(str(path.relative_to(PROJECT_ROOT)) for path in save(results, name))
    say(f"written: {paths}")


def in_turn(rounds: int, variants: Sequence[tuple[BenchRow, Measure]]) -> list[BenchRow]:
    """Measure each row once per round, alternately in the given and in reverse order.

    So no row always follows the same other row and inherits its leftovers.
    """
    for number in range(1, rounds + 1):
        for row, measure in variants if number % 2 else reversed(variants):
            row.values.append(measure())
            say(f"{number}/{rounds} {row.group}: {row.name}: {row.values[-1]:,.2f} {row.unit}")
    return [row for row, _ in variants]


def _producers(own: Settings, sizes: Sizes) -> list[BenchRow]:
    count, group = sizes.main, "produce"
    command = "command with --processes 2, start included"
    say("warming up the broker")
    produce_ready_bytes(own, count)
    produce(own, count)
    return in_turn(
        sizes.rounds,
        [
            (BenchRow(CEILING, group), partial(produce_ready_bytes, own, count)),
            (BenchRow("one process", group, reference=CEILING), partial(produce, own, count)),
            (
                BenchRow(command, group, reference=CEILING),
                partial(produce_by_command, own, 5 * count),
            ),
        ],
    )


def _pipelines(own: Settings, sizes: Sizes) -> list[BenchRow]:
    topics = Topics(own)
    topics.fill(MAIN, sizes.main)
    topics.fill(SECOND, sizes.second)
    spark = build_session(own, "bench")
    try:
        warm = Warm(own, spark, topics)
        with peers_of(warm) as peers:
            say("warming up the session")
            for _, measure in WARM_UPS * wholes(warm, peers):
                measure()
            less = in_turn(sizes.rounds, variants(warm))
            # The whole pipelines come after the variants: Java compiles plans for many minutes, and
            # the targets are about them. The ceilings come last, so that they do not look too low.
            rows = [*in_turn(sizes.rounds + 1, wholes(warm, peers)), *less]
        rows += in_turn(sizes.rounds, [*reading(warm), *sinks(warm)])
        warm.forget()
    finally:
        stop_spark(spark)
    return [*rows, series_limit(rows, LIMIT), series_limit(rows, LIMIT_DIRECT, DIRECT)]


def wholes(warm: Warm, peers: Peers) -> list[tuple[BenchRow, Measure]]:
    """The whole pipelines and their peers."""
    return [
        (BenchRow(BASELINE, MAIN.name), partial(peers.baseline, MAIN)),
        (BenchRow(PLAIN, MAIN.name, reference=BASELINE), partial(peers.plain_consumer, MAIN)),
        (BenchRow(CONNECT, MAIN.name, reference=BASELINE), partial(peers.kafka_connect, MAIN)),
        (BenchRow(WHOLE, MAIN.name, reference=BASELINE), partial(warm.whole, MAIN)),
        (
            BenchRow(WHOLE_DIRECT, MAIN.name, reference=BASELINE),
            partial(warm.whole, MAIN, writer="direct"),
        ),
        (BenchRow(SECOND_WHOLE, SECOND.name, reference=WHOLE), partial(warm.whole, SECOND)),
    ]


def variants(warm: Warm) -> list[tuple[BenchRow, Measure]]:
    """The whole pipeline with more, or with one part less."""
    return _against_baseline(
        MAIN.name,
        {
            "whole pipeline and files": partial(warm.whole, MAIN, SINKS),
            "without deduplication": partial(warm.without_deduplication, MAIN),
            "without ledger": partial(warm.without_ledger, MAIN),
            "without second table": partial(warm.without_second_table, MAIN),
        },
    )


def reading(warm: Warm) -> list[tuple[BenchRow, Measure]]:
    """The pipeline's parts before any sink."""
    return _against_baseline(
        MAIN.name,
        {
            PARSED: partial(warm.parse, MAIN),
            DEDUPLICATED: partial(warm.deduplicate, MAIN),
        },
    )


def sinks(warm: Warm) -> list[tuple[BenchRow, Measure]]:
    """Each sink alone."""
    rows = {
        **{f"cassandra {name}": partial(warm.sink, MAIN, "cassandra", name) for name in TABLES},
        **{
            f"cassandra {name}{DIRECT}": partial(
                warm.sink, MAIN, "cassandra", name, writer="direct"
            )
            for name in TABLES
        },
        "mongodb, aggregates": partial(warm.sink, MAIN, "mongodb"),
        "files, all sets": partial(warm.sink, MAIN, "files"),
        "postgres": partial(warm.sink, MAIN, "postgres"),
    }
    return _against_baseline("one sink, cached rows", rows)


def _against_baseline(
    group: str, variants: Mapping[str, Measure]
) -> list[tuple[BenchRow, Measure]]:
    return [
        (BenchRow(name, group, reference=BASELINE), measure) for name, measure in variants.items()
    ]


def series_limit(rows: Sequence[BenchRow], name: str, writer: str = "") -> BenchRow:
    """The rate of a pipeline that only runs its parts one after the other.

    The parts: reading, validating and deduplicating, then each table at its rate alone.
    """
    medians = {row.name: row.median for row in rows}
    parts = [DEDUPLICATED, *(f"cassandra {table}{writer}" for table in TABLES)]
    limit = 1 / sum(1 / medians[part] for part in parts)
    return BenchRow(name, MAIN.name, reference=BASELINE, values=[limit])


def _jobs(own: Settings, sizes: Sizes) -> list[BenchRow]:
    group = "a job as a process"
    rows = []
    for rate in (200, 2000):
        found = latency(own, rate, LATENCY_SECONDS)  # once: most of it is warming up
        rows += [
            BenchRow(f"latency at {rate}/s, p50", group, "s", values=[found.p50]),
            BenchRow(f"latency at {rate}/s, p99", group, "s", values=[found.p99]),
        ]
        say(f"{group}: latency at {rate}/s: {found}")
    start = BenchRow("from command to first committed batch", group, "s")
    rows += in_turn(sizes.rounds, [(start, partial(start_up, own, 1000))])
    for backlog in (SMALL_BACKLOG, LARGE_BACKLOG):
        row = BenchRow(f"peak memory, backlog of {backlog}", group, "MB")
        rows += in_turn(1, [(row, partial(peak_memory, own, backlog, MEMORY_SECONDS))])
    return rows


def judge(results: Results) -> list[str]:
    """A line for each target: whether it is met."""
    rows = {row.name: row.median for row in results.rows if row.values}
    aims = [
        ("whole pipeline / baseline", WHOLE, BASELINE, 1.5),
        ("whole pipeline, direct writer / baseline", WHOLE_DIRECT, BASELINE, 1.5),
        ("whole pipeline / plain Python consumer", WHOLE, PLAIN, 2.0),
        ("whole pipeline, direct writer / plain Python consumer", WHOLE_DIRECT, PLAIN, 2.5),
        ("whole pipeline / Kafka Connect", WHOLE, CONNECT, 2.0),
        ("whole pipeline, direct writer / Kafka Connect", WHOLE_DIRECT, CONNECT, 2.5),
        ("whole pipeline / its parts in series", WHOLE, LIMIT, 0.75),
        ("the same, direct writer", WHOLE_DIRECT, LIMIT_DIRECT, 0.75),
        (f"{SECOND.name} / {MAIN.name}", SECOND_WHOLE, WHOLE, 0.5),
        ("producer / ready bytes", "one process", CEILING, 0.4),
    ]
    lines = [
        f"{'met' if rows[part] / rows[whole] >= least else 'NOT MET'}: {text}:"
        f" {rows[part] / rows[whole]:.2f}, wanted {least} or more"
        for text, part, whole, least in aims
    ]
    for name, most in (("latency at 200/s, p50", 1.0), ("latency at 200/s, p99", 2.0)):
        if name in rows:
            verdict = "met" if rows[name] < most else "NOT MET"
            lines.append(f"{verdict}: {name}: {rows[name]:.2f} s, wanted less than {most} s")
    return lines
