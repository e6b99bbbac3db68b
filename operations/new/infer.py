"""The type of a field, from its values: the keywords of a contract, and why.

A type is never narrower than the sample: every value of it is valid for what is returned here.
"""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, Final

from operations.new.observed import Observed
from operations.new.words import (
    ADDITIVE,
    CENTS,
    IDS,
    MONEY,
    OPEN_SETS,
    TEXTS,
    TIMES,
    has_any,
    words_of,
)
from schemas.contract import WHITE_SPACE
from schemas.rules import decimal_digits
from schemas.types import FORMATS, GREATEST_INTEGER, LEAST_INTEGER, MOST_DIGITS, Kind

# An enumeration has this many values at most, each this often on average.
MOST_CHOICES: Final = 20
LEAST_REPEATS: Final = 3
LONGEST_CHOICE: Final = 40
# Generous, as the sample does not have the longest text there will be.
LENGTHS: Final = (16, 32, 64, 128, 255, 500, 1_000, 2_000, 5_000, 10_000, 50_000)
MOST_SCALE: Final = 6
WHOLE_DIGITS: Final = 12
# Years 2000 to 2100, in seconds.
EPOCHS: Final = (946_684_800, 4_102_444_800)
UNITS: Final = {"seconds": 1, "milliseconds": 1_000, "microseconds": 1_000_000}
INTEGER: Final = re.compile(r"-?(?:0|[1-9][0-9]{0,17})")
DECIMAL_COMMA: Final = re.compile(r"-?[0-9]{1,3}(?:[.\u00a0 ]?[0-9]{3})*,[0-9]{1,4}")


@dataclass(frozen=True)
class Guess:
    """What a field is taken for.

    Attributes:
        kind: What a value is, or an element of an array.
        keywords: The keywords of the contract that say so.
        why: The reason, for a comment.
        is_array: Whether it is an array.
        choices: How many distinct values, if they are few and repeat; else 0.
        adds_up: `total` or `average` if a measure of it says something.
    """

    kind: Kind
    keywords: Mapping[str, Any]
    why: str
    is_array: bool = False
    choices: int = 0
    adds_up: str | None = field(default=None)


def infer(observed: Observed, *, from_text: bool = False, exact: bool = True) -> Guess | str:
    """Return what a field is taken for, or why it cannot be a field of a contract.

    Args:
        observed: The field with its values, none of which is an object.
        from_text: Whether all values are texts that may stand for numbers, as in a CSV.
        exact: Whether digits after a point were meant; not those of a double.
    """
    values = observed.filled
    words = words_of(observed.path[-1])
    where = _where(observed)
    kinds = {_json_type(value) for value in values}
    if "array" in kinds:
        return _array(values, words, where) if kinds == {"array"} else _mixture(kinds)
    if "boolean" in kinds and len(kinds) > 1:
        return _mixture(kinds)
    if kinds == {"boolean"}:
        return Guess("boolean", {"type": "boolean"}, f"boolean {where}")
    if "string" in kinds and len(kinds) > 1:
        return _text(
            [str(v) for v in values], words, f"texts and numbers {where}", also_number=True
        )
    if kinds == {"string"}:
        return _of_texts(values, words, where, from_text=from_text)
    return _of_numbers(values, words, where, exact=exact)


def _where(observed: Observed) -> str:
    filled, all_records = len(observed.filled), len(observed.values)
    if filled == all_records:
        return f"in all {filled} records" if filled > 1 else "in the only record"
    return f"in {filled} of {all_records} records"


def _json_type(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | Decimal):
        return "number"
    return "string" if isinstance(value, str) else "array" if isinstance(value, list) else "object"


def _mixture(kinds: set[str]) -> str:
    return f"a mixture of {' and '.join(sorted(kinds))}, which no type of a contract is"


