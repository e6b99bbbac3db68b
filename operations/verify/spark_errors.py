"""Errors of Spark in words for users, for commands that read stores on it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from py4j.protocol import Py4JError
from pyspark.errors import PySparkException

from errors import SinkRejected, SinkUnavailable
from spark_jobs.sinks.cassandra import CassandraSink
from spark_jobs.state.store_errors import OUTAGE_PATTERN

# What Spark says where a number has more than 64 bits.
OVERFLOW = "ArithmeticException"


@contextmanager
def explained_errors(what: str, remedy: str = CassandraSink.unreadable) -> Iterator[None]:
    """Name what could not be read, and the kind of the cause: its text may hold values of records.

    Raises:
        SinkUnavailable: a service did not answer.
        SinkRejected: anything else, such as a missing table.
    """
    try:
        yield
    except (Py4JError, PySparkException) as error:
        text = f"{type(error).__name__}: {error}"
        kinds = [w.rstrip(":").rsplit(".", 1)[-1] for w in text.split() if w.endswith("Exception:")]
        told = f"Spark could not read {what} ({(kinds or [type(error).__name__])[-1]})."
        if OUTAGE_PATTERN.search(text):
            raise SinkUnavailable(
                f"{told} See that all services are up (`make status`); the command can be run"
                " again."
            ) from error
        if OVERFLOW in kinds:
            raise SinkRejected(
                f"{told} A stored time is further away than Spark can count: `make verify` names"
                " the rows of Cassandra that hold one. Delete or correct them."
            ) from error
        raise SinkRejected(
            f"{told} {remedy}; the logs `spark-*.log` under `MILLRACE_HOME/logs` have the details."
        ) from error
