"""Numbers of a sample: integers, decimals of money, doubles, integers that are instants."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from decimal import Decimal
from typing import Any, Final

from operations.new.guess import Guess, few, text_or_number
from operations.new.words import ADDITIVE, CENTS, IDS, MONEY, PLACES, TIMES, has_any
from schemas.rules import decimal_digits
from schemas.types import EPOCH_UNITS, GREATEST_INTEGER, LEAST_INTEGER, MOST_DIGITS

# More digits after the point are those of a double.
MOST_SCALE: Final = 6
WHOLE_DIGITS: Final = 12
# Years 2000 to 2100, in seconds.
EPOCHS: Final = (946_684_800, 4_102_444_800)


def of_numbers(
    values: Sequence[int | Decimal], words: Sequence[str], where: str, *, exact: bool = True
) -> Guess:
    """Return what numbers are taken for.

    Args:
        values: All values.
        words: The words of the field's name.
        where: In how many records.
        exact: Whether digits after a point were meant; not those of a double.
    """
    are_whole = all(isinstance(value, int) for value in values)
    if are_whole and not all(LEAST_INTEGER <= value <= GREATEST_INTEGER for value in values):
        return text_or_number(values, f"integers beyond 64 bits {where}")
    if any(abs(Decimal(value)) > Decimal(sys.float_info.max) for value in values):
        return text_or_number(values, f"numbers beyond doubles {where}")
    if are_whole and (unit := _epoch_unit(values, words)):
        keywords = {"type": "integer", "x-epoch": unit}
        return Guess("timestamp", keywords, f"integers that are {unit} since 1970 {where}")
    if exact and (found := money(values, words, ["string", "number"], where)):
        return found
    is_sum = has_any(words, ADDITIVE) or is_money(words)
    if are_whole:
        choices = 0 if is_sum else few(values)
        measure = "total" if is_sum else None
        return Guess("integer", {"type": "integer"}, f"integer {where}", False, choices, measure)
    measure = None if has_any(words, PLACES) else "total" if is_sum else "average"
    return Guess("number", {"type": "number"}, f"number {where}", adds_up=measure)


def is_money(words: Sequence[str]) -> bool:
    """Whether a name means an amount of money, in its main unit."""
    return has_any(words, MONEY) and not has_any(words, CENTS) and not has_any(words, IDS)


def money(
    values: Sequence[Any], words: Sequence[str], types: list[str] | str, where: str
) -> Guess | None:
    """Return the decimal that numbers, or texts of that form, are if the name means money."""
    if not is_money(words):
        return None
    digits = [decimal_digits(value) for value in values]
    whole, fraction = max(w for w, _ in digits), max(f for _, f in digits)
    scale = max(2, fraction)
    precision = max(WHOLE_DIGITS, whole + 2) + scale
    if fraction > MOST_SCALE or precision > MOST_DIGITS:
        return None
    keywords = {"type": types, "format": "decimal", "x-precision": precision, "x-scale": scale}
    why = f"decimal: its name means money; at most {fraction} digits after the point {where}"
    return Guess("decimal", keywords, why, adds_up="total")


def _epoch_unit(values: Sequence[int | Decimal], words: Sequence[str]) -> str | None:
    if not has_any(words, TIMES):
        return None
    first, end = EPOCHS
    units = EPOCH_UNITS.items()
    return next((u for u, n in units if all(first * n <= v < end * n for v in values)), None)
