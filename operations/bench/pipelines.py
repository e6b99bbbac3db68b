"""Benchmark variants that run in one warm Spark session: whole pipelines and their parts.

A run without a guarantee shows what the guarantee costs. No setting switches one off: it is patched
out here, in the benchmark's process.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from importlib import import_module
from pathlib import Path
from unittest.mock import patch

import psutil
from pymongo.database import Database
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from errors import MillraceError
from local_stack import stack
from operations.bench.topics import Topics
from runtime.config.sink_modules import SINK_MODULES
from settings import Settings
from spark_jobs.changes import BatchSummary
from spark_jobs.pipeline import Pipeline
from spark_jobs.run import query as pipeline_run
from spark_jobs.run.batch_writer import BatchWriter
from spark_jobs.run.query import PipelineRun, RunOptions, deduplicated
from spark_jobs.session.session import deduplication_partitions
from spark_jobs.sinks.base import Batch
from spark_jobs.sinks.mongodb import confirmed_database, connect_mongodb
from spark_jobs.sinks.registry import kinds_of
from spark_jobs.sources.kafka import read_messages, stream_messages
from spark_jobs.sources.topics import topic_state
from spark_jobs.start_checks.fingerprint import EPOCH, fingerprint
from spark_jobs.state.ledger import Confirmations, Document, Ledger
from spark_jobs.summaries import Summaries
from spark_jobs.transforms.outcomes import STORED

POLL_SECONDS = 0.02
# The share of one processor that all services together use less than when idle.
QUIET_SHARE, QUIET_PAUSE_SECONDS, QUIET_SECONDS = 0.1, 0.5, 10
STORES = ("cassandra", "mongodb")


class BenchError(MillraceError):
    """A variant did not do its work, so its time is meaningless."""


@dataclass
class Warm:
    """A warm session on the benchmark's stack, and the filled topics."""

    settings: Settings
    spark: SparkSession
    topics: Topics
    _number: int = 0
    _cached: dict[str, tuple[DataFrame, DataFrame, BatchSummary]] = field(default_factory=dict)

    def whole(
        self, pipeline: Pipeline, sinks: tuple[str, ...] = STORES, *, writer: str = "connector"
    ) -> float:
        """Rows per second of a pipeline with every guarantee, from nothing to the topic's end."""
        with self.fresh(pipeline, sinks, writer) as (own, database):
            seconds = self._process(pipeline, own, database)
            self._must_be_complete(pipeline, own, database)
            return self.topics.records(pipeline) / seconds

    def without_deduplication(self, pipeline: Pipeline) -> float:
        """The same, storing every arrival."""
        with patch.object(pipeline_run, "select_first_arrivals", lambda records, **_: records):
            return self.whole(pipeline)

    def without_second_table(self, pipeline: Pipeline) -> float:
        """The same, with only the first table."""
        return self.whole(replace(pipeline, tables=pipeline.tables[:1]))

    def without_ledger(self, pipeline: Pipeline) -> float:
        """The same without confirmations and ledger: a crash would apply a batch twice."""
        with ExitStack() as patches, self.fresh(pipeline, STORES) as (own, database):
            patches.enter_context(patch.object(BatchWriter, "_confirm"))
            patches.enter_context(patch.object(Confirmations, "add"))
            patches.enter_context(patch.object(Confirmations, "sinks", return_value=frozenset()))
            return self.topics.records(pipeline) / self._process(pipeline, own, database)

    def parse(self, pipeline: Pipeline) -> float:
        """Rows per second of reading, parsing and validating alone."""
        classified = self._classified(pipeline)
        started = time.monotonic()
        classified.write.format("noop").mode("overwrite").save()
        return self.topics.records(pipeline) / (time.monotonic() - started)

    def deduplicate(self, pipeline: Pipeline) -> float:
        """Rows per second of a stream that reads, parses, validates and drops later arrivals."""
        with self.fresh(pipeline, STORES) as (own, _):
            partitions = deduplication_partitions(self.spark)
            arrivals = stream_messages(self.spark, own, pipeline.topic(own)).transform(
                deduplicated, pipeline, own, partitions=partitions, not_before=EPOCH
            )
            started = time.monotonic()
            query = (
                arrivals.writeStream.format("noop")
                .option("checkpointLocation", str(own.millrace_home / "noop"))
                .trigger(availableNow=True)
                .start()
            )
            query.awaitTermination()
            return self.topics.records(pipeline) / (time.monotonic() - started)

    def sink(self, pipeline: Pipeline, name: str, *tables: str, writer: str = "connector") -> float:
        """Rows per second that one sink writes from memory, into all or some tables."""
        records, summary = self._cache(pipeline)
        counted = pipeline
        if tables:
            chosen = tuple(table for table in pipeline.tables if table.name in tables)
            pipeline = replace(pipeline, tables=chosen)
        with self.fresh(pipeline, (name,), writer) as (own, database):
            sink = import_module(SINK_MODULES[name]).sink(pipeline, own, database)
            started = time.monotonic()
            if sink.collections:  # writes what the rows add up to
                summary = self._summarised(counted, records)
            sink.write_batch(Batch(records, summary, f"bench{self._number}"), self._number)
            return self.topics.records(pipeline) / (time.monotonic() - started)

    def forget(self) -> None:
        """Release the cached rows."""
        for classified, *_ in self._cached.values():
            classified.unpersist()
        self._cached.clear()

    def _classified(self, pipeline: Pipeline) -> DataFrame:
        topic = pipeline.topic(self.settings)
        ranges = self.topics.ranges(pipeline)
        return read_messages(self.spark, self.settings, topic, ranges).transform(
            pipeline.classify, self.settings
        )

    def _cache(self, pipeline: Pipeline) -> tuple[DataFrame, BatchSummary]:
        if pipeline.name not in self._cached:
            self.forget()
            # As a job does: filtered before it is kept, Spark would judge each message many times.
            classified = self._classified(pipeline).persist()
            records = classified.filter(F.col("outcome").isin(*STORED))
            summary = self._summarised(pipeline, records)
            self._cached[pipeline.name] = (classified, records, summary)
        return self._cached[pipeline.name][1:]

    def _summarised(self, pipeline: Pipeline, records: DataFrame) -> BatchSummary:
        """What rows add up to, as a job finds it."""
        return Summaries(pipeline.aggregates).of(records, self.topics.records(pipeline))

    @contextmanager
    def fresh(
        self, pipeline: Pipeline, sinks: tuple[str, ...], writer: str = "connector"
    ) -> Iterator[tuple[Settings, Database[Document]]]:
        """Settings and database of a job that has stored nothing, with empty tables."""
        self._number += 1
        home = self.settings.millrace_home / "runs" / str(self._number)
        own = fresh_settings(self.settings, home, sinks, writer)
        empty_tables(own, pipeline)
        with connect_mongodb(own) as client:
            database = confirmed_database(client, own)
            Ledger(database, pipeline.name).prepare()
            wait_until_quiet(self.settings)
            yield own, database
            client.drop_database(own.mongo_database)

    def _process(self, pipeline: Pipeline, own: Settings, database: Database[Document]) -> float:
        """Seconds that the pipeline's query takes for the whole topic."""
        options = RunOptions(available_now=True)
        run = PipelineRun(pipeline, own, self.spark, database, options)
        run.topic_id = topic_state(own, pipeline.topic(own)).topic_id
        run.code = fingerprint(pipeline, own, self.spark)
        started = time.monotonic()
        run.start()
        while not run.done:
            run.poll()
            time.sleep(POLL_SECONDS)
        return time.monotonic() - started

    def _must_be_complete(
        self, pipeline: Pipeline, own: Settings, database: Database[Document]
    ) -> None:
        read = Ledger(database, pipeline.name).totals().read
        if read != self.topics.records(pipeline):
            raise BenchError(
                f"{pipeline.name}: the ledger has {read} messages, the topic"
                f" {self.topics.records(pipeline)}. See {own.millrace_home / 'logs'}."
            )


