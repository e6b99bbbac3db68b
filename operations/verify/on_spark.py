"""How operations use Spark: stored data of any size in a driver of any size."""

from __future__ import annotations

import math
from typing import Final

from pyspark.sql import SparkSession
from pyspark.storagelevel import StorageLevel

# Not in memory: Spark takes a kept part back into memory whole, and a part of a table may be
# larger than the heap. From disk it is read row by row.
KEPT: Final = StorageLevel.DISK_ONLY
ROWS_OF_A_PART: Final = 100_000


def batch_session(spark: SparkSession, rows: int = 0) -> SparkSession:
    """A session beside the given one, whose shuffles do not follow a streaming query's state."""
    own = spark.newSession()
    size_shuffles(own, rows)
    return own


def size_shuffles(spark: SparkSession, rows: int) -> None:
    """Cut what is shuffled into as many parts as that many rows need, a core's worth at least."""
    parts = max(math.ceil(rows / ROWS_OF_A_PART), spark.sparkContext.defaultParallelism)
    spark.conf.set("spark.sql.shuffle.partitions", str(parts))
