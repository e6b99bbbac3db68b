"""Keeps the Cassandra connector from waiting forever.

Its Java driver refreshes the schema before each read and write, without a time-out. If a refresh
fails because the control connection has just been lost, the driver (4.18) never runs another one in
that session: every later caller waits forever, even after the store is back
(scylladb/java-driver issue 841 describes it). Closing the session frees the callers: the batch
fails as in any outage and is repeated on a new session.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pyspark.sql import SparkSession

logger = logging.getLogger(__name__)
# Anything that takes longer is checked; a refresh itself takes less than a second.
PATIENCE_SECONDS = 15
REFRESH_SECONDS = 15


@contextmanager
def freed_when_blocked(spark: SparkSession) -> Iterator[None]:
    """Close the connector's session if it blocks the code inside, so that the code fails."""
    done = threading.Event()
    watcher = threading.Thread(target=_watch, args=(spark, done), daemon=True)
    watcher.start()
    try:
        yield
    finally:
        done.set()


def forget_sessions(spark: SparkSession) -> None:
    """Make the connector open a new session, as the old one may be closed or blocked."""
    _companion(spark).evictCache()


def _watch(spark: SparkSession, done: threading.Event) -> None:
    while not done.wait(PATIENCE_SECONDS):
        try:
            _close_if_blocked(spark, done)
        except Exception as error:
            # The store is down or the session is closing: the code inside raises its own error.
            kind = type(error).__name__
            logger.debug("cassandra: checking the connector's session failed: %s", kind)


def _close_if_blocked(spark: SparkSession, done: threading.Event) -> None:
    """Close the connector's session if a schema refresh gets no answer."""
    jvm: Any = spark._jvm  # noqa: SLF001 - PySpark has no public API
    session = connector(spark).openSession()
    try:
        refresh = session.refreshSchemaAsync().toCompletableFuture()
        try:
            refresh.get(REFRESH_SECONDS, jvm.java.util.concurrent.TimeUnit.SECONDS)
        except Exception:
            if not refresh.isDone() and not done.is_set():
                logger.warning("cassandra: closed the connector's session, hung after an outage")
                session.forceCloseAsync()
    finally:
        session.close()


def connector(spark: SparkSession) -> Any:
    """The JVM's connector with this Spark session's configuration; tasks can serialize it."""
    return _companion(spark).apply(spark.sparkContext._jsc.sc().getConf())  # noqa: SLF001


def _companion(spark: SparkSession) -> Any:
    jvm: Any = spark._jvm  # noqa: SLF001
    return jvm.com.datastax.spark.connector.cql.CassandraConnector
