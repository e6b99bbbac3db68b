"""Benchmark variants that are no part of Millrace: what others write, in `tests/benchmarks`.

They take turns with the whole pipelines, on the same topic, stores and empty tables.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from pyspark.sql import SparkSession

from cql.client import close, connect
from operations.bench.pipelines import STORES, BenchError, Warm
from operations.tables import say
from runtime.java import find_java
from settings import PROJECT_ROOT
from spark_jobs.pipeline import Pipeline
from spark_jobs.session.defaults import spark_defaults

KEPT = ("spark.sql.redaction.options.regex", "spark.sql.session.timeZone")


@dataclass(frozen=True)
class Peers:
    """The peers, and the worker of Kafka Connect that runs as long as the session."""

    warm: Warm
    worker: Any

    def baseline(self, pipeline: Pipeline) -> float:
        """Rows per second of the baseline, tests/benchmarks/baseline.py."""
        variant = peer_module("baseline")
        session = connect(self.warm.settings)
        try:
            variant.create_table(session)
        finally:
            close(session)
        with self.warm.fresh(pipeline, STORES) as (own, database):
            servers, checkpoint = own.kafka_bootstrap_servers, own.millrace_home / "baseline"
            spark = untuned(self.warm.spark)
            started = time.monotonic()
            variant.run_baseline(spark, servers, pipeline.topic(own), checkpoint, database)
            return self._records(pipeline) / (time.monotonic() - started)

    def plain_consumer(self, pipeline: Pipeline) -> float:
        """Rows per second of a consumer without Spark, tests/benchmarks/plain_consumer.py."""
        variant = peer_module("plain_consumer")
        session = connect(self.warm.settings)
        try:
            with self.warm.fresh(pipeline, STORES) as (own, database):
                started = time.monotonic()
                variant.run_plain_consumer(
                    own.kafka_client_options(),
                    pipeline.topic(own),
                    self._ends(pipeline),
                    session,
                    pipeline.tables[0].keyspace,
                    database,
                )
                return self._records(pipeline) / (time.monotonic() - started)
        finally:
            close(session)

    def kafka_connect(self, pipeline: Pipeline) -> float:
        """Rows per second of Kafka Connect, tests/benchmarks/kafka_connect.py."""
        with self.warm.fresh(pipeline, STORES) as (own, _):
            rate: float = self.worker.run(
                pipeline.topic(own),
                self._ends(pipeline),
                pipeline.tables[0].keyspace,
                own.mongo_database,
            )
        if not rate:
            raise BenchError(
                "Kafka Connect had processed the topic before all its tasks had started, so there"
                f" is nothing to measure. Take more {pipeline.name}."
            )
        return rate

    def _records(self, pipeline: Pipeline) -> int:
        return self.warm.topics.records(pipeline)

    def _ends(self, pipeline: Pipeline) -> dict[int, int]:
        ranges = self.warm.topics.ranges(pipeline)
        return {partition: end for partition, (_, end) in ranges.items()}


@contextmanager
def peers_of(warm: Warm) -> Iterator[Peers]:
    """The peers of a warm session."""
    variant, java = peer_module("kafka_connect"), find_java(warm.settings, say)
    with variant.running_worker(warm.settings, warm.spark, java) as worker:
        yield Peers(warm, worker)


def untuned(spark: SparkSession) -> SparkSession:
    """A session in the same JVM with Spark's own defaults instead of the platform's."""
    session = spark.newSession()
    for key in spark_defaults():
        # These stay: one hides secrets, and rows would depend on the machine's time zone.
        if key.startswith("spark.sql.") and key not in KEPT and session.conf.isModifiable(key):
            session.conf.unset(key)
    return session


def peer_module(name: str) -> Any:
    """A module of tests/benchmarks, where the installed command would not find it."""
    if str(PROJECT_ROOT) not in sys.path:
        sys.path.append(str(PROJECT_ROOT))
    return import_module(f"tests.benchmarks.{name}")
