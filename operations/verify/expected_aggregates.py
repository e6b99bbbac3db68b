"""What the aggregates must hold: the GROUP BY over the stored rows, on Spark.

Driven by the declarations, but independent of `spark_jobs.changes` and
`spark_jobs.transforms.summarise`, which make the documents, so that a fault there shows here: one
plain GROUP BY for each aggregate, with exact numbers of distinct values. The driver collects one
row per document, never the stored rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Context, Decimal
from typing import Any, Final

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as T

from operations.verify.differences import Document, Figure
from spark_jobs.aggregates import UNKNOWN, WHOLE, Aggregate, Dimension, Measure, part_fields

ExpectedAggregates = dict[str, dict[str, Document]]
"""Collection -> `_id` -> the fields that its document must have."""

INTEGERS: Final = (T.ByteType, T.ShortType, T.IntegerType, T.LongType)
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
DIVISION: Final = Context(prec=34)
# Of doubles, sums and averages may differ by this share of the sum of all magnitudes: it depends on
# the order in which they are added.
RELATIVE: Final = 1e-9
# 3 % of an estimate are more than three of its standard errors (0.8 %).
ESTIMATED: Final = 0.03
FEW: Final = 2.0
Types = Mapping[str, T.DataType]


def expected_aggregates(rows: DataFrame, aggregates: Iterable[Aggregate]) -> ExpectedAggregates:
    """What the collections must hold.

    Columns in: those that the aggregates name.
    """
    return {aggregate.name: expected_documents(rows, aggregate) for aggregate in aggregates}


def negative_sums(rows: DataFrame, aggregates: Iterable[Aggregate]) -> ExpectedAggregates:
    """Totals, averages' too, of negative values alone: how far further rows lower a total."""
    found: ExpectedAggregates = {}
    for each in aggregates:
        totals = {n: m for n, m in each.measures.items() if m.kind in {"total", "average"}}
        if totals:
            columns = [str(m.column) for m in totals.values()]
            lowered = {name: F.least(F.col(name), F.lit(0)) for name in columns}
            own = replace(each, measures=totals)
            found[each.name] = expected_documents(rows.withColumns(lowered), own)
    return found


def columns_of(aggregates: Sequence[Aggregate], present: Iterable[str]) -> list[str]:
    """Those of the present columns that the aggregates may read.

    Conditions are SQL: a column counts as read if its name occurs in one.
    """
    measures = [m for a in aggregates for m in a.measures.values()]
    named = {d.column for a in aggregates for d in a.dimensions} | {m.column for m in measures}
    wheres = [a.where for a in aggregates] + [m.where for m in measures]
    conditions = " ".join(filter(None, wheres))
    return [name for name in present if name in named or name in conditions]


def expected_documents(rows: DataFrame, aggregate: Aggregate) -> dict[str, Document]:
    """What the documents of one aggregate must hold, by `_id`."""
    types = {field.name: field.dataType for field in rows.schema}
    chosen = rows.filter(aggregate.where) if aggregate.where else rows
    keys = [_key(d, types).alias(f"key_{n}") for n, d in enumerate(aggregate.dimensions)]
    numbers = [
        column.alias(f"{part}_{n}")
        for n, measure in enumerate(aggregate.measures.values())
        for part, column in _columns(measure, types).items()
    ]
    groups = chosen.groupBy(*keys).agg(F.count(F.lit(1)).alias("rows"), *numbers)
    found = {}
    for row in groups.filter("rows > 0").collect():
        labels = {d.field: _label(d, row[f"key_{n}"]) for n, d in enumerate(aggregate.dimensions)}
        document = {k: v if isinstance(v, str) else Figure(v, "label") for k, v in labels.items()}
        found[_name(list(labels.values()))] = document | _measures(aggregate, row)
    return found


def _key(dimension: Dimension, types: Types) -> Column:
    column = F.col(dimension.column)
    if dimension.unit == "day":
        column = F.to_date(column)
    elif dimension.unit == "hour":
        column = F.date_format(column, "yyyy-MM-dd'T'HH")
    elif dimension.unit == "band":
        lowest = F.array(*(F.lit(low) for _, low in dimension.bands))
        return F.array_max(F.filter(lowest, lambda low: low <= column))
    elif isinstance(types[dimension.column], (*INTEGERS, T.BooleanType)):
        return column
    elif isinstance(types[dimension.column], (T.DoubleType, T.FloatType)):
        # -0.0 and 0.0 are one value.
        column += F.lit(0.0)
    return F.coalesce(column.cast("string"), F.lit(UNKNOWN))


