"""Spark settings that let a small driver process stored data of any size."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from pyspark.sql import DataFrame, SparkSession
from pyspark.storagelevel import StorageLevel

from spark_jobs.session.session import BRIEF_RECORDS, INTERPRETED, PARTITIONS

# Not in memory: Spark loads a cached partition into memory as a whole, and one may be larger than
# the heap. From disk it is read row by row.
KEPT: Final = StorageLevel.DISK_ONLY
ROWS_OF_A_PART: Final = 100_000
MOST_PLAN_TEXT: Final = 100_000
# Of few rows, planning again what the first stages have counted costs more than it saves.
FEW_PLANS: Final = {"spark.sql.adaptive.enabled": "false"}
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
    """Suit a session to this many rows: shuffle partitions, at least one per core, and plans.

    Of few rows, plans take most of the time, so they are neither compiled nor changed on the way,
    and one partition spares them each exchange.
    """
    is_brief = rows <= BRIEF_RECORDS
    least = 1 if is_brief else spark.sparkContext.defaultParallelism
    parts = max(math.ceil(rows / ROWS_OF_A_PART), least)
    spark.conf.set(PARTITIONS, str(parts))
    spark.conf.set(HAS_FEW_ROWS, str(rows <= ROWS_OF_A_PART).lower())
    for name, value in (INTERPRETED | FEW_PLANS).items():
        if is_brief:
            spark.conf.set(name, value)
        else:
            spark.conf.unset(name)


def is_small(spark: SparkSession) -> bool:
    """Whether a session of ours reads few rows, so that they may stay in memory or on disk."""
    return spark.conf.get(HAS_FEW_ROWS, "false") == "true"


def planned_once(rows: DataFrame) -> DataFrame:
    """Few rows without the plan that made them, which Spark would plan again for each query.

    Many rows stay as they are.
    """
    if not is_small(rows.sparkSession):
        return rows
    parts = int(str(rows.sparkSession.conf.get(PARTITIONS)))
    return rows.coalesce(parts).localCheckpoint(eager=False)


@contextmanager
def kept(rows: DataFrame) -> Iterator[DataFrame]:
    """Rows that are read several times, until the end."""
    if is_small(rows.sparkSession):
        yield planned_once(rows)
        return
    rows = rows.persist(KEPT)
    try:
        yield rows
    finally:
        rows.unpersist()
