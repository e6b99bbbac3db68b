"""Turns a micro-batch's summary rows into its counts and its changes to documents."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Context, Decimal, Inexact, InvalidOperation
from functools import reduce
from typing import Any, Final

import datasketches

from spark_jobs.aggregates import (
    SKETCH_LG_K,
    UNKNOWN,
    WHOLE,
    Aggregate,
    Part,
    all_dimensions,
    all_groupings,
    all_parts,
)
from spark_jobs.transforms.outcomes import STORED

Row = Mapping[str, Any]
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
# As many digits as BSON's decimals have; a sum that needs more is refused, never rounded.
EXACT: Final = Context(prec=34, traps=[Inexact, InvalidOperation])
ROUNDED: Final = Context(prec=34)
# More digits than all sums of a batch together have.
UNLIMITED: Final = Context(prec=100, traps=[Inexact, InvalidOperation])


@dataclass(frozen=True)
class Change:
    """What one micro-batch adds to one document.

    Attributes:
        collection: Where the document is.
        document_id: Its `_id`.
        labels: Its dimensions.
        values: Field of each part of the aggregate's measures -> the batch's value.
        aggregate: Declares the measures.
    """

    collection: str
    document_id: str
    labels: dict[str, Any]
    values: dict[str, Any]
    aggregate: Aggregate

    @property
    def only_counts(self) -> bool:
        """Whether each value is a count, which a store can increment by itself."""
        return all(measure.kind == "count" for measure in self.aggregate.measures.values())

    @property
    def exact(self) -> dict[str, Any]:
        """The counts and the exact sums."""
        added = (f for f, part in self.aggregate.parts.items() if part.kind in {"count", "sum"})
        return {f: self.values[f] for f in added if not isinstance(self.values[f], float)}


@dataclass(frozen=True)
class BatchSummary:
    """Counts of one micro-batch after deduplication, and its changes to the aggregates."""

    outcomes: Counter[str]
    reasons: Counter[str]
    changes: list[Change] = field(default_factory=list)

    @property
    def stored(self) -> int:
        """Number of records that go to the sinks."""
        return sum(self.outcomes[outcome] for outcome in STORED)


def roll_up(rows: Iterable[Row], aggregates: Sequence[Aggregate]) -> BatchSummary:
    """Counts and changes from the rows of `summarise` or `combine`.

    The changes are in the order of aggregate and `_id`.
    """
    outcomes: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    groupings = all_groupings(aggregates)
    fields = {d: f"dimension_{n}" for n, d in enumerate(all_dimensions(aggregates))}
    columns = {p: f"part_{n}" for n, p in enumerate(all_parts(aggregates))}
    groups: defaultdict[tuple[int, tuple[Any, ...]], list[Row]] = defaultdict(list)
    for row in rows:
        if not row["grouping"]:
            records = int(row[columns[Part("count")]])
            outcomes[row["outcome"]] += records
            reasons.update(dict.fromkeys(row["reasons"], records))
            if row["grouping"] == 0 or row["outcome"] not in STORED:
                continue
        for n, grouping in enumerate(groupings):
            if row["grouping"] in {None, n + 1}:
                # An absent value and the text that stands for it share a document.
                key = tuple(UNKNOWN if (v := row[fields[d]]) is None else v for d in grouping)
                groups[n, key].append(row)
    found: dict[tuple[int, str], Change] = {}
    for (n, values), members in groups.items():
        labels = {d.field: v for d, v in zip(groupings[n], values, strict=True)}
        name = document_id(values)
        for number, aggregate in enumerate(aggregates):
            counted = columns[aggregate.rows]
            if aggregate.dimensions == groupings[n] and any(row[counted] for row in members):
                parts = {
                    f: _together(p, [row[columns[p]] for row in members])
                    for f, p in aggregate.parts.items()
                }
                found[number, name] = Change(aggregate.name, name, labels, parts, aggregate)
    return BatchSummary(outcomes, reasons, [found[key] for key in sorted(found)])


def document_id(values: Sequence[Any]) -> str:
    """The `_id` of a document: its dimensions' values joined by `|`.

    In a text among several, `|` and the backslash are preceded by a backslash, so that no two
    combinations share an `_id`.
    """
    texts = [str(v).lower() if isinstance(v, bool) else str(v) for v in values]
    if len(texts) > 1:
        texts = [text.replace("\\", "\\\\").replace("|", "\\|") for text in texts]
    return "|".join(texts) if texts else WHOLE


def _together(part: Part, collected: Iterable[Any]) -> Any:
    """One value from those of several rows."""
    values = [_value(v) for v in collected if v is not None]
    match part.kind:
        case "min" | "max":
            return (min if part.kind == "min" else max)(values, default=None)
        case "sketch":
            return values[0] if len(values) == 1 else merge_sketches(values)
    return _value(reduce(UNLIMITED.add, values)) if _has_decimal(values) else sum(values)


def _has_decimal(values: Iterable[Any]) -> bool:
    return any(isinstance(value, Decimal) for value in values)


def _value(value: Any) -> Any:
    if isinstance(value, bytearray):
        return bytes(value)
    if hasattr(value, "micros"):
        return EPOCH + timedelta(microseconds=value.micros)
    is_whole = isinstance(value, Decimal) and value.as_tuple().exponent == 0
    return int(value) if is_whole else value


def merged(aggregate: Aggregate, before: Mapping[str, Any], values: Row) -> dict[str, Any]:
    """The parts of a document after a batch.

    Args:
        aggregate: Declares them.
        before: The document before; a field that it lacks has no value.
        values: The batch's.

    Raises:
        ArithmeticError: a sum needs more than 34 digits.
    """
    return {
        name: _merged_part(part, before.get(name), values.get(name))
        for name, part in aggregate.parts.items()
    }


def _merged_part(part: Part, before: Any, value: Any) -> Any:
    if part.kind == "sketch":
        return merge_sketches([before, value])
    if before is None or value is None:
        return value if before is None else before
    if part.kind in {"min", "max"}:
        return min(before, value) if part.kind == "min" else max(before, value)
    if isinstance(before, float) or isinstance(value, float):
        return float(before) + float(value)
    exact = EXACT.add(Decimal(before), Decimal(value))
    return exact if isinstance(before, Decimal) or isinstance(value, Decimal) else before + value


def derived(aggregate: Aggregate, parts: Mapping[str, Any]) -> dict[str, Any]:
    """The measures that are computed from stored parts: averages and estimates."""
    averages = {
        name: _quotient(parts[total], parts[number])
        for name, (total, number) in aggregate.quotients.items()
    }
    return averages | {name: estimate(parts[sketch]) for name, sketch in aggregate.sketches.items()}


def _quotient(total: Any, number: int) -> Any:
    if not number:
        return None
    return ROUNDED.divide(total, Decimal(number)) if isinstance(total, Decimal) else total / number


def merge_sketches(sketches: Iterable[bytes | None]) -> bytes:
    """One HyperLogLog sketch of all values in the given sketches."""
    union = datasketches.hll_union(SKETCH_LG_K)
    for sketch in sketches:
        if sketch is not None:
            union.update(datasketches.hll_sketch.deserialize(sketch))
    result = union.get_result(datasketches.tgt_hll_type.HLL_8)
    return bytes(result.serialize_compact())


def estimate(sketch: bytes) -> int:
    """Estimated number of distinct values in a sketch, rounded."""
    distinct: float = datasketches.hll_sketch.deserialize(sketch).get_estimate()
    return round(distinct)
