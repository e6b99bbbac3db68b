"""Finds, on Spark, the rows in which two tables differ, and names them by id."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import unquote

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from operations.verify.differences import named
from operations.verify.on_spark import kept

MOST_FILES: Final = 3


def row_faults(place: str, source: str, left: DataFrame, right: DataFrame, key: str) -> list[str]:
    """Where the rows of a place (`right`) differ from those of `source` (`left`), as text."""

    def words(row: Any) -> str:
        files = ", ".join(f"`{unquote(name)}`" for name in (row.files or [])[:MOST_FILES])
        place = f" ({files})" if files else ""
        name = "a row without an id" if row.id is None else f"`{row.id}`"
        if row.times is None:
            return f"{name} is missing; {source} has it"
        if row.is_extra:
            return f"{name} is there, but not in {source}{place}"
        if row.times > 1:
            return f"{name} is there {row.times} times{place}"
        columns = ", ".join(column.removeprefix("_") for column in row.columns)
        return f"{name} differs from {source} in {columns}{place}"

    with kept(differing_rows(left, right, key)) as differing:
        return named(place, differing, words)


def differing_rows(left: DataFrame, right: DataFrame, key: str) -> DataFrame:
    """The rows in which two tables differ.

    `key` is SQL that gives the id of a row.

    Columns in: the same in both; `left` has each id once; `right` may have `_file` in addition.
    Columns out: `id`, `times` bigint (rows in `right`), `is_extra` boolean (none in `left`),
        `columns` array<string> (those that differ), `files` array<string> (of the rows).
    Grain: one id that differs, by id.
    Nulls: `times` where `right` has no row; `files` without `_file`.
    """
    columns = left.columns
    # One column for each side: Spark cannot join two that have it from the same expression.
    of_left, of_right = (F.expr(key).cast("string").alias("id") for _ in range(2))
    wanted = left.select(of_left, F.struct(*columns).alias("wanted"))
    has_files = "_file" in right.columns
    files = F.sort_array(F.collect_set("_file")) if has_files else F.lit(None).cast("array<string>")
    found = right.groupBy(of_right).agg(
        F.count(F.lit(1)).alias("times"),
        F.first(F.struct(*columns)).alias("found"),
        files.alias("files"),
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
            "files",
        )
        .filter("times IS NULL OR is_extra OR times > 1 OR size(columns) > 0")
        .orderBy("id")
    )
