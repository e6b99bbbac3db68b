"""How long a column keeps a value, as the SQL that truncates a time says."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

MINUTE, HOUR, DAY = 60, 3_600, 86_400
MONTH, YEAR = 31 * DAY, 365 * DAY
# Stored instants have milliseconds.
INSTANT: Final = 0.001
UNITS: Final[Mapping[str, float]] = {
    **dict.fromkeys(("year", "yyyy", "yy"), YEAR),
    "quarter": 92 * DAY,
    **dict.fromkeys(("month", "mon", "mm"), MONTH),
    "week": 7 * DAY,
    **dict.fromkeys(("day", "dd", "date", "to_date"), DAY),
    "hour": HOUR,
    "minute": MINUTE,
    "second": 1,
}
TIMES: Final[Mapping[str, float]] = {"timestamp": INSTANT, "date": DAY}
# A call that truncates what it is given, or keeps it; the unit, and what is given.
TRUNCATED: Final = re.compile(
    r"\s*(?:date_trunc\(\s*'(?P<first>\w+)'\s*,(?P<a>.*)\)"
    r"|trunc\((?P<b>.*),\s*'(?P<last>\w+)'\s*\)"
    r"|(?P<call>to_date|date|year)\((?P<c>[^,]*|.*\))\)"
    r"|cast\((?P<d>.*)\s+AS\s+(?P<type>date|timestamp|string)\s*\))\s*",
    re.IGNORECASE,
)
FORMATTED: Final = re.compile(r"\s*date_format\(\s*(\w+)\s*,\s*'([^']*)'\s*\)\s*", re.IGNORECASE)
# The finest letter of a pattern decides, if the year is there.
LETTERS: Final = (("S", INSTANT), ("s", 1), ("m", MINUTE), ("H", HOUR), ("dD", DAY), ("ML", MONTH))
# Each of their values comes again, so that it takes a coarser column to end a partition.
RECURRING: Final[Mapping[str, int]] = {
    "second": 60,
    "minute": 60,
    "hour": 24,
    **dict.fromkeys(("dayofweek", "weekday"), 7),
    **dict.fromkeys(("day", "dayofmonth"), 31),
    "dayofyear": 366,
    **dict.fromkeys(("week", "weekofyear"), 53),
    "month": 12,
    "quarter": 4,
}
PART: Final = re.compile(rf"\s*({'|'.join(RECURRING)})\([^()]*\)\s*", re.IGNORECASE)


def lasts(sql: str, types: Mapping[str, str]) -> float | None:
    """Seconds after which a truncated time has another value; None if the SQL is another.

    Args:
        sql: SQL over columns.
        types: Spark's type of each column.
    """
    if found := FORMATTED.fullmatch(sql):
        return _of_pattern(found[2]) if types.get(found[1]) in TIMES else None
    coarsest = 0.0
    while found := TRUNCATED.fullmatch(sql):
        unit = found["first"] or found["last"] or found["call"] or found["type"]
        if unit.lower() not in ("timestamp", "string"):
            if unit.lower() not in UNITS:
                return None
            coarsest = max(coarsest, UNITS[unit.lower()])
        sql = next(each for each in found.group("a", "b", "c", "d") if each is not None)
    own = TIMES.get(types.get(sql.strip(), ""))
    return None if own is None else max(coarsest, own)


def recurring_values(sql: str) -> int | None:
    """How many values a part of a time has that comes again, such as the hour; else None."""
    found = PART.fullmatch(sql)
    return RECURRING[found[1].lower()] if found else None


def _of_pattern(pattern: str) -> float | None:
    if not {*pattern} & {*"yu"}:
        return None
    return next((span for letters, span in LETTERS if {*letters} & {*pattern}), YEAR)
