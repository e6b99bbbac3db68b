"""Classified records -> the few rows from which a batch's counts and aggregates are made.

Two ways to the same sums, each one pass over the batch and one shuffle. `combine` groups records by
all dimensions at once, which is fast where these have few combinations. `summarise` makes a row per
document, however many combinations there are, so the driver never collects more than that.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as T

from spark_jobs.aggregates import (
    SKETCH_LG_K,
    Aggregate,
    Dimension,
    Part,
    all_dimensions,
    all_groupings,
    all_parts,
)
from spark_jobs.transforms.outcomes import REJECTED, STORED, no_reasons
from spark_jobs.transforms.timestamps import utc_date

SECONDS_PER_HOUR = 3600
HOURS_PER_DAY = 24
RECORDS = Part("count")
# Columns of an entry for two texts.
TEXTS = ("string_0", "string_1")
# Dimensions of these types keep theirs in documents; all others become text.
KEPT_TYPES = (T.StringType, T.BooleanType, T.ByteType, T.ShortType, T.IntegerType, T.LongType)
NUMBERS = (T.ByteType, T.ShortType, T.IntegerType, T.LongType, T.DecimalType, T.DoubleType)
# Spark's sum of longer decimals may overflow. It is then replaced by one that no store holds.
LONGEST_SUMMABLE = 28
MOST_DIGITS = 38
Types = Mapping[str, T.DataType]
Transform = Callable[[DataFrame], DataFrame]


def summarise(classified: DataFrame, aggregates: Sequence[Aggregate]) -> DataFrame:
    """Count a batch by outcome and reasons, and its stored records by the aggregates' dimensions.

    Columns in: `outcome`, `reasons`, and those that the aggregates name.
    Columns out: `grouping` int (0: by outcome and reasons; n: by the nth of `all_groupings`),
        `outcome` string, `reasons` array<string> (of dead letters), `dimension_<n>` (text, integer
        or boolean) and `part_<n>` in the order of `all_dimensions` and `all_parts`.
        Instants are a struct of `micros` bigint since 1970, dates text, sums of 64-bit integers
        decimal.
    Grain: one combination of the grouping's values.
    Nulls: `outcome` and `reasons` unless grouped by them; dimensions of other groupings, and absent
        values; a part without values, or that no aggregate of the grouping has.

    Raises:
        ValueError: a measure does not suit the type of its column.
    """
    return summarising(classified.schema, aggregates)(classified)


def summarising(schema: T.StructType, aggregates: Sequence[Aggregate]) -> Transform:
    """`summarise` for batches of a schema; it can be used again, as columns take time to make."""
    dimensions, parts = all_dimensions(aggregates), all_parts(aggregates)
    types = {field.name: field.dataType for field in schema}
    keys = [_key(d).alias(f"dimension_{n}") for n, d in enumerate(dimensions)]
    inputs = {n: _chosen(p, types).alias(f"input_{n}") for n, p in enumerate(parts) if p != RECORDS}
    entries = _Entries(aggregates, types)
    values = [
        _computed(p, _of_groupings(p, aggregates, F.col(f"input_{n}")), types).alias(f"part_{n}")
        for n, p in enumerate(parts)
    ]
    read: list[Column | str] = ["outcome", _reasons().alias("reasons"), *keys, *inputs.values()]
    exploded: list[Column | str] = [
        F.explode(entries.of_record()).alias("entry"),
        *(f"input_{n}" for n in inputs),
    ]
    shown = _named(
        [F.col("entry.grouping"), *entries.outcome_and_reasons()],
        (_shown(d, entries.value(d), types) for d in dimensions),
        (_collected(p, F.col(f"part_{n}"), types) for n, p in enumerate(parts)),
    )
    return lambda classified: (
        classified.select(*read).select(*exploded).groupBy("entry").agg(*values).select(*shown)
    )


def combine(classified: DataFrame, aggregates: Sequence[Aggregate]) -> DataFrame:
    """Count a batch by outcome, reasons and all dimensions at once.

    Columns in, columns out, raises: as of `summarise`.
    Grain: one combination of outcome, reasons and dimensions.
    Nulls: `grouping`; absent values; a part without values.
    """
    return combining(classified.schema, aggregates)(classified)


def combining(schema: T.StructType, aggregates: Sequence[Aggregate]) -> Transform:
    """`combine` for batches of a schema; it can be used again, as columns take time to make."""
    dimensions, parts = all_dimensions(aggregates), all_parts(aggregates)
    types = {field.name: field.dataType for field in schema}
    names = {d: d.column if d.unit == "value" else f"_key_{n}" for n, d in enumerate(dimensions)}
    keys = {"outcome": F.col("outcome"), "_reasons": _reasons().alias("_reasons")}
    keys |= {name: _key(d).alias(name) for d, name in names.items()}
    others = {name.lower() for name in schema.names if name not in keys}
    # What a condition says about a whole group is said once per group, not per record.
    whole = {p: replace(p, where=None) for p in parts if p.where and not _words(p.where) & others}
    computed = tuple(dict.fromkeys(whole.get(p, p) for p in parts))
    columns = {p: f"_part_{n}" for n, p in enumerate(computed)}
    sums = [_computed(p, _chosen(p, types), types).alias(name) for p, name in columns.items()]

    def part(each: Part) -> Column:
        value = F.col(columns[whole.get(each, each)])
        value = F.when(F.expr(str(each.where)), value) if each in whole else value
        return _collected(each, value, types)

    shown = _named(
        [F.lit(None).cast("int"), F.col("outcome"), F.col("_reasons")],
        (_shown(d, F.col(names[d]), types) for d in dimensions),
        map(part, parts),
    )
    by = [*keys.values()]
    return lambda classified: classified.groupBy(*by).agg(*sums).select(*shown)


def _named(
    first: Sequence[Column], dimensions: Iterable[Column], parts: Iterable[Column]
) -> list[Column]:
    """The columns of both summaries."""
    names = ("grouping", "outcome", "reasons")
    return [
        *(value.alias(name) for name, value in zip(names, first, strict=True)),
        *(value.alias(f"dimension_{n}") for n, value in enumerate(dimensions)),
        *(value.alias(f"part_{n}") for n, value in enumerate(parts)),
    ]


def _words(condition: str) -> set[str]:
    """All that may be the name of a column."""
    return {*re.findall(r"\w+", condition.lower())}


def _reasons() -> Column:
    return F.when(F.col("outcome") == REJECTED, F.col("reasons")).otherwise(no_reasons())


def _key(dimension: Dimension) -> Column:
    """What records are grouped by: cheap to compute and to compare."""
    column = F.col(dimension.column)
    if dimension.unit == "day":
        return utc_date(column)
    if dimension.unit == "hour":
        seconds = F.unix_seconds(column)
        return F.floor(seconds / SECONDS_PER_HOUR)
    if dimension.unit == "band":
        return F.coalesce(*(F.when(column >= low, F.lit(name)) for name, low in dimension.bands))
    return column


def _key_type(dimension: Dimension, types: Types) -> str:
    of_unit = {"day": "date", "hour": "bigint", "band": "string"}
    return of_unit.get(dimension.unit) or types[dimension.column].simpleString()


def _shown(dimension: Dimension, key: Column, types: Types) -> Column:
    """A dimension's value as documents have it; computed once per group, not per record."""
    if dimension.unit == "hour":
        of_day = F.pmod(key, F.lit(HOURS_PER_DAY))
        date = F.date_from_unix_date(((key - of_day) / HOURS_PER_DAY).cast("int"))
        return F.concat(date.cast("string"), F.lit("T"), F.lpad(of_day.cast("string"), 2, "0"))
    is_kept = dimension.unit == "value" and isinstance(types[dimension.column], KEPT_TYPES)
    return key if is_kept else key.cast("string")


