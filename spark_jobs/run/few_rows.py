"""Small batches as one DataFrame, so that what is written of them is planned once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from pyspark.sql import DataFrame, SparkSession

from spark_jobs.session.jvm_classes import own_classes
from spark_jobs.session.session import INTERPRETED

# Larger batches are kept in Spark's memory instead of the driver's.
MOST_BYTES: Final = 16 * 1024 * 1024
# Of so few messages, interpreting a task's expressions takes less time than writing them out as
# code, which each task does to find out whether that code is compiled already.
INTERPRETED_MESSAGES: Final = 1_000
MODE: Final = "spark.sql.codegen.factoryMode"
TASKS: Final = "org.apache.spark.scheduler.TaskSetManager"
LARGE_TASK: Final = ".*contains a task of very large size.*"


class FewRows:
    """The rows of a query's small batches, one batch after the other."""

    def __init__(self) -> None:
        self._held: Any = None
        self.rows: DataFrame | None = None

    def of(self, batch: DataFrame, ready: Callable[[], object] = lambda: None) -> DataFrame | None:
        """The batch's rows, computed once and held by the driver, in one partition.

        Returns the same DataFrame for every batch; it has the rows of the latest one, from when
        `ready` has returned. None if they take more than `MOST_BYTES`.
        """
        held = self.like(batch)
        plan = batch._jdf.queryExecution()  # noqa: SLF001 - PySpark has no public API
        rows = self._held.read(plan.toRdd(), MOST_BYTES)
        ready()
        self._held.hold(rows)
        return None if rows is None else held

    def like(self, batch: DataFrame) -> DataFrame:
        """The DataFrame that holds rows like these; the first time it is made, without any."""
        if self.rows is None:
            spark = batch.sparkSession
            jvm: Any = spark._jvm  # noqa: SLF001
            self._held = own_classes(spark).FewRows(spark.sparkContext._jsc.sc())  # noqa: SLF001
            _expect_large_tasks(jvm)
            own = SparkSession(spark.sparkContext, spark._jsparkSession.cloneSession())  # noqa: SLF001
            # Spark would plan again while it computes, as it does for no query that streams.
            own.conf.set("spark.sql.adaptive.enabled", "false")
            schema = batch._jdf.schema()  # noqa: SLF001
            frame = own._jsparkSession.internalCreateDataFrame(self._held, schema, False)  # noqa: SLF001
            # So that Spark knows that it is one partition, and shuffles nothing.
            self.rows = DataFrame(frame, own).coalesce(1)
        return self.rows


@contextmanager
def interpreted(spark: SparkSession, messages: int) -> Iterator[None]:
    """Let the tasks of a batch of few messages interpret expressions instead of compiling them.

    For tasks that this thread starts while Spark runs a batch.
    """
    if messages > INTERPRETED_MESSAGES:
        yield
        return
    context: Any = spark.sparkContext
    before = context.getLocalProperty(MODE)
    context.setLocalProperty(MODE, INTERPRETED[MODE])
    try:
        yield
    finally:
        context.setLocalProperty(MODE, before)


def _expect_large_tasks(jvm: Any) -> None:
    """Log no warning for each task that holds more than a megabyte of rows, as these do."""
    core = jvm.org.apache.logging.log4j.core
    core.config.Configurator.setLevel(TASKS, jvm.org.apache.logging.log4j.Level.WARN)
    denied, neutral = core.Filter.Result.DENY, core.Filter.Result.NEUTRAL
    context = jvm.org.apache.logging.log4j.LogManager.getContext(False)
    logs = context.getConfiguration().getLoggerConfig(TASKS)
    if logs.getFilter() is None:  # once for all queries of a driver, and their restarts
        large = core.filter.RegexFilter.createFilter(LARGE_TASK, None, False, denied, neutral)
        logs.addFilter(large)
        context.updateLoggers()
