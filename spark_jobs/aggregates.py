"""What a pipeline counts: aggregates, declared by dimensions and measures.

    Aggregate(
        "orders_by_country",
        by=(day("created_at"), "country"),
        measures={"count": count(), "revenue": total("amount"), "buyers": distinct("buyer_id")},
        where="status = 'paid'",
    )

Each is a MongoDB collection of that name with one document per combination of its dimensions.
Conditions are Spark SQL on the columns of stored records.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import chain
from typing import Final, Literal

# In place of a dimension's absent value.
UNKNOWN: Final = "unknown"
# `_id` of the one document of an aggregate without dimensions.
WHOLE: Final = "all"
# 2^14 registers: exact up to about 1,000 values, standard error 0.8 % beyond (Apache DataSketches,
# 1.04 / sqrt(2^lgK)).
SKETCH_LG_K: Final = 14

# Names of fields and collections that the platform uses itself.
RESERVED: Final = frozenset({"_id", "applied", "updated_at"})
COLLECTIONS: Final = frozenset(
    {"batches", "confirmations", "dead_letters", "feeds", "proofs", "resets", "suppressions"}
)
FIELD_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}", re.ASCII)

Bands = tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class Dimension:
    """What documents are grouped by.

    Attributes:
        column: The column of the record.
        field: Its name in documents.
        unit: A UTC day (`YYYY-MM-DD`) or hour (`YYYY-MM-DDTHH`) of a timestamp, a `band` of a
            number, or the `value` itself.
        bands: Name and lowest number of each band, highest first.
    """

    column: str
    field: str
    unit: Literal["value", "day", "hour", "band"] = "value"
    bands: Bands = ()


def day(column: str) -> Dimension:
    """The UTC day of a timestamp, as field `day`."""
    return Dimension(column, "day", "day")


def hour(column: str) -> Dimension:
    """The UTC hour of a timestamp, as field `hour`."""
    return Dimension(column, "hour", "hour")


def band(column: str, bands: Bands) -> Dimension:
    """The band that a number lies in, as field `<column>_band`; `unknown` below all of them.

    `bands` has each one's name and lowest number, in any order: `(("young", 0), ("old", 50))`.

    Raises:
        ValueError: `bands` is something else, or two bands have the same name.
    """
    try:
        lowest = {name: low + 0 for name, low in bands if isinstance(name, str)}
    except (TypeError, ValueError):
        lowest = {}
    if not lowest or len(lowest) < len(bands) or UNKNOWN in lowest:
        raise ValueError(
            f"the bands of `{column}` are not a name and a lowest number each, such as"
            f' `band("{column}", (("young", 0), ("old", 50)))`; a name stands once and is not'
            f" `{UNKNOWN}`"
        )
    highest_first = tuple(sorted(bands, key=lambda each: each[1], reverse=True))
    return Dimension(column, f"{column}_band", "band", highest_first)


@dataclass(frozen=True)
class Part:
    """A number that a document stores and that merges with that of another batch."""

    kind: Literal["count", "sum", "min", "max", "sketch"]
    column: str | None = None
    where: str | None = None


@dataclass(frozen=True)
class Measure:
    """What is computed over the records of a document.

    Attributes:
        kind: The function.
        column: Its column; None: the record itself.
        where: Which records it covers, as an SQL condition; None: all of the document.
        parts: Fields that hold an average's sum and count, or the sketch of distinct values;
            empty: the measure's name with `_sum`, `_count` or `_sketch`.
    """

    kind: Literal["count", "total", "minimum", "maximum", "average", "distinct"]
    column: str | None = None
    where: str | None = None
    parts: tuple[str, ...] = ()


def count(where: str | None = None) -> Measure:
    """Number of records."""
    return Measure("count", where=where)


def total(column: str, where: str | None = None) -> Measure:
    """Exact sum of integers or decimals, or a sum of doubles; 0 without values."""
    return Measure("total", column, where)


def minimum(column: str, where: str | None = None) -> Measure:
    """The lowest number, instant, date or text; null without values."""
    return Measure("minimum", column, where)


def maximum(column: str, where: str | None = None) -> Measure:
    """The highest number, instant, date or text; null without values."""
    return Measure("maximum", column, where)


def average(column: str, where: str | None = None, parts: tuple[str, ...] = ()) -> Measure:
    """Mean of the values that are not null; null without values.

    `parts` names the fields of its sum and count, which may be other measures.
    """
    return Measure("average", column, where, parts)


def distinct(column: str, where: str | None = None, parts: tuple[str, ...] = ()) -> Measure:
    """Number of distinct values that are not null, estimated (standard error 0.8 %).

    `parts` names the field of the sketch.
    """
    return Measure("distinct", column, where, parts)


KINDS: Final[Mapping[str, tuple[Literal["count", "sum", "min", "max", "sketch"], ...]]] = {
    "count": ("count",),
    "total": ("sum",),
    "minimum": ("min",),
    "maximum": ("max",),
    "average": ("sum", "count"),
    "distinct": ("sketch",),
}


@dataclass(frozen=True)
class Aggregate:
    """One collection of documents.

    Attributes:
        name: The collection.
        by: Its dimensions: a column, or `day`, `hour` or `band` of one; empty: one document.
        measures: Field -> what it holds.
        where: Which records count, as an SQL condition; None: all.
    """

    name: str
    by: tuple[str | Dimension, ...] = ()
    measures: Mapping[str, Measure] = field(default_factory=dict, hash=False)
    where: str | None = None

    @property
    def dimensions(self) -> tuple[Dimension, ...]:
        """Its dimensions, in the order of `_id`."""
        return tuple(Dimension(d, d) if isinstance(d, str) else d for d in self.by)

    @property
    def rows(self) -> Part:
        """The number of records of a document; without any there is no document."""
        return Part("count", where=_all_of(self.where))

    @property
    def parts(self) -> dict[str, Part]:
        """What is stored of the measures: field -> how it is computed."""
        found: dict[str, Part] = {}
        for name, measure in self.measures.items():
            where = _all_of(self.where, measure.where)
            for part_field, kind in zip(
                part_fields(name, measure), KINDS[measure.kind], strict=True
            ):
                # Parts of an average that are measures of their own are computed as these say.
                if part_field == name or part_field not in self.measures:
                    found.setdefault(part_field, Part(kind, measure.column, where))
        return found

    @property
    def sketches(self) -> dict[str, str]:
        """Field of each estimate -> field of its sketch."""
        return {n: part_fields(n, m)[0] for n, m in self.measures.items() if m.kind == "distinct"}

    @property
    def quotients(self) -> dict[str, tuple[str, str]]:
        """Field of each average -> fields of its sum and count."""
        found = ((n, part_fields(n, m)) for n, m in self.measures.items() if m.kind == "average")
        return {name: (fields[0], fields[1]) for name, fields in found}

    @property
    def record_count(self) -> str | None:
        """The measure that counts every stored record once; None if there is none."""
        counted = (name for name, measure in self.measures.items() if measure == count())
        return next(counted, None) if self.where is None else None

    def faults(self) -> list[str]:
        """What is wrong with the declaration, each as a sentence; columns and SQL are not read."""
        fields = [d.field for d in self.dimensions]
        # Parts of an average may be measures, and then are no fields of their own.
        fields += [*self.measures, *(self.parts.keys() - self.measures.keys())]
        averaged = {f for n in self.quotients.values() for f in n}
        wrong = [
            f"part `{f}` of an average is a {m.kind}; it must be a total and a count"
            for f, m in self.measures.items()
            if f in averaged and m.kind not in {"total", "count"}
        ]
        wrong += [f"field `{f}` is declared {n} times" for f, n in Counter(fields).items() if n > 1]
        wrong += [
            f"field `{f}` cannot be used: {', '.join(sorted(RESERVED))} are the platform's own, and"
            " a name has letters, digits and underscores"
            for f in dict.fromkeys(fields)
            if f in RESERVED or not FIELD_NAME.fullmatch(f)
        ]
        if self.name in COLLECTIONS or not FIELD_NAME.fullmatch(self.name):
            wrong.append(
                f"the name cannot be used: {', '.join(sorted(COLLECTIONS))} are the platform's"
                " own, and a name has letters, digits and underscores"
            )
        if not self.measures:
            wrong.append("it has no measure, such as `count()`")
        return [f"aggregate `{self.name}`: {sentence}" for sentence in wrong]

    def over(self, by: str | None) -> Aggregate:
        """The same measures over one of its dimensions, or over none."""
        kept = tuple(d for d in self.dimensions if d.field == by)
        return Aggregate(self.name, kept, self.measures, self.where)


def _all_of(*conditions: str | None) -> str | None:
    return " AND ".join(f"({condition})" for condition in conditions if condition) or None


def part_fields(name: str, measure: Measure) -> tuple[str, ...]:
    """Names of the fields that store a measure's parts."""
    defaults = {"average": (f"{name}_sum", f"{name}_count"), "distinct": (f"{name}_sketch",)}
    return measure.parts or defaults.get(measure.kind, (name,))


def all_parts(aggregates: Iterable[Aggregate]) -> tuple[Part, ...]:
    """All that a summary computes, each once; the number of records is the first."""
    each = chain.from_iterable((a.rows, *a.parts.values()) for a in aggregates)
    return tuple(dict.fromkeys((Part("count"), *each)))


def all_dimensions(aggregates: Iterable[Aggregate]) -> tuple[Dimension, ...]:
    """All that records are grouped by, each once."""
    return tuple(dict.fromkeys(d for a in aggregates for d in a.dimensions))


def all_groupings(aggregates: Iterable[Aggregate]) -> tuple[tuple[Dimension, ...], ...]:
    """The combinations of dimensions, each once."""
    return tuple(dict.fromkeys(a.dimensions for a in aggregates))