def _chosen(part: Part, types: Types) -> Column:
    """A record's value; null if it does not count."""
    values = F.lit(1) if part.column is None else F.col(part.column)
    kind = None if part.column is None else types[part.column]
    if part.kind == "sum":
        values = _summable(part, kind)
    if part.kind == "sketch" and not isinstance(kind, (T.StringType, T.LongType, T.IntegerType)):
        values = values.cast("string")
    return values if part.where is None else F.when(F.expr(part.where), values)


def _of_groupings(part: Part, aggregates: Sequence[Aggregate], chosen: Column) -> Column:
    """The value for groupings with an aggregate that has the part; null for all others."""
    if part == RECORDS:
        return F.lit(1)
    groupings = all_groupings(aggregates)
    users = [a for a in aggregates if part in {a.rows, *a.parts.values()}]
    numbers = {groupings.index(a.dimensions) + 1 for a in users}
    return F.when(F.col("entry.grouping").isin(*sorted(numbers)), chosen)


def _computed(part: Part, chosen: Column, types: Types) -> Column:
    kind = types[part.column] if part.column else None
    match part.kind:
        case "count":
            return F.count(chosen)
        case "sum" if isinstance(kind, T.DecimalType) and kind.precision > LONGEST_SUMMABLE:
            too_long = F.lit(Decimal((0, (9,) * MOST_DIGITS, -kind.scale)))
            return F.coalesce(F.sum(chosen), F.when(F.count(chosen) > 0, too_long))
        case "sum":
            return F.sum(chosen)
        case "min":
            return F.min(chosen)
        case "max":
            return F.max(chosen)
        case "sketch":
            return F.hll_sketch_agg(chosen, SKETCH_LG_K)