def _array(values: Sequence[list[Any]], words: list[str], where: str) -> Guess | str:
    elements = [element for value in values for element in value]
    if not elements:
        return "an empty array in every record, so the type of its elements is unknown"
    kinds = {"null" if e is None else _json_type(e) for e in elements}
    if kinds & {"object", "array"}:
        return "an array of objects or arrays; a contract has arrays of scalars"
    if "null" in kinds or any(isinstance(e, str) and not e.strip(WHITE_SPACE) for e in elements):
        return "an array with null or blank elements, which a contract refuses"
    observed = Observed(("_".join(words) or "element",), elements, len(elements))
    inner = infer(observed)
    if isinstance(inner, str):
        return inner
    keywords = {"type": "array", "items": dict(inner.keywords)}
    if inner.kind in ("number", "integer", "boolean", "timestamp", "uuid"):
        why = f"array, each element a {inner.kind}, {where}"
        return Guess(inner.kind, keywords, why, is_array=True)
    # Elements of an array are open: a tag that the sample lacks is no fault.
    texts = [str(element) for element in elements]
    plain = {"type": inner.keywords["type"], "maxLength": _room(texts)}
    return Guess(
        "string", {"type": "array", "items": plain}, f"array of texts {where}", is_array=True
    )


def _of_numbers(values: Sequence[Any], words: list[str], where: str, *, exact: bool) -> Guess:
    is_money = has_any(words, MONEY) and not has_any(words, CENTS) and not has_any(words, IDS)
    are_whole = all(isinstance(value, int) for value in values)
    if are_whole and not all(LEAST_INTEGER <= value <= GREATEST_INTEGER for value in values):
        texts = [str(value) for value in values]
        return _text(texts, words, f"integers beyond 64 bits {where}", also_number=True)
    if are_whole and (unit := _epoch_unit(values, words)):
        keywords = {"type": "integer", "x-epoch": unit}
        return Guess("timestamp", keywords, f"integers that are {unit} since 1970 {where}")
    if is_money and exact and (digits := _digits(values)):
        return _decimal(digits, ["string", "number"], where)
    if are_whole:
        few = _few(values) if not has_any(words, ADDITIVE | MONEY) else 0
        measure = "total" if has_any(words, ADDITIVE | MONEY) else None
        keywords = {"type": "integer"}
        return Guess("integer", keywords, f"integer {where}", choices=few, adds_up=measure)
    if any(abs(Decimal(value)) > Decimal(sys.float_info.max) for value in values):
        texts = [str(value) for value in values]
        return _text(texts, words, f"numbers beyond doubles {where}", also_number=True)
    measure = "total" if is_money or has_any(words, ADDITIVE) else "average"
    return Guess("number", {"type": "number"}, f"number {where}", adds_up=measure)


def _digits(values: Sequence[Any]) -> tuple[int, int] | None:
    """The most digits before and after the point; None if a decimal has no room for them."""
    both = [decimal_digits(value) for value in values]
    whole, fraction = max(w for w, _ in both), max(f for _, f in both)
    fits = fraction <= MOST_SCALE and whole + fraction + 2 <= MOST_DIGITS
    return (whole, fraction) if fits else None


def _decimal(digits: tuple[int, int], types: list[str] | str, where: str) -> Guess:
    whole, fraction = digits
    scale = max(2, fraction)
    precision = min(MOST_DIGITS, max(WHOLE_DIGITS, whole + 2) + scale)
    keywords = {"type": types, "format": "decimal", "x-precision": precision, "x-scale": scale}
    why = f"decimal: its name means money, at most {fraction} digits after the point {where}"
    return Guess("decimal", keywords, why, adds_up="total")


def _epoch_unit(values: Sequence[int], words: list[str]) -> str | None:
    if not has_any(words, TIMES):
        return None
    first, end = EPOCHS
    fits = (u for u, n in UNITS.items() if all(first * n <= v < end * n for v in values))
    return next(fits, None)


def _of_texts(values: Sequence[str], words: list[str], where: str, *, from_text: bool) -> Guess:
    texts = [value.strip(WHITE_SPACE) for value in values]
    trim: dict[str, Any] = {"x-trim": True} if from_text or texts != [*values] else {}
    found = _of_format(texts, words, where, from_text=from_text)
    if found is None:
        return _text(values, words, f"text {where}", from_text=from_text)
    can_trim = "string" in found.keywords["type"]
    return Guess(
        found.kind,
        {**found.keywords, **(trim if can_trim else {})},
        found.why,
        choices=found.choices,
        adds_up=found.adds_up,
    )


