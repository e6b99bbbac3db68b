"""Computes a derived column of one record without Spark, to find the partition of its row.

The expression is Spark SQL. SQLite evaluates it, with Spark's functions of the same names in
Python; what these do not cover is `NotComputable`. A value is only used to look for a row, so a row
that is found is certain, and one that is not proves nothing.
"""

from __future__ import annotations

import re
import sqlite3
import zlib
from collections.abc import Callable, Mapping
from contextlib import closing
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

# What SQLite would read in another way than Spark: division, strings in double quotes, escapes,
# parts of statements.
OTHERWISE_READ: Final = re.compile(r"[/\"\\;]|--|\bselect\b", re.IGNORECASE)
CAST: Final = re.compile(r"\bAS\s+(\w+)(?=\s*\))", re.IGNORECASE)
CASTS: Final = {
    **dict.fromkeys(("int", "integer", "bigint", "long", "smallint", "tinyint"), "INTEGER"),
    "string": "TEXT",
}
# Unit -> how many parts of (year, month, day, hour, minute, second) stay.
KEPT_PARTS: Final = {
    **dict.fromkeys(("year", "yyyy", "yy"), 1),
    **dict.fromkeys(("month", "mon", "mm"), 2),
    **dict.fromkeys(("day", "dd"), 3),
    "hour": 4,
    "minute": 5,
    "second": 6,
}
DIGITS: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
FIRST: Final = (1, 1, 1, 0, 0, 0)
GIVEN: Final = str | int | float | datetime | date | Decimal | None


class NotComputable(Exception):
    """Only Spark can evaluate the expression."""


def evaluated(sql: str, columns: Mapping[str, Any], kind: str) -> Any:
    """The value of an expression as a column of this type in Cassandra or PostgreSQL.

    Raises:
        NotComputable: it needs a function, an operator or a column that is not there.
    """
    text = _translated(sql)
    given = {name: _given(value) for name, value in columns.items() if isinstance(value, GIVEN)}
    named = ", ".join(f"? AS `{name}`" for name in given) or "NULL AS nothing"
    with closing(sqlite3.connect(":memory:")) as engine:
        for name, function in FUNCTIONS.items():
            engine.create_function(name, -1, function, deterministic=True)
        engine.set_authorizer(_authorise)
        try:
            query = f"SELECT {text} FROM (SELECT {named})"  # noqa: S608 - in an empty database
            (value,) = engine.execute(query, [*given.values()]).fetchone()
        except sqlite3.Error as error:
            raise NotComputable(sql) from error
    return _as_column(value, kind, sql)


def _translated(sql: str) -> str:
    outside = re.sub(r"'(?:[^'\\]|'')*'", "''", sql)
    if OTHERWISE_READ.search(outside) or "\\" in sql:
        raise NotComputable(sql)

    def cast(found: re.Match[str]) -> str:
        kind = CASTS.get(found[1].lower())
        if kind is None:
            raise NotComputable(sql)
        return f"AS {kind}"

    return CAST.sub(cast, sql)


def _authorise(action: int, _first: str | None, name: str | None, *_: str | None) -> int:
    is_known = action != sqlite3.SQLITE_FUNCTION or (name or "").lower() in FUNCTIONS
    return sqlite3.SQLITE_OK if is_known else sqlite3.SQLITE_DENY


def _given(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.replace(tzinfo=None).isoformat(sep=" ")
    if isinstance(value, date):
        return value.isoformat()
    return float(value) if isinstance(value, Decimal) else value


def _as_column(value: Any, kind: str, sql: str) -> Any:
    try:
        if value is None:
            return None
        if kind.startswith("timestamp"):
            return datetime.fromisoformat(value)
        if kind == "date":
            return date.fromisoformat(value[:10]).isoformat()
        if kind in {"int", "bigint", "smallint", "integer", "boolean"}:
            return bool(value) if kind == "boolean" else int(value)
    except (TypeError, ValueError) as error:
        raise NotComputable(sql) from error
    if kind != "text" or isinstance(value, float):
        raise NotComputable(sql)
    return str(value)


def _of_known(function: Callable[..., Any]) -> Callable[..., Any]:
    """Null if any argument is, as most of Spark's functions give."""

    def called(*values: Any) -> Any:
        return None if None in values else function(*values)

    return called


def _date_trunc(unit: str, at: str) -> str:
    moment, name = datetime.fromisoformat(at), unit.lower()
    if name == "millisecond":
        return moment.isoformat(sep=" ", timespec="milliseconds")
    if name == "week":
        moment, name = moment - timedelta(days=moment.weekday()), "day"
    if name == "quarter":
        moment, name = moment.replace(day=1, month=(moment.month - 1) // 3 * 3 + 1), "month"
    kept = KEPT_PARTS[name]
    parts = (*moment.timetuple()[:kept], *FIRST[kept:])
    return datetime(*parts).isoformat(sep=" ")  # type: ignore[arg-type]  # noqa: DTZ001


def _part(name: str) -> Callable[[str], int]:
    return lambda at: int(getattr(datetime.fromisoformat(at), name))


def _substring(text: Any, start: int, length: int = 2**31) -> str:
    whole = str(text)
    begin = start - 1 if start > 0 else len(whole) + start if start < 0 else 0
    return whole[max(begin, 0) : max(begin + length, 0)]


def _conv(digits: Any, source: int, target: int) -> str:
    number, text = int(str(digits), source), ""
    if not (0 <= number < 2**64 and 2 <= target <= len(DIGITS)):
        raise ValueError("Spark gives something else")
    while number:
        number, digit = divmod(number, target)
        text = DIGITS[digit] + text
    return text or "0"


def _concat_ws(separator: str | None, *values: Any) -> str | None:
    known = [str(value) for value in values if value is not None]
    return None if separator is None else separator.join(known)


_OF_KNOWN: Final[dict[str, Callable[..., Any]]] = {
    "date_trunc": _date_trunc,
    "trunc": lambda at, unit: _date_trunc(unit, at)[:10],
    **dict.fromkeys(("to_date", "date"), lambda at: _date_trunc("day", at)[:10]),
    **{name: _part(name) for name in ("year", "month", "day", "hour", "minute", "second")},
    "dayofmonth": _part("day"),
    **dict.fromkeys(("substr", "substring"), _substring),
    "conv": _conv,
    **dict.fromkeys(("lower", "lcase"), lambda text: str(text).lower()),
    **dict.fromkeys(("upper", "ucase"), lambda text: str(text).upper()),
    "concat": lambda *values: "".join(map(str, values)),
    "length": lambda text: len(str(text)),
    "abs": abs,
    "pmod": lambda number, by: number % by,
    "crc32": lambda text: zlib.crc32(str(text).encode()),
    "string": str,
}
FUNCTIONS: Final[dict[str, Callable[..., Any]]] = {
    "concat_ws": _concat_ws,
    "coalesce": lambda *values: next((each for each in values if each is not None), None),
    "if": lambda condition, then, other: then if condition else other,
    **{name: _of_known(function) for name, function in _OF_KNOWN.items()},
}
