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
# Of a session of ours: how many rows it reads.
ROWS: Final = "spark.millrace.rows"
# Of more rows, columns that no query asks for would take too much room.
WHOLE_ROWS: Final = 20_000


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
    spark.conf.set(ROWS, str(rows))
    for name, value in (INTERPRETED | FEW_PLANS).items():
        if is_brief:
            spark.conf.set(name, value)
        else:
            spark.conf.unset(name)


def keeps_whole(spark: SparkSession) -> bool:
    """Whether a session of ours reads so few rows that all their columns may be kept."""
    return _reads_at_most(spark, WHOLE_ROWS)


def planned_once(rows: DataFrame) -> DataFrame:
    """Rows without the plan that made them, which Spark would plan again for each query.

    Where not all their columns may be kept, they stay as they are.
    """
    return _without_plan(rows) if keeps_whole(rows.sparkSession) else rows


@contextmanager
def kept(rows: DataFrame) -> Iterator[DataFrame]:
    """Rows that are read several times: until the end, or few until nothing refers to them."""
    if _reads_at_most(rows.sparkSession, ROWS_OF_A_PART):
        yield _without_plan(rows)
        return
    rows = rows.persist(KEPT)
    try:
        yield rows
    finally:
        rows.unpersist()


def _reads_at_most(spark: SparkSession, rows: int) -> bool:
    return float(str(spark.conf.get(ROWS, "inf"))) <= rows


def _without_plan(rows: DataFrame) -> DataFrame:
    parts = int(str(rows.sparkSession.conf.get(PARTITIONS)))
    return rows.coalesce(parts).localCheckpoint(eager=False)
