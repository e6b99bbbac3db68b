"""Spark settings that let a small driver process stored data of any size."""

from __future__ import annotations

import math
from typing import Final

from pyspark.sql import SparkSession
from pyspark.storagelevel import StorageLevel

# Not in memory: Spark loads a cached partition into memory as a whole, and one may be larger than
# the heap. From disk it is read row by row.
KEPT: Final = StorageLevel.DISK_ONLY
ROWS_OF_A_PART: Final = 100_000
MOST_PLAN_TEXT: Final = 100_000


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
