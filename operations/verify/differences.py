"""Describes where documents differ from the GROUP BY over the stored rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from pyspark.sql import DataFrame

Document = dict[str, Any]

MOST_NAMED: Final = 20
# Every other number must agree exactly. The sketch of 2^14 registers has a standard error of 0.8 %;
# an average is a quotient of two whole numbers, rounded once.
TOLERANCES: Final[dict[str, Callable[[float], float]]] = {
    "unique_clients": lambda exact: max(2.0, 0.03 * exact),
    "average_age": lambda exact: 1e-6,
}


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
    missing = dict(expected)
    faults = []
    for document in found:
        name = document["_id"]
        group = missing.pop(name, None) if isinstance(name, str) else None
        if group is None:
            faults.append(f"{place}: `{name}` is there, but no row of {source} belongs to it")
            continue
        faults += [
            f"{place}: `{name}`: {_difference(column, document.get(column), value, source)}"
            for column, value in group.items()
            if not _agrees(column, document.get(column), value)
        ]
    for name, group in sorted(missing.items()):
        numbers = ", ".join(f"{n} {_text(v)}" for n, v in group.items() if not isinstance(v, str))
        faults.append(f"{place}: `{name}` is missing; the rows of {source} give {numbers}")
    return shortened(place, faults)


def excesses(
    place: str,
    source: str,
    least: Mapping[str, Document],
    most: Mapping[str, Document],
    found: Iterable[Document],
) -> list[str]:
    """Where documents of an unfinished batch lie outside the bounds that the rows set.

    Args:
        place: The collection, as the words name it.
        source: The table whose rows were grouped, as the words name it.
        least: `_id` -> fields by the rows of confirmed batches.
        most: `_id` -> fields by all rows that there are.
        found: The documents that include the unfinished batch.
    """
    faults = []
    for document in found:
        name = document["_id"]
        group = most.get(name) if isinstance(name, str) else None
        if group is None:
            faults.append(f"{place}: `{name}` is there, but no row of {source} belongs to it")
            continue
        for column, high in group.items():
            value = document.get(column)
            low = high if isinstance(high, str) else least.get(name, {}).get(column, 0)
            if column == "average_age":
                # An average may move either way, so it is checked against its parts.
                low = high = _quotient(document)
            if not _is_between(column, value, low, high):
                faults.append(
                    f"{place}: `{name}`: `{column}` is {_text(value)}; with an unfinished batch,"
                    f" the rows of {source} give {_text(low)} to {_text(high)}"
                )
    return shortened(place, faults)


def shortened(place: str, faults: list[str]) -> list[str]:
    """The first faults of a place, and how many more there are."""
    return [*faults[:MOST_NAMED], *_rest(place, len(faults))]


def named(place: str, rows: DataFrame, words: Callable[[Any], str]) -> list[str]:
    """The first differing rows, each described, and how many more there are."""
    first = rows.limit(MOST_NAMED + 1).collect()
    total = rows.count() if len(first) > MOST_NAMED else len(first)
    return [*(f"{place}: {words(row)}" for row in first[:MOST_NAMED]), *_rest(place, total)]


def _rest(place: str, total: int) -> list[str]:
    return [f"{place}: … and {total - MOST_NAMED} more"] if total > MOST_NAMED else []


def _quotient(document: Document) -> Any:
    total: Any = document.get("total_profiles")
    age_sum: Any = document.get("age_sum")
    # `differences` names parts that are not numbers.
    return age_sum / total if _is_number(total) and _is_number(age_sum) and total else 0.0


def _agrees(column: str, found: Any, expected: Any) -> bool:
    return _is_between(column, found, expected, expected)


def _is_between(column: str, found: Any, low: Any, high: Any) -> bool:
    if isinstance(high, str) or not _is_number(found):
        return isinstance(high, str) and bool(found == high)
    tolerance = TOLERANCES[column](high) if column in TOLERANCES else 0
    # NaN is never within bounds.
    return bool(low - tolerance <= found <= high + tolerance)


def _difference(column: str, found: Any, expected: Any, source: str) -> str:
    by = f" ({_text(found - expected, '+')})" if _is_number(found) and _is_number(expected) else ""
    words = f"`{column}` is {_text(found)}, by the rows of {source} it is {_text(expected)}{by}"
    if column == "unique_clients":
        words += f"; an estimate may differ by {TOLERANCES[column](expected):g}"
    return words


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _text(value: object, sign: str = "") -> str:
    if isinstance(value, float):
        return f"{value:{sign}.6f}"
    return (
        f"{value:{sign}d}" if isinstance(value, int) else "absent" if value is None else str(value)
    )
