"""`make run` and `make stream`: services, producers and jobs together."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from textwrap import wrap
from threading import Thread

from pyspark.sql import SparkSession

from keys import load_pii_hash_key
from operations.activity import Activities, showing, shown
from operations.doctor.doctor import refuse_hindered, summary_of_checks
from operations.job_activity import JobActivity
from operations.prepare import start_and_prepare
from operations.producing import Producer
from operations.run_summary import print_summary
from operations.tables import console
from operations.top import StreamBoard
from operations.verify.verify import balance
from runtime.jars import ensure_jars
from runtime.java import find_java
from settings import Settings
from spark_jobs.pipeline import Pipeline
from spark_jobs.registry import pipelines_of
from spark_jobs.run.command import are_few, start_logging
from spark_jobs.run.job import RunOptions, check_pipelines, run_pipelines
from spark_jobs.run.locks import NoteUi, locked, refuse_running
from spark_jobs.run.metrics import served_metrics
from spark_jobs.run.watching import Watcher
from spark_jobs.session.class_archive import keep_archive
from spark_jobs.session.session import BRIEF_RECORDS, build_session
from spark_jobs.session.stopping import StopRequest, stop_spark
from spark_jobs.start_checks.fingerprint import fingerprint, needs_spark
from spark_jobs.state.acceptance import NOTHING, Accepted
from spark_jobs.state.checkpoint import checkpoint_of

INVALID_RATIO, DUPLICATE_RATIO = 0.03, 0.02
NOTHING_SENT = "The services are up; nothing was sent."
SENT = "The services are up; the messages that were sent wait on the topics."
# Of a record in a file, to tell a small file from a large one.
USUAL_BYTES = 200
Say = Callable[[str], None]


@dataclass(frozen=True)
class Amounts:
    """How many records `make run` sends, and from which seed.

    Attributes:
        counts: Pipeline -> number of records; of those that are missing the usual number, or the
            whole file that a setting names.
        seed: Of the generated records.
        file: Records to send instead, for the only pipeline.
    """

    counts: Mapping[str, int]
    seed: int
    file: str | None = None

    def of(self, pipeline: Pipeline, settings: Settings) -> int | None:
        """How many records a pipeline gets; None for all of a file."""
        named = pipeline.input.file_setting
        usual = None if named and getattr(settings, named) else pipeline.input.usual_count
        return self.counts.get(pipeline.name, usual)

    def are_few(self, pipelines: Sequence[Pipeline], settings: Settings) -> bool:
        """Whether starting takes longer than processing."""
        if self.file:
            return Path(self.file).stat().st_size <= BRIEF_RECORDS * USUAL_BYTES
        return are_few([self.of(each, settings) for each in pipelines])


def run(settings: Settings, amounts: Amounts, accepted: Accepted = NOTHING) -> int:
    """Run everything from nothing to a verified summary; returns the exit code.

    Raises:
        MillraceError: it must not or cannot go on; says what was started and what was sent.
    """
    started, pipelines = time.monotonic(), pipelines_of(settings)
    with shown() as seen, ExitStack() as held:
        say = _clock_say(seen.say, started)
        with seen.doing("run: checks whether it may start"):
            _, watchers = _begin(settings, pipelines, held)
        jobs = JobActivity(settings, seen, counts=True)
        if amounts.file is None:
            say(f"seed {amounts.seed} (SEED={amounts.seed} sends the same ids)")
        pool = held.enter_context(ThreadPoolExecutor(1))
        # In parallel with the search for Java and jars, so that it costs hardly any time.
        checks = pool.submit(summary_of_checks, settings)
        with seen.doing("run: checks Java, connectors and services"):
            _fetch_connectors(settings, say)
            for line in checks.result():
                say(line)
        # The services start while Spark does: each spends part of its start waiting for the disk.
        session, stop = Future[SparkSession](), StopRequest()
        options = RunOptions(available_now=True, accepted=accepted, when_refused=NOTHING_SENT)
        produced = pool.submit(
            _prepare_and_produce, settings, pipelines, amounts, options, session, stop, seen, say
        )
        small = amounts.are_few(pipelines, settings)
        try:
            spark = _start_spark(settings, "run", seen, say, is_brief=small, may_archive=True)
        except BaseException as error:
            stop.ask()
            session.set_exception(error)
            raise
        session.set_result(spark)
        try:
            for line in produced.result():
                say(line)
            say("jobs: processing what is on the topics")
            jobs.expected()
            options = replace(options, when_refused=SENT)
            with ExitStack() as caught:
                # From the first batch on, Ctrl-C must end the jobs cleanly.
                catch = partial(caught.enter_context, stop.catching_signals())
                run_pipelines(
                    spark,
                    pipelines,
                    settings,
                    options,
                    stop,
                    say,
                    checked=catch,
                    warn=say,
                    watchers=[jobs, *watchers],
                )
            held.close()
            if stop:
                say("stopped before all input was processed; the next run or job continues there")
                return stop.exit_code
            accounts = balance(settings, spark, seen)
            say("verified what the stores hold")
        finally:
            with seen.doing("run: stops Spark"):
                stop_spark(spark)
    print_summary(settings, accounts)
    with stop.catching_signals(), shown() as seen, seen.doing("java: keeps what it has loaded"):
        keep_archive(stop, _clock_say(seen.say, started))
    return 0 if all(account.balanced for account in accounts) else 1


def stream(settings: Settings, accepted: Accepted = NOTHING) -> int:
    """Run producers at their rate and jobs until Ctrl-C; returns the exit code.

    Raises:
        MillraceError: it must not or cannot go on; says what was started and what was sent.
    """
    pipelines = pipelines_of(settings)
    with ExitStack() as held:
        with showing("stream: checks whether it may start"):
            note_ui, watchers = _begin(settings, pipelines, held)
        board = StreamBoard(settings)
        say = _clock_say(board.say, time.monotonic())
        held.enter_context(board.shown())
        jobs = JobActivity(settings, board)
        _fetch_connectors(settings, say)
        start_and_prepare(settings, board, say)
        spark = _start_spark(settings, "stream", board, say, has_ui=True)
        ui = spark.sparkContext.uiWebUrl
        note_ui(ui)
        producers: list[Producer] = []
        stop = StopRequest()

        def produce() -> None:
            held.enter_context(stop.catching_signals())
            for pipeline in pipelines:
                rate = ["--rate", str(stream_rate(pipeline, settings))]
                options = ["--count", "0", *rate, *_faults(pipeline)]
                producers.append(Producer(settings, pipeline, options))
                say(f"{pipeline.name}: producer running, log {producers[-1].log_path}")
            Thread(target=_watch, args=(producers, stop, say), daemon=True).start()
            say(f"jobs running; Spark UI {ui}; Ctrl-C ends everything")
            board.starting, board.stopping = False, lambda: stop

        options = RunOptions(accepted=accepted, when_refused=NOTHING_SENT)
        jobs.expected()
        try:
            run_pipelines(
                spark,
                pipelines,
                settings,
                options,
                stop,
                say,
                checked=produce,
                warn=say,
                watchers=[jobs, *watchers],
            )
        finally:
            with board.doing("stream: ends producers and Spark"):
                codes = [producer.end() for producer in producers]
                stop_spark(spark)
    say("producers and jobs have ended; the services are still up (`make down` stops them)")
    return stop.exit_code or int(any(codes))


def stream_rate(pipeline: Pipeline, settings: Settings) -> float:
    """Records per second that `make stream` sends to a pipeline."""
    own = pipeline.input.rate_setting
    # A rate of 0 would send all at once.
    rate: float = (own and getattr(settings, own)) or settings.stream_rate
    return rate


def _begin(
    settings: Settings, pipelines: Sequence[Pipeline], held: ExitStack
) -> tuple[NoteUi, list[Watcher]]:
    """Check that a run may start, before anything is fetched or sent, and take the locks."""
    refuse_running(pipelines, settings)
    refuse_hindered(settings)
    note_ui = held.enter_context(locked(pipelines, settings))
    start_logging(settings, to_terminal=False)
    load_pii_hash_key(settings)
    return note_ui, held.enter_context(served_metrics(settings))


def _fetch_connectors(settings: Settings, say: Say) -> None:
    """Fetch the jars that Spark's start would otherwise fetch silently."""
    ensure_jars(settings, ["spark"], say, find_java(settings, say))


