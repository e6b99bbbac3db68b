"""What a query's failure leads to: another try, or the end."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from errors import JobError, MillraceError, SinkRejected, SinkUnavailable
from settings import Settings
from spark_jobs.run.query import PipelineRun, RunOptions
from spark_jobs.tickets import TICKETS


def failed_run(error: MillraceError, **changes: Any) -> PipelineRun:
    run = PipelineRun(TICKETS, Settings(**changes), cast(Any, None), cast(Any, None), RunOptions())
    fail(run, error)
    return run


def fail(run: PipelineRun, error: MillraceError) -> None:
    """Let the run's query have ended with an error."""
    run.query = cast(Any, SimpleNamespace(isActive=False, exception=lambda: RuntimeError("x")))
    run.writer = cast(Any, SimpleNamespace(error=error))


def test_refusal_is_believed_the_third_time() -> None:
    refusal = SinkRejected("Cassandra refused to take batch 3")
    run = failed_run(refusal)

    run.poll()
    assert run.query is None
    fail(run, refusal)
    run.poll()
    assert run.query is None
    fail(run, refusal)
    with pytest.raises(SinkRejected, match="refused to take batch 3"):
        run.poll()


def test_refusals_between_outages_are_counted_from_the_last_outage() -> None:
    refusal, away = SinkRejected("Cassandra refused"), SinkUnavailable("Cassandra did not answer")
    run = failed_run(refusal)

    for error in (away, away, refusal, refusal):
        run.poll()
        assert run.query is None
        fail(run, error)
    run.poll()
    fail(run, refusal)
    with pytest.raises(SinkRejected, match="Cassandra refused"):
        run.poll()


def test_store_that_is_away_is_tried_again_for_the_time_that_is_set() -> None:
    away = SinkUnavailable("MongoDB did not take batch 3")
    patient, hasty = failed_run(away), failed_run(away, store_retry_seconds=0)

    for _ in range(20):
        patient.poll()
        assert patient.query is None
        fail(patient, away)
    hasty.poll()
    fail(hasty, away)
    with pytest.raises(SinkUnavailable, match="did not take batch 3"):
        hasty.poll()


def test_any_other_error_ends_the_run_at_once() -> None:
    with pytest.raises(JobError, match="clock"):
        failed_run(JobError("the clock stands wrong")).poll()
