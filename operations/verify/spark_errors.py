"""Explains Spark's errors to users of commands that read stores."""

from __future__ import annotations

import re
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from py4j.protocol import Py4JError
from pyspark.errors import PySparkException

from errors import MillraceError, SinkRejected, SinkUnavailable
from settings import Settings
from spark_jobs.sinks.cassandra import CassandraSink
from spark_jobs.sinks.driver_errors import explained
from spark_jobs.state.store_errors import OUTAGE_PATTERN

# What Spark raises when a number exceeds 64 bits.
OVERFLOW = "ArithmeticException"
# Full names of Java's errors; other words may be values of records.
KIND = re.compile(r"\b(?:[a-z][\w]*\.)+([A-Z]\w*(?:Exception|Error))\b")
# What Spark wraps around a cause.
WRAPPERS = frozenset({"SparkException", "Py4JJavaError", "ExecutionException"})
MEMORY = ("OutOfMemoryError", "StackOverflowError")


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
        kind = _kind(text) or type(error).__name__
        fault = f"Spark could not read {what} ({kind})."
        if kind in MEMORY:
            raise SinkRejected(
                f"{fault} Give its driver more memory (`SPARK_DRIVER_MEMORY`), then run the command"
                " again."
            ) from error
        if OUTAGE_PATTERN.search(text):
            raise SinkUnavailable(
                f"{fault} Check that all services are up (`make status`), then run the command"
                " again."
            ) from error
        if OVERFLOW in KIND.findall(text):
            raise SinkRejected(
                f"{fault} A stored time is beyond Spark's range: `make verify` names"
                " the rows of Cassandra that hold one. Delete or correct them."
            ) from error
        raise SinkRejected(
            f"{fault} {remedy}; see the logs `spark-*.log` under `MILLRACE_HOME/logs`."
        ) from error


def is_of_machine(error: Exception) -> bool:
    """Whether a service or memory was lacking, so that the error says nothing about the data."""
    text = str(error)
    return bool(OUTAGE_PATTERN.search(text)) or any(name in text for name in MEMORY)


def _kind(text: str) -> str | None:
    """The kind of the root cause, without its package; lack of memory before all others."""
    kinds = [name for name in KIND.findall(text) if name not in WRAPPERS]
    causes = [m[1] for m in re.finditer(rf"Caused by: {KIND.pattern}", text)]
    lacks = [name for name in kinds if name in MEMORY]
    return next(iter([*lacks, *causes[-1:], *kinds[:1]]), None)


@contextmanager
def apart(
    faults: list[str], what: str, settings: Settings, remedy: str = CassandraSink.unreadable
) -> Iterator[None]:
    """Make a fault of what goes wrong with one account, so that the others are still taken.

    Args:
        faults: Takes the fault: one line.
        what: The account, for the fault.
        settings: The addresses of stores, for the fault.
        remedy: What to do if Spark cannot read it.
    """
    try:
        with explained_errors(what, remedy):
            yield
    except MillraceError as error:
        fault = " ".join(str(error).split("\n"))
    except Exception as error:
        fault = str(explained(error, settings) or _unexplained(what, error))
    else:
        return
    # Several parts of an account may need what is missing.
    if fault not in faults:
        faults.append(fault)


def _unexplained(what: str, error: Exception) -> str:
    """A fault without the error's text, which may hold values."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    return (
        f"{what} could not be compared ({type(error).__name__} in {Path(last.filename).name}, line"
        f" {last.lineno}): it has a form that nothing here writes. Correct it; if you cannot find"
        " what is wrong, report this line"
    )
