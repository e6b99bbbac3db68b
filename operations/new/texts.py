"""Texts of a sample: times, ids, numbers of a CSV, enumerations, and texts that are just that."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any, Final

from operations.new.guess import REPEATS_OF_ENUM, Guess, few, room
from operations.new.numbers import money, of_numbers
from operations.new.words import OPEN_SETS, TEXTS, has_any
from schemas.contract import WHITE_SPACE
from schemas.moments import exists
from schemas.types import FORMATS, Kind

# Whole numbers of more digits are beyond doubles, and text as well.
INTEGER: Final = r"-?(?:0|[1-9][0-9]{0,308})"
DECIMAL_COMMA: Final = r"-?[0-9]{1,3}(?:[.\u00a0 ]?[0-9]{3})*,[0-9]{1,4}"


def _day_of(year: int, month: int, day: int) -> str:
    """SQL for a date whose parts begin at these places; null if there is no such day."""
    parts = ((year, 4), (month, 2), (day, 2))
    numbers = (f"cast(substr({{0}}, {begin}, {size}) AS int)" for begin, size in parts)
    return f"make_date({', '.join(numbers)})"


# Spark takes a time alone for one of the day on which it reads it.
_WITH_A_DAY: Final = "IF({0} RLIKE '^[0-9]{{4}}-', cast({0} AS timestamp), NULL)"
# Forms of times that no contract has -> their kind, and Spark SQL that reads them or gives null.
MOMENTS: Final[Mapping[str, tuple[Kind, str]]] = {
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,9})?)?"
    r"(?: ?(?:Z|UTC|[+-][0-9]{2}:[0-9]{2}))?": ("timestamp", _WITH_A_DAY),
    r"[0-9]{4}/[0-9]{2}/[0-9]{2}": ("date", _day_of(1, 6, 9)),
    r"[0-9]{2}\.[0-9]{2}\.[0-9]{4}": ("date", _day_of(7, 4, 1)),
}


def of_texts(
    values: Sequence[str], words: Sequence[str], where: str, *, from_text: bool = False
) -> Guess:
    """Return what texts are taken for.

    Args:
        values: All values, none blank.
        words: The words of the field's name.
        where: In how many records.
        from_text: Whether a text may stand for a number or boolean, as in a CSV.
    """
    texts = [value.strip(WHITE_SPACE) for value in values]
    found = (money(texts, words, "string", where) if _all(texts, FORMATS["decimal"]) else None) or (
        _spelled(texts, words, where) if from_text and not has_any(words, TEXTS) else None
    )
    found = found or _of_format(texts, where) or _plain(texts, words, where)
    if found.takes_text and (from_text or texts != [*values]):
        return replace(found, keywords={**found.keywords, "x-trim": True})
    return found


def _spelled(texts: Sequence[str], words: Sequence[str], where: str) -> Guess | None:
    """Return the number or boolean that texts stand for; never if digits may be a code."""
    found = None
    if {text.lower() for text in texts} <= {"true", "false"}:
        found = Guess("boolean", {"type": "boolean"}, f"boolean {where}")
    elif _all(texts, INTEGER):
        found = of_numbers([int(text) for text in texts], words, where, exact=False)
    elif _all(texts, FORMATS["decimal"]):
        found = of_numbers([Decimal(text) for text in texts], words, where, exact=False)
    if found is None or found.takes_text:
        return None
    return replace(
        found, keywords={**found.keywords, "x-coerce": True}, why=f"{found.why}, as text"
    )


def _of_format(texts: Sequence[str], where: str) -> Guess | None:
    kinds: tuple[Kind, ...] = ("timestamp", "date", "uuid", "email")
    for kind in kinds:
        if _all(texts, FORMATS[kind]) and all(exists(kind, text) for text in texts):
            return Guess(kind, {"type": "string", "format": kind}, f"{kind} {where}")
    return None


def _plain(texts: Sequence[str], words: Sequence[str], where: str) -> Guess:
    choices = few([text.lower() for text in texts])
    is_often = 1 < choices <= len(texts) / REPEATS_OF_ENUM
    if (
        is_often
        and not has_any(words, OPEN_SETS | TEXTS)
        and not all(text.isdecimal() for text in texts)
    ):
        keywords: dict[str, Any] = {"type": "string", "enum": _spellings(texts)}
        return Guess("string", keywords, f"{choices} different texts {where}", choices=choices)
    why = f"text {where}"
    if _all(texts, DECIMAL_COMMA):
        why += "; a number with a decimal comma is text, as a contract takes a decimal point"
    keywords = {"type": "string", "maxLength": room(texts)}
    moment = next((m for form, m in MOMENTS.items() if _all(texts, form)), None)
    if moment:
        why += f"; a {moment[0]} in a form that a contract does not have"
    return Guess("string", keywords, why, choices=choices, moment=moment)


def _spellings(texts: Sequence[str]) -> list[str]:
    """Each value in its most frequent spelling, as enumerations ignore case."""
    spellings: dict[str, Counter[str]] = {}
    for text in texts:
        spellings.setdefault(text.lower(), Counter())[text] += 1
    return sorted(each.most_common(1)[0][0] for each in spellings.values())


def _all(texts: Sequence[str], pattern: str) -> bool:
    compiled = re.compile(pattern)
    return all(compiled.fullmatch(text) for text in texts)
