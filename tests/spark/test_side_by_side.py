"""Spark writes that run at the same time."""

from __future__ import annotations

from collections.abc import Callable
from threading import Event

import pytest
from pyspark.sql import SparkSession

from settings import JobError
from spark_jobs.side_by_side import side_by_side


def failing(text: str, after: Event | None = None) -> Callable[[], None]:
    def fail() -> None:
        if after is not None:
            assert after.wait(30)
        raise JobError(text)

    return fail


@pytest.mark.usefixtures("spark")
def test_error_of_the_first_is_raised_when_all_have_ended() -> None:
    ended = Event()

    with pytest.raises(JobError, match="first"):
        side_by_side([failing("first", ended), failing("second"), ended.set])


@pytest.mark.usefixtures("spark")
def test_error_of_another_thread_is_raised() -> None:
    with pytest.raises(JobError, match="second"):
        side_by_side([lambda: None, failing("second")])


def test_jobs_of_all_threads_belong_to_the_callers_group(spark: SparkSession) -> None:
    """Or a query that is stopped would leave its writes running."""
    context = spark.sparkContext
    context.setJobGroup("side-by-side", "a test")
    try:
        side_by_side([lambda: spark.range(3).foreach(lambda _: None)] * 2)
    finally:
        context.setLocalProperty("spark.jobGroup.id", None)  # type: ignore[arg-type]

    assert len(context.statusTracker().getJobIdsForGroup("side-by-side")) == 2
