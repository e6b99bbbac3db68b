"""Spark settings that let a small driver process stored data of any size."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from pyspark.sql import DataFrame, SparkSession
from pyspark.storagelevel import StorageLevel

# Not in memory: Spark loads a cached partition into memory as a whole, and one may be larger than
# the heap. From disk it is read row by row.
KEPT: Final = StorageLevel.DISK_ONLY
ROWS_OF_A_PART: Final = 100_000
MOST_PLAN_TEXT: Final = 100_000
# Of a session of ours: whether it reads so few rows that planning takes longer than reading.
HAS_FEW_ROWS: Final = "spark.millrace.hasFewRows"


def batch_session(spark: SparkSession, rows: int = 0) -> SparkSession:
    """A new session on the same Spark, with a shuffle size of its own."""
    own = spark.newSession()
    # Spark writes each plan out as text, those of cached data in it too: that may fill the heap.
    own.conf.set("spark.sql.maxPlanStringLength", str(MOST_PLAN_TEXT))
    size_shuffles(own, rows)
    return own


def size_shuffles(spark: SparkSession, rows: int) -> None:
    """Set the number of shuffle partitions for this many rows, at least one per core."""
    parts = max(math.ceil(rows / ROWS_OF_A_PART), spark.sparkContext.defaultParallelism)
    spark.conf.set("spark.sql.shuffle.partitions", str(parts))
    spark.conf.set(HAS_FEW_ROWS, str(rows <= ROWS_OF_A_PART).lower())


@contextmanager
def kept(rows: DataFrame) -> Iterator[DataFrame]:
    """Rows that are read several times, until the end.

    Few rows are kept without the plan that made them, which Spark would plan again for each query.
    """
    if rows.sparkSession.conf.get(HAS_FEW_ROWS, "false") == "true":
        yield rows.localCheckpoint(eager=False)
        return
    rows = rows.persist(KEPT)
    try:
        yield rows
    finally:
        rows.unpersist()
