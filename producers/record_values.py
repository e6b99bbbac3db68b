"""Values of a contract's fields, as a record in JSON has them: canonical, within every rule.

Instants and days lie in the week before `now`, never after it. What cannot be made is an error that
names the field, never a value that the contract would reject.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from functools import partial
from random import Random
from typing import Any, Final

import orjson

from producers.record_limits import cannot_make, epoch_window, whole_range
from producers.record_texts import WINDOW, Make, text_maker
from schemas.fields import FieldContract

# Numbers reach so far from the one bound that a contract has, or from 0, a few of them farther.
SPAN: Final = 1000
FAR_SPAN: Final = 100_000
FAR_SHARE: Final = 0.03
LARGEST_ARRAY: Final = 3
# Shares of values that stand for the canonical one in another way.
SYNONYM_SHARE: Final = 0.15
TEXT_SHARE: Final = 0.1


def value_maker(field: FieldContract, now: datetime) -> Make:
    """Return how values of a field are made.

    Raises:
        DeliveryError: No value can be made; some patterns show it only when values are made.
    """
    if field.items is not None:
        each = value_maker(field.items, now)
        return lambda rng: [each(rng) for _ in range(rng.randint(0, LARGEST_ARRAY))]
    make = _scalar_maker(field, now)
    if not field.coerce:
        return make
    return lambda rng: _sometimes_text(rng, make(rng))


def _sometimes_text(rng: Random, value: Any) -> Any:
    return orjson.dumps(value).decode() if rng.random() < TEXT_SHARE else value


def _scalar_maker(field: FieldContract, now: datetime) -> Make:
    if field.values:
        return partial(_choice, field)
    if field.epoch:
        first, last = epoch_window(field, now, WINDOW)
        return lambda rng: rng.randint(first, last)
    if field.kind == "integer":
        return _whole_maker(field)
    if field.kind == "number":
        return _number_maker(field)
    if field.kind == "decimal":
        return _decimal_maker(field)
    if field.kind == "boolean":
        return lambda rng: rng.random() < 0.5
    return text_maker(field, now)


def _choice(field: FieldContract, rng: Random) -> Any:
    value = rng.choice(field.values)
    others = [spelling for spelling, meaning in field.synonyms.items() if meaning == value]
    return rng.choice(others) if others and rng.random() < SYNONYM_SHARE else value


def _whole_maker(field: FieldContract, scale: int = 0) -> Callable[[Random], int]:
    near, far = (whole_range(field, span * 10**scale, scale) for span in (SPAN, FAR_SPAN))
    return lambda rng: rng.randint(*(far if rng.random() < FAR_SHARE else near))


def _decimal_maker(field: FieldContract) -> Make:
    whole = _whole_maker(field, field.scale)

    def make(rng: Random) -> Any:
        text = decimal_text(whole(rng), field.scale)
        if "string" not in field.types or ("number" in field.types and rng.random() < 0.5):
            return orjson.Fragment(text)
        return text

    return make


def decimal_text(number: int, scale: int) -> str:
    """Return `number` of `10**-scale`, with all its digits."""
    digits = f"{abs(number):0{scale + 1}d}"
    point = len(digits) - scale
    text = f"{digits[:point]}.{digits[point:]}" if scale else digits
    return f"-{text}" if number < 0 else text


def _number_maker(field: FieldContract) -> Make:
    near, far = (_number_range(field, span) for span in (SPAN, FAR_SPAN))

    def make(rng: Random) -> float:
        least, greatest = far if rng.random() < FAR_SHARE else near
        span, part = greatest / 2 - least / 2, rng.random()
        places = max(2, 4 - math.floor(math.log10(span))) if span else 2
        exact = least * (1 - part) + greatest * part
        return min(max(round(exact, places), least), greatest)

    return make


def _number_range(field: FieldContract, span: int) -> tuple[float, float]:
    low, high = field.minimum, field.maximum
    if low is None:
        low = Decimal(0) if high is None or high >= 0 else high - span
    if high is None:
        high = low + span
    least, greatest = float(low), float(high)
    if not (math.isfinite(least) and math.isfinite(greatest) and least <= greatest):
        raise cannot_make(field)
    return least, greatest
