"""Errors of Spark where stores are read: kind and next step, never a value of a record."""

from __future__ import annotations

import pytest
from py4j.protocol import Py4JError
from pymongo.errors import ServerSelectionTimeoutError
from pyspark.errors import AnalysisException, PySparkException

from errors import MillraceError, SinkRejected, SinkUnavailable
from operations.verify.spark_errors import apart, explained_errors
from settings import Settings


@pytest.mark.parametrize(
    ("error", "kind", "reason"),
    [
        (
            AnalysisException("java.io.NoSuchTableException: no `Jane Doe`"),
            SinkRejected,
            "NoSuchTableException",
        ),
        (
            Py4JError("com.datastax.AllNodesFailedException: at Jane Doe"),
            SinkUnavailable,
            "AllNodesFailedException",
        ),
        (PySparkException("broken by Jane Doe"), SinkRejected, "PySparkException"),
    ],
)
def test_error_of_spark_is_reported_by_its_kind(
    error: Exception, kind: type[MillraceError], reason: str
) -> None:
    with pytest.raises(kind) as raised, explained_errors("what pipeline tickets stored"):
        raise error

    assert f"Spark could not read what pipeline tickets stored ({reason})." in str(raised.value)
    assert "Jane" not in str(raised.value)


def test_own_errors_pass_as_they_are() -> None:
    with pytest.raises(MillraceError, match="as it was"), explained_errors("anything"):
        raise MillraceError("as it was")


PLAN = "\n".join(f"+- Project [email#{n} AS `Jane Doe`]" for n in range(200))


@pytest.mark.parametrize(
    ("error", "kind", "remedy"),
    [
        (f": java.lang.OutOfMemoryError: Java heap space\n{PLAN}", "OutOfMemoryError", "memory"),
        (f"{PLAN}\n: java.lang.StackOverflowError\n\tat scala.Foo", "StackOverflowError", "memory"),
        (
            f": org.apache.spark.SparkException: Job aborted.\n{PLAN}\nCaused by:"
            " java.io.EOFException: Jane Doe\nCaused by: org.apache.parquet.BadFooterException: x",
            "BadFooterException",
            "what to do",
        ),
        (PLAN, "Py4JError", "what to do"),
    ],
)
def test_trouble_of_one_account_is_one_line_whatever_spark_raises(
    error: str, kind: str, remedy: str
) -> None:
    faults: list[str] = []

    with apart(faults, "files of tickets", Settings(), "what to do"):
        raise Py4JError(error)

    (fault,) = faults
    assert fault.startswith(f"Spark could not read files of tickets ({kind}). ")
    assert remedy in fault
    assert "Jane" not in fault
    assert "\n" not in fault


def test_trouble_of_any_other_kind_is_one_line_that_names_the_account() -> None:
    faults: list[str] = []

    for error in (KeyError("Jane"), ServerSelectionTimeoutError("Jane"), SinkRejected("a\nb")):
        with apart(faults, "the ledger", Settings()):
            raise error

    assert faults[0].startswith(
        "the ledger could not be compared (KeyError in test_spark_errors.py"
    )
    assert faults[1].startswith("Cannot reach MongoDB at")
    assert faults[2] == "a b"
    assert "Jane" not in "".join(faults)