def fresh_settings(
    settings: Settings, home: Path, sinks: tuple[str, ...], writer: str = "connector"
) -> Settings:
    """Settings of a job with its own state folder, database and output folder."""
    home.mkdir(parents=True)
    for name in ("jars", "tools"):
        (home / name).symlink_to((settings.millrace_home / name).resolve())
    return settings.model_copy(
        update={
            "millrace_home": home,
            "mongo_database": f"bench_{home.name}",
            "sinks": sinks,
            "cassandra_writer": writer,
            "output_path": str(home / "output"),
        }
    )


def wait_until_quiet(settings: Settings) -> None:
    """Wait, up to a limit, until the services have finished the work of the previous variant.

    Cassandra flushes rows to disk for seconds after it has accepted them.
    """
    services = [psutil.Process(state.pid) for state in stack.states(settings) if state.pid]
    deadline = time.monotonic() + QUIET_SECONDS
    while time.monotonic() < deadline:
        before = _processor_seconds(services)
        time.sleep(QUIET_PAUSE_SECONDS)
        if _processor_seconds(services) - before < QUIET_SHARE * QUIET_PAUSE_SECONDS:
            return


def _processor_seconds(processes: list[psutil.Process]) -> float:
    return sum(sum(process.cpu_times()[:2]) for process in processes)


def empty_tables(settings: Settings, pipeline: Pipeline) -> None:
    """Delete all rows of a pipeline in every store that a variant may write to."""
    every = settings.model_copy(update={"sinks": (*STORES, *settings.sinks)})
    for sink, *_ in kinds_of([pipeline], every).values():
        sink.delete()