def _of_format(
    texts: Sequence[str], words: list[str], where: str, *, from_text: bool
) -> Guess | None:
    """Return what texts without outer white space stand for, if it is not just text."""
    is_money = has_any(words, MONEY) and not has_any(words, CENTS) and not has_any(words, IDS)
    are_decimals = _all(texts, FORMATS["decimal"])
    if are_decimals and is_money and (digits := _digits(texts)):
        return _decimal(digits, "string", where)
    if from_text and not has_any(words, TEXTS):
        if {text.lower() for text in texts} <= {"true", "false"}:
            return Guess("boolean", {"type": "boolean", "x-coerce": True}, f"boolean {where}")
        if _all(texts, INTEGER.pattern) or are_decimals:
            are_whole = _all(texts, INTEGER.pattern)
            numbers = [int(t) if are_whole else Decimal(t) for t in texts]
            found = _of_numbers(numbers, words, where, exact=False)
            if "string" not in found.keywords["type"]:
                keywords = {**found.keywords, "x-coerce": True}
                why = f"{found.why}, as text"
                return Guess(
                    found.kind, keywords, why, choices=found.choices, adds_up=found.adds_up
                )
    for kind, check in (("timestamp", _is_timestamp), ("date", _is_date)):
        if _all(texts, FORMATS[kind]) and all(check(text) for text in texts):
            return Guess(kind, {"type": "string", "format": kind}, f"{kind} {where}")  # type: ignore[arg-type]
    for kind in ("uuid", "email"):
        if _all(texts, FORMATS[kind]):
            return Guess(kind, {"type": "string", "format": kind}, f"{kind} {where}")  # type: ignore[arg-type]
    return None


def _text(
    values: Sequence[str],
    words: list[str],
    why: str,
    *,
    also_number: bool = False,
    from_text: bool = False,
) -> Guess:
    texts = [value.strip(WHITE_SPACE) for value in values]
    trim = {"x-trim": True} if from_text or texts != [*values] else {}
    few = 0 if also_number else _few([text.lower() for text in texts])
    types: str | list[str] = ["string", "number"] if also_number else "string"
    if few > 1 and not has_any(words, OPEN_SETS | TEXTS) and not all(t.isdecimal() for t in texts):
        keywords = {"type": "string", "enum": _choices(texts), **trim}
        return Guess("string", keywords, f"{few} different values, {why}", choices=few)
    if _all(texts, DECIMAL_COMMA.pattern):
        why += "; numbers with a decimal comma are text, as a contract takes a decimal point"
    keywords = {"type": types, "maxLength": _room(values), **trim}
    return Guess("string", keywords, why, choices=few)


def _few(values: Sequence[Any]) -> int:
    """How many distinct values, if they are few and repeat; else 0."""
    distinct = {*values}
    are_few = len(distinct) <= MOST_CHOICES and len(distinct) * LEAST_REPEATS <= len(values)
    are_short = all(len(str(value)) <= LONGEST_CHOICE for value in distinct)
    return len(distinct) if are_few and are_short else 0


def _choices(texts: Sequence[str]) -> list[str]:
    """The values, each in its most frequent spelling."""
    spellings: dict[str, Counter[str]] = {}
    for text in texts:
        spellings.setdefault(text.lower(), Counter())[text] += 1
    return sorted(each.most_common(1)[0][0] for each in spellings.values())


def _room(texts: Sequence[str]) -> int:
    longest = max(map(len, texts))
    return next((each for each in LENGTHS if each >= 2 * longest), 4 * longest)


def _all(texts: Sequence[str], pattern: str) -> bool:
    compiled = re.compile(pattern)
    return all(compiled.fullmatch(text) for text in texts)


def _is_timestamp(text: str) -> bool:
    try:
        return 1900 <= datetime.fromisoformat(text.upper()).astimezone(UTC).year <= 9999
    except (ValueError, OverflowError):
        return False


def _is_date(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True
