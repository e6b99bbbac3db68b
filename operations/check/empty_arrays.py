"""Checks that no condition tells an empty array from an absent one, as Cassandra cannot.

A batch sees the empty array that was sent, and verify the null that was stored. So a condition is
evaluated for both, next to values for its other columns, of which its own literals come first.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from itertools import islice, product
from typing import Any, Final

from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from operations.sql_text import columns_in

MOST_ROWS: Final = 1_000
MOST_VALUES: Final = 12
_LITERALS: Final = re.compile(r"'(?:[^'\\]|\\.|'')*'|(?<![\w.])\d+(?:\.\d+)?")
# For columns that are not compared with a literal; what a type cannot hold becomes null.
_USUAL: Final = ("NULL", "'1'", "'true'", "'false'", "'2026-11-22'", "'9999-12-31'", "'0'")


def distinguished(records: DataFrame, sql: str, *, is_condition: bool = True) -> list[str]:
    """The array columns of which an expression tells whether they are empty or absent.

    Args:
        records: A frame with the columns that the expression may use.
        sql: A condition, or else any expression, that Spark can analyse.
        is_condition: Whether null is the same as false.
    """
    types = dict(records.dtypes)
    arrays = [name for name in columns_in(sql, types) if types[name].startswith("array<")]
    if not arrays:
        return []
    if is_condition:
        shown = f"coalesce({sql}, false)"
    elif records.select(F.expr(sql)).dtypes[0][1].startswith("array<"):
        # What is derived may be empty or absent, too.
        shown = f"xxhash64(CASE WHEN size({sql}) > 0 THEN {sql} END)"
    else:
        shown = f"struct(xxhash64({sql}), ({sql}) IS NULL)"
    try:
        return [each for each in arrays if _tells(records.sparkSession, sql, shown, each, types)]
    except PySparkException:
        # It cannot be evaluated, such as a function of the user's own that is not there.
        return []


def _tells(spark: SparkSession, sql: str, shown: str, array: str, types: Mapping[str, str]) -> bool:
    others = [name for name in columns_in(sql, types) if name != array]
    rows = islice(product(*(_values(sql, types[name]) for name in others)), MOST_ROWS)
    listed = ", ".join(f"({', '.join(('1', *row))})" for row in rows)
    names = ", ".join(("_", *(f"`{name}`" for name in others)))
    query = f"SELECT * FROM VALUES {listed} AS records({names})"  # noqa: S608 (the user's own SQL)
    frame = spark.sql(query)

    def answers(value: str) -> list[Any]:
        with_array = frame.withColumn(array, F.expr(f"CAST({value} AS {types[array]})"))
        return with_array.select(F.expr(shown)).collect()

    return answers("NULL") != answers("array()")


def _values(sql: str, kind: str) -> list[str]:
    """Values of a column as SQL."""
    if kind.startswith("array<"):
        return [f"CAST({value} AS {kind})" for value in ("NULL", "array()")]
    return [*islice(_cast(sql, kind), MOST_VALUES)]


def _cast(sql: str, kind: str) -> Iterator[str]:
    found: dict[str, None] = {}
    for literal in (each[0] for each in _LITERALS.finditer(sql)):
        # Next to a number, what is less and more.
        around = (literal,) if literal[0] == "'" else _around(literal)
        found |= dict.fromkeys(around)
    for literal in dict.fromkeys((*found, *_USUAL)):
        yield f"try_cast({literal} AS {kind})"


def _around(number: str) -> tuple[str, ...]:
    return tuple(f"'{Decimal(number) + step:f}'" for step in (0, 1, -1))
