"""Classified records -> the few rows from which a batch's counts and aggregates are made.

One pass over the batch, in one Spark job. Records are first grouped by all dimensions at once; the
groups are then rolled up for each aggregate, so the driver collects a row per document.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

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
from spark_jobs.transforms.outcomes import REJECTED, VALID, no_reasons
from spark_jobs.transforms.timestamps import utc_date

SECONDS_PER_HOUR = 3600
HOURS_PER_DAY = 24
# Dimensions of these types keep theirs in documents; all others become text.
KEPT_TYPES = (T.StringType, T.BooleanType, T.ByteType, T.ShortType, T.IntegerType, T.LongType)
NUMBERS = (T.ByteType, T.ShortType, T.IntegerType, T.LongType, T.DecimalType, T.DoubleType)
Types = Mapping[str, T.DataType]


def summarise(classified: DataFrame, aggregates: Sequence[Aggregate]) -> DataFrame:
    """Count a batch by outcome and reasons, and its valid records by the aggregates' dimensions.

    Columns in: `outcome`, `reasons`, and those that the aggregates name.
    Columns out: `grouping` int (0: by outcome and reasons; n: by the nth of `all_groupings`),
        `outcome` string, `reasons` array<string> (only of dead letters), `dimension_<n>` (text,
        integer or boolean) and `part_<n>` in the order of `all_dimensions` and `all_parts`.
        Instants are a struct of `micros` bigint since 1970, dates text, sums of 64-bit integers
        decimal.
    Grain: one combination of the grouping's values.
    Nulls: dimensions of other groupings, and absent values; a part without values.

    Raises:
        ValueError: a measure does not suit the type of its column.
    """
    dimensions, parts = all_dimensions(aggregates), all_parts(aggregates)
    types = _types(classified, dimensions, parts)
    reasons = F.when(F.col("outcome") == REJECTED, F.col("reasons")).otherwise(no_reasons())
    keys = [_key(d).alias(f"dimension_{n}") for n, d in enumerate(dimensions)]
    numbers = [_computed(p, types).alias(f"part_{n}") for n, p in enumerate(parts)]
    groups = classified.groupBy("outcome", reasons.alias("reasons"), *keys).agg(*numbers)
    rolled_up = (
        groups.select(
            F.explode(F.array_compact(F.array(*_entries(aggregates)))).alias("entry"),
            "outcome",
            *(f"part_{n}" for n in range(len(parts))),
        )
        .groupBy("entry", "outcome")
        .agg(*(_merged(p, f"part_{n}").alias(f"part_{n}") for n, p in enumerate(parts)))
    )
    return rolled_up.select(
        "entry.grouping",
        "outcome",
        "entry.reasons",
        *(
            _shown(d, F.col(f"entry.dimension_{n}"), types).alias(f"dimension_{n}")
            for n, d in enumerate(dimensions)
        ),
        *(_collected(p, f"part_{n}", types).alias(f"part_{n}") for n, p in enumerate(parts)),
    )


def _types(classified: DataFrame, dimensions: Sequence[Dimension], parts: Sequence[Part]) -> Types:
    names = [d.column for d in dimensions] + [p.column for p in parts if p.column]
    wanted = [*dict.fromkeys(names)]
    schema = classified.select(*(F.col(name).alias(str(n)) for n, name in enumerate(wanted))).schema
    return {name: field.dataType for name, field in zip(wanted, schema, strict=True)}


def _key(dimension: Dimension) -> Column:
    """What records are grouped by: cheap to compute and to compare."""
    column = F.col(dimension.column)
    if dimension.unit == "day":
        return utc_date(column)
    if dimension.unit == "hour":
        seconds = F.unix_seconds(column)
        return (seconds - F.pmod(seconds, F.lit(SECONDS_PER_HOUR))) / SECONDS_PER_HOUR
    if dimension.unit == "band":
        return F.coalesce(*(F.when(column >= low, F.lit(name)) for name, low in dimension.bands))
    return column


def _shown(dimension: Dimension, key: Column, types: Types) -> Column:
    """A dimension's value as documents have it; computed once per group, not per record."""
    if dimension.unit == "hour":
        hours = key.cast("bigint")
        of_day = F.pmod(hours, F.lit(HOURS_PER_DAY))
        date = F.date_from_unix_date(((hours - of_day) / HOURS_PER_DAY).cast("int"))
        return F.concat(date.cast("string"), F.lit("T"), F.lpad(of_day.cast("string"), 2, "0"))
    is_kept = dimension.unit == "value" and isinstance(types[dimension.column], KEPT_TYPES)
    return key if is_kept else key.cast("string")


def _computed(part: Part, types: Types) -> Column:
    values = F.lit(1) if part.column is None else F.col(part.column)
    kind = None if part.column is None else types[part.column]
    if part.kind == "sum":
        values = _summable(part, kind)
    if part.kind == "sketch" and not isinstance(kind, (T.StringType, T.LongType, T.IntegerType)):
        values = values.cast("string")
    chosen = values if part.where is None else F.when(F.expr(part.where), values)
    match part.kind:
        case "count":
            return F.count(chosen)
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


def _entries(aggregates: Sequence[Aggregate]) -> list[Column]:
    """Each grouping's key; of records that are not valid only that of outcome and reasons."""
    dimensions = all_dimensions(aggregates)

    def entry(number: int, reasons: Column, grouped: Sequence[Dimension]) -> Column:
        keys = (
            F.when(F.lit(d in grouped), F.col(f"dimension_{n}")).alias(f"dimension_{n}")
            for n, d in enumerate(dimensions)
        )
        return F.struct(F.lit(number).alias("grouping"), reasons.alias("reasons"), *keys)

    by_outcome = entry(0, F.col("reasons"), ())
    groupings = enumerate(all_groupings(aggregates), start=1)
    return [
        by_outcome,
        *(F.when(F.col("outcome") == VALID, entry(n, no_reasons(), g)) for n, g in groupings),
    ]


def _merged(part: Part, name: str) -> Column:
    match part.kind:
        case "count" | "sum":
            return F.sum(name)
        case "min":
            return F.min(name)
        case "max":
            return F.max(name)
        case "sketch":
            return F.hll_union_agg(name)


def _collected(part: Part, name: str, types: Types) -> Column:
    """A part as the driver reads it, whatever the time zone of driver and session."""
    kind = types[part.column] if part.column and part.kind in {"min", "max"} else None
    if isinstance(kind, T.TimestampType):
        return F.when(F.col(name).isNotNull(), F.struct(F.unix_micros(name).alias("micros")))
    return F.col(name).cast("string") if isinstance(kind, T.DateType) else F.col(name)
