"""Keeps the Cassandra connector from waiting for ever.

Its Java driver refreshes the schema before each read and write, without a time-out. If such a
refresh fails because the control connection is just lost, the driver (4.18) never lets another one
of that session run: whoever asks next, waits for ever, though the store is long back
(scylladb/java-driver issue 841 describes it). Closing the session frees them: the batch fails as in
any outage and is repeated on a new session.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pyspark.sql import SparkSession

logger = logging.getLogger(__name__)
# What takes longer is looked at; a refresh itself takes less than a second.
PATIENCE_SECONDS = 15
REFRESH_SECONDS = 15


@contextmanager
def freed_when_blocked(spark: SparkSession) -> Iterator[None]:
    """Close the connector's session if what runs inside is blocked by it, so that it fails."""
    done = threading.Event()
    watcher = threading.Thread(target=_watch, args=(spark, done), daemon=True)
    watcher.start()
    try:
        yield
    finally:
        done.set()


def forget_sessions(spark: SparkSession) -> None:
    """Let the connector make a new session where the former one may be closed or blocked."""
    _companion(spark).evictCache()


def _watch(spark: SparkSession, done: threading.Event) -> None:
    while not done.wait(PATIENCE_SECONDS):
        try:
            _close_if_blocked(spark, done)
        except Exception as error:
            # The store is away or the session ends: what runs inside tells its own error.
            kind = type(error).__name__
            logger.debug("cassandra: looking at the connector's session failed: %s", kind)


def _close_if_blocked(spark: SparkSession, done: threading.Event) -> None:
    """Close the connector's session if it leaves a schema refresh without any answer."""
    jvm: Any = spark._jvm  # noqa: SLF001 - PySpark has no public way
    session = connector(spark).openSession()
    try:
        refresh = session.refreshSchemaAsync().toCompletableFuture()
        try:
            refresh.get(REFRESH_SECONDS, jvm.java.util.concurrent.TimeUnit.SECONDS)
        except Exception:
            if not refresh.isDone() and not done.is_set():
                logger.warning("cassandra: the connector's session hangs after an outage: closed")
                session.forceCloseAsync()
    finally:
        session.close()


def connector(spark: SparkSession) -> Any:
    """The connector in the JVM, as this Spark session is configured; tasks may take it along."""
    return _companion(spark).apply(spark.sparkContext._jsc.sc().getConf())  # noqa: SLF001


def _companion(spark: SparkSession) -> Any:
    jvm: Any = spark._jvm  # noqa: SLF001
    return jvm.com.datastax.spark.connector.cql.CassandraConnector
