"""Errors of Spark where stores are read: kind and next step, never a value of a record."""

from __future__ import annotations

import pytest
from py4j.protocol import Py4JError
from pyspark.errors import AnalysisException, PySparkException

from errors import MillraceError, SinkRejected, SinkUnavailable
from operations.verify.spark_errors import explained_errors


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
