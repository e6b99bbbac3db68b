"""Columns of a classification in layers: each is computed from messages with the layers before it.

A column is built by a call to Java for each of its parts, thousands for a contract, which takes as
long as Spark takes to check them. So a contract's columns are built once, for all plans.

A plan is a tree: what a column mentions twice stands in it twice, with all its parts, and each of
Spark's hundred rules walks through all of it. So what is mentioned again is a column of an earlier
layer, or, where it is rarely needed, `once`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache, wraps
from typing import Any, Final, ParamSpec, TypeVar

from pyspark import SparkContext
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

P = ParamSpec("P")
R = TypeVar("R")

Layer = Mapping[str, Column]
"""Name -> what is computed; the plan that takes it gives it the name."""
# Contracts whose columns are kept, more than a process usually has pipelines.
MOST_KEPT: Final = 64


def built_once(build: Callable[P, R]) -> Callable[P, R]:
    """Keep what `build` makes of the same arguments, as long as the same Java process runs."""

    @lru_cache(maxsize=MOST_KEPT)
    def kept(_jvm: Any, *args: P.args, **kwargs: P.kwargs) -> R:
        return build(*args, **kwargs)

    @wraps(build)
    def get(*args: P.args, **kwargs: P.kwargs) -> R:
        jvm: Any = SparkContext._jvm  # noqa: SLF001 - PySpark has no public API
        return kept(jvm, *args, **kwargs)  # type: ignore[arg-type]

    return get


def once(value: Column, use: Callable[[Column], Column]) -> Column:
    """Return `use(value)`, in which the value may be mentioned often and stands in the plan once.

    For what few rows need: Spark interprets it.
    """
    return F.transform(F.array(value), lambda same: use(same))[0]


def with_layers(records: DataFrame, layers: Iterable[Layer]) -> DataFrame:
    """Add the columns of each layer, in order."""
    for layer in layers:
        records = records.withColumns(dict(layer))
    return records


def select_layer(records: DataFrame, columns: Mapping[str, Column | None]) -> DataFrame:
    """Keep these columns alone; one that is there already has None."""
    return records.select(
        *(name if column is None else column.alias(name) for name, column in columns.items())
    )
