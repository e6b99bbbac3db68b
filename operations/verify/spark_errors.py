"""Explains Spark's errors to users of commands that read stores."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from py4j.protocol import Py4JError
from pyspark.errors import PySparkException

from errors import SinkRejected, SinkUnavailable
from spark_jobs.sinks.cassandra import CassandraSink
from spark_jobs.state.store_errors import OUTAGE_PATTERN

# What Spark raises when a number exceeds 64 bits.
OVERFLOW = "ArithmeticException"


@contextmanager
def explained_errors(what: str, remedy: str = CassandraSink.unreadable) -> Iterator[None]:
    """Name what could not be read and the kind of error; its text may hold values of records.

    Raises:
        SinkUnavailable: a service did not answer.
        SinkRejected: anything else, such as a missing table.
    """
    try:
        yield
    except (Py4JError, PySparkException) as error:
        text = f"{type(error).__name__}: {error}"
        kinds = [w.rstrip(":").rsplit(".", 1)[-1] for w in text.split() if w.endswith("Exception:")]
        fault = f"Spark could not read {what} ({(kinds or [type(error).__name__])[-1]})."
        if OUTAGE_PATTERN.search(text):
            raise SinkUnavailable(
                f"{fault} Check that all services are up (`make status`), then run the command"
                " again."
            ) from error
        if OVERFLOW in kinds:
            raise SinkRejected(
                f"{fault} A stored time is beyond Spark's range: `make verify` names"
                " the rows of Cassandra that hold one. Delete or correct them."
            ) from error
        raise SinkRejected(
            f"{fault} {remedy}; see the logs `spark-*.log` under `MILLRACE_HOME/logs`."
        ) from error
