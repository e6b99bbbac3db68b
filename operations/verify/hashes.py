"""Compares rows by hashes: number and sums of the hashes of a block must be the same on both sides.

Sums, not XOR: a row that occurs twice must not cancel out. The halves of each hash are summed
apart, so that no sum overflows.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import reduce
from typing import Final

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

LOW_HALF: Final = 2**32 - 1
PARTS: Final = ("rows", "high", "low")


def without_empty_lists(shape: Mapping[str, str]) -> list[Column]:
    """Columns (-> Spark types), with null for an empty list, as Cassandra tells none from none."""
    return [
        (F.when(F.size(name) > 0, F.col(name)) if kind.startswith("array<") else F.col(name)).alias(
            name
        )
        for name, kind in shape.items()
    ]


def hash_of(columns: Sequence[str | Column]) -> Column:
    """A hash of these columns' values."""
    # The hash skips nulls: without their positions, a value in the wrong column would not show.
    return F.xxhash64(*columns, *(F.isnull(each) for each in columns))


def sums_by(left: DataFrame, right: DataFrame, by: Sequence[str]) -> DataFrame:
    """Add up both sides' hashes.

    Columns in: those of `by`, and `hash` bigint.
    Columns out: those of `by`; `rows_<n>`, `high_<n>`, `low_<n>` bigint, n = 0 for `left`.
    Grain: one combination of `by`.
    Nulls: sums of a side without rows.
    """
    labelled = [
        rows.select(F.lit(number).alias("side"), *by, "hash")
        for number, rows in enumerate((left, right))
    ]
    side = F.col("side")
    sums = [
        column
        for number in (0, 1)
        for column in (
            F.count_if(side == number).alias(f"rows_{number}"),
            F.sum(F.when(side == number, F.shiftright("hash", 32))).alias(f"high_{number}"),
            F.sum(F.when(side == number, F.col("hash").bitwiseAND(LOW_HALF))).alias(
                f"low_{number}"
            ),
        )
    ]
    return reduce(DataFrame.union, labelled).groupBy(*by).agg(*sums)


SIDES: Final = tuple((f"{part}_0", f"{part}_1") for part in PARTS)


def differs(sides: Iterable[tuple[str, str]] = SIDES) -> Column:
    """Whether the sides differ: those of a row of `sums_by`, or other pairs of columns."""
    same = (F.col(left).eqNullSafe(F.col(right)) for left, right in sides)
    return ~reduce(lambda left, right: left & right, same)
