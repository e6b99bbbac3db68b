"""Finds, on Spark, the rows in which two tables differ, and names them by id."""

from __future__ import annotations

from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from operations.verify.differences import named
from operations.verify.on_spark import KEPT


def row_faults(place: str, source: str, left: DataFrame, right: DataFrame, key: str) -> list[str]:
    """Where the rows of a place (`right`) differ from those of `source` (`left`), as text."""
    differing = differing_rows(left, right, key).persist(KEPT)

    def words(row: Any) -> str:
        if row.times is None:
            return f"`{row.id}` is missing; {source} has it"
        if row.is_extra:
            return f"`{row.id}` is there, but not in {source}"
        if row.times > 1:
            return f"`{row.id}` is there {row.times} times"
        return f"`{row.id}` differs from {source} in {', '.join(row.columns)}"

    try:
        return named(place, differing, words)
    finally:
        differing.unpersist()


def differing_rows(left: DataFrame, right: DataFrame, key: str) -> DataFrame:
    """The rows in which two tables differ.

    `key` is SQL that gives the id of a row.

    Columns in: the same in both; `left` has each id once.
    Columns out: `id`, `times` bigint (rows in `right`), `is_extra` boolean (none in `left`),
        `columns` array<string> (those that differ).
    Grain: one id that differs, by id.
    Nulls: `times` where `right` has no row.
    """
    columns, identity = left.columns, F.expr(key).cast("string").alias("id")
    wanted = left.select(identity, F.struct(*columns).alias("wanted"))
    found = right.groupBy(identity).agg(
        F.count(F.lit(1)).alias("times"), F.first(F.struct(*columns)).alias("found")
    )
    unlike = [
        F.when(~F.col("wanted")[name].eqNullSafe(F.col("found")[name]), F.lit(name))
        for name in columns
    ]
    return (
        wanted.join(found, "id", "full_outer")
        .select(
            "id",
            "times",
            F.col("wanted").isNull().alias("is_extra"),
            F.array_compact(F.array(*unlike)).alias("columns"),
        )
        .filter("times IS NULL OR is_extra OR times > 1 OR size(columns) > 0")
        .orderBy("id")
    )
