"""DataFrames that are made of the same rows again and again, and planned once."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Final
from weakref import WeakKeyDictionary

from pyspark.sql import DataFrame

# Up to so many messages, planning what is made of them would take longer than computing it.
FEW_MESSAGES: Final = 20_000
_made: WeakKeyDictionary[DataFrame, dict[Hashable, DataFrame]] = WeakKeyDictionary()


def planned(rows: DataFrame, name: Hashable, make: Callable[[DataFrame], DataFrame]) -> DataFrame:
    """`make(rows)`, made once under each name for as long as `rows` lives.

    Spark plans a DataFrame when it is first computed and keeps the plan with it. Small batches are
    all the same DataFrame (`run/few_rows.py`); for any other this is a plain call.
    """
    frames = _made.setdefault(rows, {})
    if name not in frames:
        frames[name] = make(rows)
    return frames[name]
