"""An outage is retried, a refusal is not: which texts of the drivers are which."""

from __future__ import annotations

import pytest
from pymongo.errors import AutoReconnect, WriteError, WTimeoutError

from errors import SinkRejected, SinkUnavailable
from spark_jobs.state.store_errors import sink_error


@pytest.mark.parametrize(
    "text",
    [
        # Cassandra killed while the connector asked for the tables' schema.
        "java.lang.IllegalStateException: Control channel not available, aborting schema refresh",
        "java.lang.IllegalStateException: Session is closed",
        "java.nio.channels.ClosedChannelException",
        "java.io.IOException: Broken pipe",
        "com.datastax.oss.driver.api.core.AllNodesFailedException: Could not reach any contact",
        # Cassandra killed while a batch was written, and a session closed under a refresh.
        "Failed to write. The\n  latest exception was\n  Unexpected error on channel",
        "java.util.concurrent.RejectedExecutionException: event executor terminated",
        # Two of three nodes killed before a batch was written, and while it was.
        "Failed to write. The\n  latest exception was\n  Not enough replicas available for query at"
        " consistency LOCAL_QUORUM (2 required but only 1 alive)",
        "Failed to write. The\n  latest exception was\n  Cassandra timeout during UNLOGGED_BATCH"
        " write query at consistency LOCAL_QUORUM (2 replica were required but only 1 had it)",
    ],
)
def test_store_that_went_away_is_an_outage(text: str) -> None:
    assert type(sink_error("Cassandra", "take batch 1", RuntimeError(text))) is SinkUnavailable


def test_driver_that_gives_up_on_a_hanging_mongodb_reports_an_outage() -> None:
    """Its text has none of the words; its class says it."""
    cancelled = type("_OperationCancelled", (AutoReconnect,), {})("operation cancelled")

    error = sink_error("MongoDB", "take batch 1", cancelled)
    assert type(error) is SinkUnavailable
    assert str(error).startswith(
        "MongoDB did not take batch 1: the connection broke (AutoReconnect). Nothing is lost"
    )
    assert type(sink_error("MongoDB", "take batch 1", WTimeoutError("w"))) is SinkUnavailable
    assert type(sink_error("MongoDB", "take batch 1", WriteError("x"))) is SinkRejected


@pytest.mark.parametrize(
    "text",
    [
        "java.util.NoSuchElementException: Columns not found in table support.tickets: priority",
        "com.datastax.oss.driver.api.core.servererrors.InvalidQueryException: unconfigured table",
    ],
)
def test_store_that_answers_and_refuses_is_no_outage(text: str) -> None:
    assert type(sink_error("Cassandra", "take batch 1", RuntimeError(text))) is SinkRejected


def test_exception_of_the_jvm_is_named_when_it_has_no_cause() -> None:
    error = RuntimeError("An error occurred while calling o1.save.\n: java.lang.Odd: x\n\tat a.B")

    assert "refused to take batch 1: java.lang.Odd: x. Nothing" in str(
        sink_error("Cassandra", "take batch 1", error)
    )


def test_outage_and_refusal_are_distinguished() -> None:
    away = RuntimeError("An error\ncaused by: WriteTimeoutException: no answer in time")
    refused = RuntimeError("InvalidQueryException: Undefined column name 'x'")

    assert isinstance(sink_error("Cassandra", "take batch 1", away), SinkUnavailable)
    rejected = sink_error("Cassandra", "take batch 1", refused)
    assert isinstance(rejected, SinkRejected)
    assert "Cassandra refused to take batch 1" in str(rejected)


def test_errors_of_stores_never_quote_a_value() -> None:
    error = RuntimeError("InvalidTypeException: cannot convert 'Jane Doe' or \"jane@x.y\" to int")

    text = str(sink_error("Cassandra", "take batch 1", error))

    assert "Jane" not in text
    assert "jane@" not in text
