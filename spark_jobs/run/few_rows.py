"""Small batches as one DataFrame, so that what is written of them is planned once."""

from __future__ import annotations

from typing import Any, Final

from pyspark.sql import DataFrame

# Larger batches are kept in Spark's memory instead of the driver's.
MOST_BYTES: Final = 16 * 1024 * 1024


class FewRows:
    """The rows of a query's small batches, one batch after the other."""

    def __init__(self) -> None:
        self._held: Any = None
        self.rows: DataFrame | None = None

    def of(self, batch: DataFrame) -> DataFrame | None:
        """The batch's rows, computed once and held by the driver, in one partition.

        Returns the same DataFrame for every batch; it has the rows of the latest one. None if they
        take more than `MOST_BYTES`.
        """
        spark, jdf = batch.sparkSession, batch._jdf  # noqa: SLF001 - PySpark has no public API
        if self.rows is None:
            jvm: Any = spark._jvm  # noqa: SLF001
            self._held = jvm.millrace.spark.FewRows(spark.sparkContext._jsc.sc())  # noqa: SLF001
            frame = spark._jsparkSession.internalCreateDataFrame(  # noqa: SLF001
                self._held, jdf.schema(), False
            )
            # So that Spark knows that it is one partition, and shuffles nothing.
            self.rows = DataFrame(frame, spark).coalesce(1)
        return self.rows if self._held.take(jdf.queryExecution().toRdd(), MOST_BYTES) else None