def _prepare_and_produce(
    settings: Settings,
    pipelines: Sequence[Pipeline],
    amounts: Amounts,
    options: RunOptions,
    session: Future[SparkSession],
    stop: StopRequest,
    seen: Activities,
    say: Say,
) -> list[str]:
    start_and_prepare(settings, seen, say)
    # Before anything is sent: if a job must not start, its messages would wait on the topic.
    check_pipelines(pipelines, settings, options)
    if any(needs_spark(checkpoint_of(settings, pipeline.name)) for pipeline in pipelines):
        spark = session.result()
        codes = {each.name: fingerprint(each, settings, spark) for each in pipelines}
        check_pipelines(pipelines, settings, options, codes)
    seeded = ["--rate", "0", "--seed", str(amounts.seed)]
    producers = [
        Producer(settings, each, ["--count", str(count or 0), *seeded, *_faults(each)])
        if amounts.file is None
        else Producer(settings, each, ["--rate", "0"], amounts.file)
        for each in pipelines
        if ((count := amounts.of(each, settings)) != 0 or amounts.file) and not stop
    ]
    try:
        with seen.doing(f"producers: send {', '.join(each.name for each in producers)}"):
            return [line for producer in producers for line in producer.wait(stop, say)]
    finally:
        for producer in producers:
            producer.end()


def _faults(pipeline: Pipeline) -> list[str]:
    return pipeline.input.faults(INVALID_RATIO, DUPLICATE_RATIO)


def _start_spark(
    settings: Settings, name: str, seen: Activities, say: Say, **wishes: bool
) -> SparkSession:
    started = time.monotonic()
    with seen.doing("spark: starts"):
        spark = build_session(settings, name, **wishes)
    say(f"spark {spark.version} on {settings.spark_master} up after"
        f" {time.monotonic() - started:.0f} s")  # fmt: skip
    return spark


def _watch(producers: list[Producer], stop: StopRequest, say: Say) -> None:
    while not stop:
        for producer in producers:
            producer.pass_on_waits(say)
            code = producer.process.poll()
            if code is not None and (code or not producer.ends):
                say(
                    f"the {producer.name} producer has ended;"
                    f" see `make logs SERVICE=producer-{producer.name}`"
                )
                stop.ask()
        time.sleep(1)


def _clock_say(write: Say, started: float) -> Say:
    indent = "\n" + " " * len("[  0.0 s] ")

    def say(text: str) -> None:
        head = f"[{time.monotonic() - started:5.1f} s] "
        if sys.stdout.isatty():
            text = indent.join(wrap(text, console().width - len(head), break_long_words=False,
                                    break_on_hyphens=False))  # fmt: skip
        write(f"{head}{text}")

    return say
