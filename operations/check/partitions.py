"""How large one partition of each table grows, at a few rates of records.

A partition is open as long as its key stands for the present: a column that is cut to the hour ends
it after an hour. Columns with a known number of values divide the records among as many partitions.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from math import ceil
from typing import Final

from operations.check.row_sizes import RowSize
from operations.check.time_cuts import TIMES, YEAR, lasts, recurring_values
from operations.sql_text import columns_in
from schemas.fields import FieldContract
from spark_jobs.pipeline import Pipeline
from spark_jobs.targets import SHARD, Table

RATES: Final = (10, 1_000, 100_000)
MOST_ROWS: Final = 100_000
MOST_BYTES: Final = 100_000_000
REMAINDER: Final = re.compile(r"\bpmod\(.*,\s*(\d+)\s*\)|%\s*(\d+)\s*\Z", re.IGNORECASE)


@dataclass(frozen=True)
class Growth:
    """What one partition of a table gets.

    Attributes:
        seconds: How long it is open; None if it never ends.
        shares: Among how many partitions the records of that time are divided.
        holds_one: Whether its key has the whole id, so that it has one row.
        even: Columns over whose values records are taken to spread evenly, with their number.
        open_ended: Columns whose number of values is not known; counted as one value.
        doubtful: Columns whose SQL truncates a time in an unknown way; counted as one value.
    """

    seconds: float | None = None
    shares: float = 1
    holds_one: bool = False
    even: tuple[tuple[str, int], ...] = ()
    open_ended: tuple[str, ...] = ()
    doubtful: tuple[str, ...] = ()

    def rows(self, rate: float) -> float:
        """Rows of a partition at this many records a second; after a year if it never ends."""
        open_for = YEAR if self.seconds is None else self.seconds
        return 1 if self.holds_one else max(1, rate * open_for / self.shares)

    def most(self, size: RowSize) -> float:
        """The rate up to which it stays within the limits.

        Of a partition that never ends it is the number of records in all.
        """
        return _most_rows(size) * self.shares / (self.seconds or 1)

    def exceeds(self, rate: float, size: RowSize) -> bool:
        """Whether it outgrows a limit at this rate."""
        return self.rows(rate) > _most_rows(size)

    def shards(self, rate: float, size: RowSize, now: int = 1) -> int:
        """How many shards keep it within the limits at this rate, if it has `now` of them."""
        return max(1, ceil(now * self.rows(rate) / _most_rows(size)))


def _most_rows(size: RowSize) -> float:
    return min(MOST_ROWS, (MOST_BYTES - size.partition) / size.row)


def growth(pipeline: Pipeline, table: Table) -> Growth:
    """What the key of a table says about its partitions."""
    key = [*table.declared.partition_key]
    if pipeline.id_columns and {*pipeline.id_columns} <= {*key}:
        return Growth(holds_one=True)
    seconds: list[float] = []
    even: dict[str, int] = {}
    unknown, doubtful = [], []
    for name in key:
        ends = _ends_after(pipeline, table, name)
        if count := _values(pipeline, table, name):
            even[name] = count
        elif ends is None:
            unknown.append(name)
        elif ends:
            seconds.append(ends)
        else:
            doubtful.append(name)
    shares = 1
    for count in even.values():
        shares *= count
    return Growth(
        min(seconds, default=None), shares, False, (*even.items(),), (*unknown,), (*doubtful,)
    )


def _sql_of(pipeline: Pipeline, table: Table, name: str) -> str | None:
    shared = {} if callable(pipeline.derived) else pipeline.derived
    return table.derived.get(name) or shared.get(name)


def _ends_after(pipeline: Pipeline, table: Table, name: str) -> float | None:
    """Seconds after which the column has another value; 0 if not known, None if it is no time."""
    types = pipeline.column_types
    sql = _sql_of(pipeline, table, name)
    if sql is None:
        return TIMES.get(types.get(name, ""))
    if found := lasts(sql, types):
        return found
    return 0 if any(types[each] in TIMES for each in columns_in(sql, types)) else None


def _values(pipeline: Pipeline, table: Table, name: str) -> int | None:
    """How many values a column has, if that is known."""
    if name == SHARD and table.shards > 1:
        return table.shards
    if name in table.spread:
        return table.spread[name]
    if sql := _sql_of(pipeline, table, name):
        if count := recurring_values(sql):
            return count
        divided = REMAINDER.search(sql)
        return int(divided[1] or divided[2]) if divided else None
    field = next((each for each in pipeline.contract.fields if each.column == name), None)
    if field is None:
        return None
    # A stand-in is one more value, but a rare one.
    return known_values(field) or None


def known_values(field: FieldContract) -> int:
    """How many values a field can have; 0 if its contract does not say it."""
    return len(field.values) or (2 if field.kind == "boolean" else 0)
