"""Describes where documents differ from the GROUP BY over the stored rows."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from fractions import Fraction
from types import MappingProxyType
from typing import Any, Final

from bson.datetime_ms import DatetimeMS
from bson.decimal128 import Decimal128
from pyspark.sql import DataFrame

from runtime.output import in_one_line

Document = dict[str, Any]

MOST_NAMED: Final = 20


@dataclass(frozen=True)
class Figure:
    """What a field must hold, where that is more than one number that must agree exactly.

    Attributes:
        value: The number, instant, text or null.
        kind: `label`, `total`, `minimum`, `maximum`, `average` or `estimate`.
        tolerance: How far a number may lie from it.
        parts: The fields of sum and count whose quotient an average is.
        members: Some of the distinct values whose number is estimated.
    """

    value: Any
    kind: str
    tolerance: float = 0.0
    parts: tuple[str, str] | None = None
    members: tuple[Any, ...] = ()


def differences(
    place: str, source: str, expected: Mapping[str, Document], found: Iterable[Document]
) -> list[str]:
    """Where documents differ from what the rows add up to; extra fields are ignored.

    Args:
        place: The collection, as the words name it.
        source: The table whose rows were grouped, as the words name it.
        expected: `_id` -> fields, of every document that must be there.
        found: The documents that are there.
    """
    by_id = differences_by_id(place, source, expected, found)
    return shortened(place, [fault for _, fault in by_id])


def differences_by_id(
    place: str, source: str, expected: Mapping[str, Document], found: Iterable[Document]
) -> list[tuple[Any, str]]:
    """All that `differences` finds, each with the `_id` of its document."""
    missing = dict(expected)
    faults: list[tuple[Any, str]] = []
    for document in found:
        name = document["_id"]
        group = missing.pop(name, None) if isinstance(name, str) else None
        if group is None:
            words = f"`{name}` is there, but no row of {source} belongs to it"
            faults.append((name, f"{place}: {words}"))
            continue
        faults += [
            (name, f"{place}: `{name}`: {_difference(column, document.get(column), value, source)}")
            for column, value in group.items()
            if not _agrees(document.get(column), value)
        ]
    for name, group in sorted(missing.items()):
        numbers = ", ".join(
            f"{n} {_text(figure.value)}"
            for n, figure in ((n, _figure(v)) for n, v in group.items())
            if figure.kind != "label"
        )
        faults.append((name, f"{place}: `{name}` is missing; the rows of {source} give {numbers}"))
    return faults


def excesses(
    place: str,
    source: str,
    least: Mapping[str, Document],
    most: Mapping[str, Document],
    found: Iterable[Document],
    falls: Mapping[str, Mapping[str, Any]] = MappingProxyType({}),
) -> list[str]:
    """Where documents of an unfinished batch lie outside the bounds that the rows set.

    Args:
        place: The collection, as the words name it.
        source: The table whose rows were grouped, as the words name it.
        least: `_id` -> fields by the rows of confirmed batches.
        most: `_id` -> fields by all rows that there are.
        found: The documents that include the unfinished batch.
        falls: `_id` -> total -> what the negative values of further rows add up to.
    """
    faults = []
    for document in found:
        name = document["_id"]
        group = most.get(name) if isinstance(name, str) else None
        if group is None:
            faults.append(f"{place}: `{name}` is there, but no row of {source} belongs to it")
            continue
        fallen = falls.get(name, {})
        for column, expected in group.items():
            value, most_here = document.get(column), _figure(expected)
            least_here = least.get(name, {}).get(column)
            low, high = _bounds(most_here, least_here, document, fallen.get(column, 0))
            if not _is_between(value, low, high, most_here.tolerance):
                faults.append(
                    f"{place}: `{name}`: `{column}` is {_text(value)}; with an unfinished batch,"
                    f" the rows of {source} give {_text(low)} to {_text(high)}"
                )
    return shortened(place, faults)


def _bounds(most: Figure, least: Any, document: Document, fall: Any) -> tuple[Any, Any]:
    """Between which values a field lies that may or may not include further rows."""
    before = _figure(least).value if least is not None else None
    match most.kind:
        case "label":
            return most.value, most.value
        case "average":
            # It may move either way, so it is checked against its parts.
            average = _quotient(document, most.parts) if most.parts else most.value
            return average, average
        case "minimum":
            return most.value, before
        case "maximum":
            return before, most.value
    low = 0 if before is None else before
    # A fall of zero may be of another type.
    return (low + fall, most.value - fall) if fall else (low, most.value)


def shortened(place: str, faults: list[str]) -> list[str]:
    """The first faults of a place, and how many more there are."""
    return [*map(in_one_line, faults[:MOST_NAMED]), *_rest(place, len(faults))]


def named(place: str, rows: DataFrame, words: Callable[[Any], str]) -> list[str]:
    """The first differing rows, each described, and how many more there are."""
    first = rows.limit(MOST_NAMED + 1).collect()
    total = rows.count() if len(first) > MOST_NAMED else len(first)
    faults = (in_one_line(f"{place}: {words(row)}") for row in first[:MOST_NAMED])
    return [*faults, *_rest(place, total)]


def _rest(place: str, total: int) -> list[str]:
    return [f"{place}: … and {total - MOST_NAMED} more"] if total > MOST_NAMED else []


def _quotient(document: Document, parts: tuple[str, str]) -> Any:
    total, number = (document.get(name) for name in parts)
    # `differences` names parts that are not numbers.
    return total / number if _is_number(total) and _is_number(number) and number else None


def _figure(expected: Any) -> Figure:
    if isinstance(expected, Figure):
        return expected
    return Figure(expected, "label" if isinstance(expected, str) else "total")


def _agrees(found: Any, expected: Any) -> bool:
    figure = _figure(expected)
    if figure.value is None:
        return found is None
    return _is_between(found, figure.value, figure.value, figure.tolerance)


def _is_between(found: Any, low: Any, high: Any, tolerance: float) -> bool:
    """Whether a value lies within bounds; a bound of null is none, where the other one is given."""
    bounds = [bound for bound in (low, high) if bound is not None]
    if not bounds:
        return found is None
    if kind_of(found) not in map(kind_of, bounds):
        return False
    if not _is_number(bounds[0]):
        return (low is None or low <= found) and (high is None or found <= high)
    # Doubles that add up to more than any double: the sum depends on their order.
    if math.isinf(tolerance):
        return True
    if not all(map(math.isfinite, (found, *bounds))):
        return found in bounds
    # Fractions, as decimals and doubles cannot be compared otherwise.
    within = Fraction(tolerance)
    return (low is None or Fraction(low) - within <= Fraction(found)) and (
        high is None or Fraction(found) <= Fraction(high) + within
    )


def _difference(column: str, found: Any, expected: Any, source: str) -> str:
    figure = _figure(expected)
    both = _is_number(found) and _is_number(figure.value)
    by = f" ({_text(_minus(found, figure.value), '+')})" if both else ""
    here, there = _text(found), _text(figure.value)
    if found is not None is not figure.value and kind_of(found) != kind_of(figure.value):
        here, there, by = f"{here} ({kind_of(found)})", f"{there} ({kind_of(figure.value)})", ""
    words = f"`{column}` is {here}, by the rows of {source} it is {there}{by}"
    if figure.kind == "estimate":
        words += f"; an estimate may differ by {figure.tolerance:g}"
    return words


def _minus(found: Any, expected: Any) -> Any:
    if isinstance(found, Decimal) or isinstance(expected, Decimal):
        return Decimal(found) - Decimal(expected)
    return found - expected


def kind_of(value: object) -> str:
    """The type of a value in a document, in words; integers of 32 and 64 bits are one type."""
    return next((words for kind, words in KINDS.items() if isinstance(value, kind)), "other data")


# The first that fits: a boolean is an integer to Python.
KINDS: Final[Mapping[type, str]] = {
    type(None): "absent",
    bool: "a boolean",
    int: "an integer",
    float: "a double",
    Decimal: "a decimal",
    Decimal128: "a decimal",
    str: "text",
    date: "a time",
    DatetimeMS: "a time",
    list: "a list",
    dict: "a document",
    bytes: "bytes",
}


def _is_number(value: object) -> bool:
    return isinstance(value, int | float | Decimal) and not isinstance(value, bool)


def _text(value: object, sign: str = "") -> str:
    match value:
        case None:
            return "absent"
        case bool():
            return str(value)
        case int():
            return f"{value:{sign}d}"
        case float():
            return f"{value:{sign}.6f}"
        case Decimal():
            return f"{value:{sign}f}"
    return str(value)