def _label(dimension: Dimension, key: Any) -> Any:
    if dimension.unit == "band":
        return next((name for name, low in dimension.bands if low == key), UNKNOWN)
    return UNKNOWN if key is None else key


def _name(labels: Sequence[Any]) -> str:
    if len(labels) < 2:
        return _text(labels[0]) if labels else WHOLE
    return "|".join(_text(v).replace("\\", "\\\\").replace("|", "\\|") for v in labels)


def _text(label: Any) -> str:
    return ("false", "true")[label] if isinstance(label, bool) else str(label)


def _columns(measure: Measure, types: Types) -> dict[str, Column]:
    """The columns that a measure is computed from, by what they hold."""
    if measure.column is None:
        return {"count": F.count_if(F.expr(measure.where or "true"))}
    kind, value = types[measure.column], F.col(measure.column)
    if measure.where:
        value = F.expr(f"CASE WHEN {measure.where} THEN `{measure.column}` END")
    match measure.kind:
        case "minimum" | "maximum":
            if isinstance(kind, T.TimestampType):
                value = F.unix_micros(value)
                return {"instant": F.min(value) if measure.kind == "minimum" else F.max(value)}
            value = value.cast("string") if isinstance(kind, T.DateType) else value
            return {"value": F.min(value) if measure.kind == "minimum" else F.max(value)}
        case "distinct":
            return {"distinct": F.count_distinct(value)}
    number = value.cast("decimal(38,0)") if isinstance(kind, INTEGERS) else value
    if isinstance(kind, T.DecimalType):
        number = value.cast(T.DecimalType(38, kind.scale))
    found = {"sum": F.sum(number), "number": F.count(value)}
    if not isinstance(kind, (T.DecimalType, *INTEGERS)):
        found["size"] = F.sum(F.abs(value))
    return found


def _measures(aggregate: Aggregate, row: Any) -> Document:
    """The fields of a document's measures, and of the parts of its averages."""
    fields: Document = {}
    sizes: dict[str, float] = {}
    for n, (name, measure) in enumerate(aggregate.measures.items()):
        found = {part: row[f"{part}_{n}"] for part in PARTS if f"{part}_{n}" in row}
        match measure.kind:
            case "count":
                fields[name] = found["count"]
            case "distinct":
                exact = found["distinct"]
                fields[name] = Figure(exact, "estimate", max(FEW, ESTIMATED * exact))
            case "minimum" | "maximum":
                fields[name] = Figure(_extreme(found), measure.kind)
            case "total":
                fields[name] = _sum(found)
            case "average":
                total, number = part_fields(name, measure)
                fields.setdefault(total, _sum(found))
                fields.setdefault(number, found["number"])
                sizes[name] = found.get("size") or 0.0
    for name, parts in aggregate.quotients.items():
        fields[name] = _average(fields[parts[0]].value, fields[parts[1]], sizes[name], parts)
    return fields


PARTS: Final = ("count", "sum", "number", "size", "value", "instant", "distinct")


def _extreme(found: Mapping[str, Any]) -> Any:
    if "value" in found:
        return found["value"]
    micros = found["instant"]
    return None if micros is None else EPOCH + timedelta(microseconds=micros)


def _sum(found: Mapping[str, Any]) -> Figure:
    value = found["sum"] or 0
    is_whole = isinstance(value, Decimal) and value.as_tuple().exponent == 0
    value = int(value) if is_whole else value
    return Figure(value, "total", RELATIVE * (found.get("size") or 0.0))


def _average(total: Any, number: int, size: float, parts: tuple[str, str]) -> Figure:
    if not number:
        return Figure(None, "average", parts=parts)
    is_decimal = isinstance(total, Decimal)
    value = DIVISION.divide(total, Decimal(number)) if is_decimal else total / number
    return Figure(value, "average", RELATIVE * max(size / number, abs(float(value))), parts)
