"""Runs pipelines as streaming queries until their input is processed or they are stopped."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from threading import Thread

from py4j.protocol import Py4JError
from pymongo.database import Database
from pyspark.sql import SparkSession

from errors import JobError
from runtime.config.topic_names import dead_letter_topic
from settings import Settings
from spark_jobs.pipeline import Pipeline
from spark_jobs.run.outages import Outages
from spark_jobs.run.query import POLL_SECONDS, PipelineRun
from spark_jobs.run.query import RunOptions as RunOptions
from spark_jobs.run.watching import CommittedGroups, Watcher, Watchers
from spark_jobs.session.stopping import StopRequest, jvm_is_gone
from spark_jobs.sinks.base import Sink
from spark_jobs.sinks.mongodb import (
    MongoAggregates,
    check_mongodb,
    confirmed_database,
    connect_mongodb,
    greet_mongodb,
)
from spark_jobs.sinks.registry import sinks_of
from spark_jobs.sources.broker import greet_kafka, kafka_admin
from spark_jobs.sources.topics import check_topic
from spark_jobs.start_checks.declaration_check import check_declaration
from spark_jobs.start_checks.declaration_shape import (
    Shape,
    new_topics,
    record_shape,
    recorded_shape,
    shape_of,
)
from spark_jobs.start_checks.findings import refuse
from spark_jobs.start_checks.fingerprint import Fingerprint, fingerprint, record
from spark_jobs.start_checks.guard import Diagnosis, check_code, check_places, check_start
from spark_jobs.start_checks.sink_ownership import allowed, claimed
from spark_jobs.state.added_topics import note_added_topics
from spark_jobs.state.checkpoint import Checkpoint, checkpoint_of
from spark_jobs.state.ledger import Document, Ledger

logger = logging.getLogger(__name__)
KAFKA, LEDGER_STORE = "Kafka", MongoAggregates.store
LONGEST_CANCEL_SECONDS = 5
JVM_END_SECONDS = 10
ACCEPTING_NOTHING = RunOptions()


def run_pipelines(
    spark: SparkSession,
    pipelines: Sequence[Pipeline],
    settings: Settings,
    options: RunOptions,
    stop: StopRequest,
    say: Callable[[str], None],
    checked: Callable[[], object] = lambda: None,
    warn: Callable[[str], object] = lambda text: None,
    watchers: Sequence[Watcher] = (),
) -> None:
    """Run pipelines in parallel in one session until all are done or `stop` is set.

    The caller holds their locks; `checked` is called when all may start. What users must see while
    a store is away is logged, and goes to `warn` too where the log is not on the terminal.
    `watchers` learn of each batch.

    Raises:
        MillraceError: a pipeline must not start or cannot continue; the others were stopped first.
    """
    with connect_mongodb(settings) as client:
        database = confirmed_database(client, settings)
        pipelines = claimed(pipelines, settings, database)
        codes = {p.name: fingerprint(p, settings, spark) for p in pipelines}
        # Again under the lock: another job may have run since the first check.
        found = check_pipelines(pipelines, settings, options, codes)
        runs = []
        watcher = Watchers([CommittedGroups(settings), *watchers])
        for pipeline in pipelines:
            checkpoint = checkpoint_of(settings, pipeline.name)
            record(checkpoint, codes[pipeline.name])
            shape = shape_of(pipeline)
            _note_new_topics(pipeline, shape, checkpoint, database)
            record_shape(checkpoint, shape)
            if found[pipeline.name].lost:
                checkpoint.note_accepted_loss(found[pipeline.name].lost)
            run = PipelineRun(pipeline, settings, spark, database, options)
            run.topic_id, run.lost = found[pipeline.name].topic_id, found[pipeline.name].lost
            run.code, run.watcher = codes[pipeline.name], watcher
            runs.append(run)
        checked()
        try:
            with _outages(runs, settings, database, warn) as outages:
                watcher.waits_for(outages.waited_for)
                _run_until_done(runs, stop)
        except (Py4JError, ConnectionError, EOFError) as error:
            if not jvm_is_gone(within_seconds=JVM_END_SECONDS):
                raise
            raise JobError(
                "Spark's Java process has ended: another process killed it, or the machine ran out"
                " of memory. Nothing is lost; start the job again, with more SPARK_DRIVER_MEMORY"
                f" if needed. `{settings.millrace_home / 'logs'}` has Spark's own log."
            ) from error
        finally:
            stop_runs(runs, settings.stop_timeout_seconds, say)
            watcher.ended()


def _note_new_topics(
    pipeline: Pipeline, shape: Shape, checkpoint: Checkpoint, database: Database[Document]
) -> None:
    """Note which topics the declaration of the last job had not: they get new records alone."""
    before, last = recorded_shape(checkpoint), Ledger(database, pipeline.name).last()
    if before and last:
        added = new_topics(before, shape)
        note_added_topics(database, pipeline.name, added, last.batch_id + 1)


def _outages(
    runs: Sequence[PipelineRun],
    settings: Settings,
    database: Database[Document],
    warn: Callable[[str], object],
) -> Outages:
    """What says for which store the runs wait; they count a wait from when it was noticed."""

    def tell(text: str) -> None:
        logger.warning(text)
        warn(text)

    def is_waiting(store: str) -> bool:
        # The broker is asked for new messages all the time.
        return store == KAFKA or any(run.needs_stores() for run in runs)

    sinks = (s for run in runs for s in sinks_of(run.pipeline, settings, database))
    stores = {s.store: s.greet for s in sinks if type(s).greet is not Sink.greet}
    stores |= {
        KAFKA: partial(greet_kafka, kafka_admin(settings), _topics_of(runs, settings)),
        LEDGER_STORE: partial(greet_mongodb, database),
    }
    outages = Outages(stores, settings.store_retry_seconds, tell, is_waiting)
    for run in runs:
        run.away_since, run.warn = outages.began, tell
    return outages


def _topics_of(runs: Sequence[PipelineRun], settings: Settings) -> list[str]:
    """All topics that the runs read and write."""
    found: list[str] = []
    for pipeline in (run.pipeline for run in runs):
        topic = pipeline.topic(settings)
        found += [topic, dead_letter_topic(topic), *pipeline.forward_topics(settings)]
    return found


def _run_until_done(runs: Sequence[PipelineRun], stop: StopRequest) -> None:
    for run in runs:
        if not stop:
            run.start()
    while not stop and not all(run.done for run in runs):
        for run in runs:
            run.poll()
        time.sleep(POLL_SECONDS)


def stop_runs(runs: Sequence[PipelineRun], seconds: float, say: Callable[[str], None]) -> None:
    """Let running batches finish or abandon them, within `seconds` for all; says which.

    Part of the time is reserved for stopping, as a task that is writing takes a while to cancel.
    """
    if jvm_is_gone():
        return
    now = time.monotonic()
    finish_by = now + seconds - min(LONGEST_CANCEL_SECONDS, seconds / 3)
    active = [run for run in runs if run.query is not None and run.query.isActive]
    for run in active:
        run.close()
    while any(run.is_at_work() for run in active) and time.monotonic() < finish_by:
        time.sleep(POLL_SECONDS)
    # Before the queries stop, as afterwards none is at work.
    summaries = [(run, run.stop_summary()) for run in active]
    # In parallel and in separate threads, as `stop` waits for a writer that may hang.
    threads = [Thread(target=run.query.stop, daemon=True) for run in active if run.query]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, now + seconds - time.monotonic()))
    for run, summary in summaries:
        say(f"{run.pipeline.name}: {summary}")


def check_pipelines(
    pipelines: Sequence[Pipeline],
    settings: Settings,
    options: RunOptions = ACCEPTING_NOTHING,
    codes: Mapping[str, Fingerprint] | None = None,
) -> dict[str, Diagnosis]:
    """Check topics, stores, checkpoints and ledgers before anything starts.

    Without `codes` the code is not compared, so Spark need not run.

    Raises:
        JobError: names all findings of all pipelines and what to do.
        SinkError: a store or the broker is down or refuses.
    """
    found: dict[str, Diagnosis] = {}
    findings: list[str] = []
    with connect_mongodb(settings) as client:
        check_mongodb(client, settings)
        database = confirmed_database(client, settings)
        for pipeline in allowed(pipelines, settings, database):
            ledger = Ledger(database, pipeline.name)
            try:
                diagnosis = _check_pipeline(pipeline, settings, ledger, options)
                findings += diagnosis.findings
                findings += check_declaration(pipeline, settings)
                if codes is not None:
                    code = codes[pipeline.name]
                    findings += check_code(pipeline, settings, ledger, code, options.accepted)
            except JobError as error:
                # A missing topic or an unreadable checkpoint is reported with the other findings.
                findings.append(str(error))
            else:
                found[pipeline.name] = diagnosis
    refuse(findings, options.when_refused)
    return found


def _check_pipeline(
    pipeline: Pipeline, settings: Settings, ledger: Ledger, options: RunOptions
) -> Diagnosis:
    check_topic(settings, pipeline.topic(settings))
    for sink in sinks_of(pipeline, settings, ledger.database):
        sink.check()
    ledger.prepare()
    found = check_start(pipeline, settings, ledger, options.accepted)
    return replace(found, findings=[*found.findings, *check_places(pipeline, settings, ledger)])