def _summable(part: Part, kind: T.DataType | None) -> Column:
    """The column in a type whose sum cannot overflow."""
    column = F.col(str(part.column))
    if isinstance(kind, T.LongType):
        return column.cast("decimal(20,0)")
    if isinstance(kind, T.FloatType):
        return column.cast("double")
    if not isinstance(kind, NUMBERS):
        name = kind.simpleString() if kind else "none"
        raise ValueError(f"`{part.column}` has type {name}: only numbers can be added up")
    return column


class _Entries:
    """What a record counts for: an entry for its outcome, and one for each grouping.

    Entries share few columns, each of one type, as a wide key takes longer to compare.
    """

    def __init__(self, aggregates: Sequence[Aggregate], types: Types) -> None:
        self.groupings = all_groupings(aggregates)
        self.dimensions = all_dimensions(aggregates)
        self.slots = [_slots(grouping, types) for grouping in self.groupings]
        self.types = {TEXTS[0]: "string", TEXTS[1]: "string"}
        for slots in self.slots:
            self.types |= {name: _key_type(d, types) for d, name in slots.items()}

    def of_record(self) -> Column:
        """All entries of a record; of one that is not stored only that of its outcome."""
        reasons = F.concat_ws(",", "reasons")
        by_outcome = self._entry(0, {TEXTS[0]: F.col("outcome"), TEXTS[1]: reasons})
        keys = {d: F.col(f"dimension_{n}") for n, d in enumerate(self.dimensions)}
        by_dimensions = (
            self._entry(number, {name: keys[d] for d, name in slots.items()})
            for number, slots in enumerate(self.slots, start=1)
        )
        is_stored = F.col("outcome").isin(*STORED)
        return F.when(is_stored, F.array(by_outcome, *by_dimensions)).otherwise(F.array(by_outcome))

    def _entry(self, number: int, values: Mapping[str, Column]) -> Column:
        slots = (
            values.get(name, F.lit(None)).cast(kind).alias(name)
            for name, kind in self.types.items()
        )
        return F.struct(F.lit(number).alias("grouping"), *slots)

    def outcome_and_reasons(self) -> tuple[Column, Column]:
        """The values of the entry by outcome."""
        is_own = F.col("entry.grouping") == 0
        texts = F.split(F.col(f"entry.{TEXTS[1]}"), ",")
        reasons = F.when(F.col(f"entry.{TEXTS[1]}") == "", no_reasons()).otherwise(texts)
        outcome = F.when(is_own, F.col(f"entry.{TEXTS[0]}"))
        return outcome, F.when(is_own, reasons)

    def value(self, dimension: Dimension) -> Column:
        """A dimension's value in the groupings that have it."""
        found = (
            F.when(F.col("entry.grouping") == number, F.col(f"entry.{slots[dimension]}"))
            for number, slots in enumerate(self.slots, start=1)
            if dimension in slots
        )
        return F.coalesce(*found)


def _slots(grouping: Sequence[Dimension], types: Types) -> dict[Dimension, str]:
    """Dimension -> the column of an entry that has it: the first free one of its type."""
    used: Counter[str] = Counter()
    slots = {}
    for dimension in grouping:
        kind = _key_type(dimension, types)
        slots[dimension] = re.sub(r"\W+", "_", f"{kind}_{used[kind]}")
        used[kind] += 1
    return slots


def _collected(part: Part, value: Column, types: Types) -> Column:
    """A part as the driver reads it, whatever the time zone of driver and session."""
    kind = types[part.column] if part.column and part.kind in {"min", "max"} else None
    if isinstance(kind, T.TimestampType):
        return F.when(value.isNotNull(), F.struct(F.unix_micros(value).alias("micros")))
    return value.cast("string") if isinstance(kind, T.DateType) else value
