"""Values of a contract's fields, as a record in JSON has them: canonical, within every rule.

Instants and days lie in the week before `now`, never after it. What cannot be made is an error that
names the field, never a value that the contract would reject.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from functools import partial
from random import Random
from typing import Any, Final

import orjson

from errors import DeliveryError
from producers.pattern_texts import NoText, PatternTexts
from producers.record_words import email, familiar_text, sentence
from schemas.contract import WHITE_SPACE
from schemas.fields import FieldContract
from schemas.types import (
    EPOCH_END,
    EPOCH_UNITS,
    FORMATS,
    GREATEST_INTEGER,
    LEAST_INTEGER,
)

Make = Callable[[Random], Any]

WINDOW: Final = timedelta(days=7)
# Numbers reach so far from the one bound that a contract has, or from 0.
SPAN: Final = 1000
# Draws until a text obeys what its pattern says apart from its characters.
MOST_TRIES: Final = 1000
LARGEST_ARRAY: Final = 3
# Shares of values that stand for the canonical one in another way.
SYNONYM_SHARE: Final = 0.15
TEXT_SHARE: Final = 0.1
UUID_4: Final = "[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
TIMESTAMP_STYLES: Final = (
    "%Y-%m-%dT%H:%M:%S.{:03}Z",
    "%Y-%m-%dT%H:%M:%SZ",
    "%Y-%m-%dT%H:%M:%S.{:03}000Z",
    "%Y-%m-%dT%H:%M:%S.{:03}+00:00",
    "%Y-%m-%dT%H:%M:%S+00:00",
    "%Y-%m-%dT%H:%M:%S.{:03}000+00:00",
    "%Y-%m-%dT%H:%M:%S+0000",
)
# What a birth date says is a person of some age.
BIRTH: Final = re.compile(r"(?i)birth|(?:\A|[._])dob(?:\Z|[._])")
ADULT_DAYS: Final = (18 * 366, 80 * 365)


def cannot_make(field: FieldContract) -> DeliveryError:
    """The error for a field of which no value can be made."""
    return DeliveryError(
        f"No value of `{field.name}` can be generated: its pattern, lengths or bounds leave none,"
        " or need more than counting characters. Loosen them in the contract, or send records of"
        " your own with `millrace send`."
    )


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
        low, high = whole_range(field, SPAN)
        return lambda rng: rng.randint(low, high)
    if field.kind == "number":
        return _number_maker(field)
    if field.kind == "decimal":
        return _decimal_maker(field)
    if field.kind == "boolean":
        return lambda rng: rng.random() < 0.5
    return _text_maker(field, now)


def _choice(field: FieldContract, rng: Random) -> Any:
    value = rng.choice(field.values)
    others = [spelling for spelling, meaning in field.synonyms.items() if meaning == value]
    return rng.choice(others) if others and rng.random() < SYNONYM_SHARE else value


def whole_range(field: FieldContract, span: int, scale: int = 0) -> tuple[int, int]:
    """Return the least and greatest number of `10**-scale` that a field may be.

    Without bounds it begins at 0 and reaches over `span`; with one, it reaches from there.

    Raises:
        DeliveryError: There is none.
    """
    unit = 10**scale
    low = None if field.minimum is None else math.ceil(Fraction(field.minimum) * unit)
    high = None if field.maximum is None else math.floor(Fraction(field.maximum) * unit)
    if low is None:
        low = 0 if high is None or high >= 0 else high - span
    if high is None:
        high = low + span
    least, greatest = LEAST_INTEGER, GREATEST_INTEGER
    if field.kind == "decimal":
        greatest = 10**field.precision - 1
        least = -greatest
    low, high = max(low, least), min(high, greatest)
    if low > high:
        raise cannot_make(field)
    return low, high


def _decimal_maker(field: FieldContract) -> Make:
    low, high = whole_range(field, SPAN * 10**field.scale, field.scale)

    def make(rng: Random) -> Any:
        text = decimal_text(rng.randint(low, high), field.scale)
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
    low, high = field.minimum, field.maximum
    if low is None:
        low = Decimal(0) if high is None or high >= 0 else high - SPAN
    if high is None:
        high = low + SPAN
    least, greatest = float(low), float(high)
    if not (math.isfinite(least) and math.isfinite(greatest) and least <= greatest):
        raise cannot_make(field)
    span = greatest / 2 - least / 2
    places = max(2, 4 - math.floor(math.log10(span))) if span else 2

    def make(rng: Random) -> float:
        part = rng.random()
        exact = least * (1 - part) + greatest * part
        return min(max(round(exact, places), least), greatest)

    return make


def epoch_window(field: FieldContract, now: datetime, window: timedelta) -> tuple[int, int]:
    """Return the first and last instant of an `x-epoch` field, as numbers of its unit.

    Raises:
        DeliveryError: Its bounds leave none, or only such as a record must not have happened at.
    """
    unit = EPOCH_UNITS[field.epoch or "seconds"]
    present, wide = int(now.timestamp() * unit), int(window.total_seconds() * unit)
    low = 0 if field.minimum is None else max(0, math.ceil(field.minimum))
    high = EPOCH_END * unit - 1
    high = high if field.maximum is None else min(high, math.floor(field.maximum))
    if field.is_event_time or low <= present:
        high = min(high, present)
    if low > high:
        raise cannot_make(field)
    last = high if low <= present else min(high, low + wide)
    return max(low, last - wide + 1), last


def _text_maker(field: FieldContract, now: datetime) -> Make:
    if field.kind == "timestamp":
        style = timestamp_style(field, now)
        return lambda rng: timestamp_text(now - _ago(field, rng), style)
    if field.kind == "date":
        return lambda rng: _accepted(field, (now - _ago(field, rng)).date().isoformat())
    if field.kind == "uuid":
        return _pattern_maker(field, uuid_pattern(field))
    make, is_known = (email, True) if field.kind == "email" else familiar_text(field)
    by_pattern = _pattern_maker(field, text_pattern(field)) if _is_bound(field) else None

    def text(rng: Random) -> Any:
        found = make(rng)
        if by_pattern is not None:
            found = _fitted(field, found, rng) if is_known or field.pattern is None else ""
            found = found if accepts(field, found) else by_pattern(rng)
        may_be_number = {"number", "integer"} & {*field.types} and rng.random() < 0.5
        is_number = may_be_number and re.fullmatch("[1-9][0-9]{0,14}", found)
        return int(found) if is_number else found

    return text


def _is_bound(field: FieldContract) -> bool:
    limits = (field.min_length, field.max_length)
    return limits != (None, None) or field.pattern not in (None, FORMATS.get(field.kind))


def _fitted(field: FieldContract, text: str, rng: Random) -> str:
    """Return the text cut or lengthened to the field's lengths."""
    while len(text) < (field.min_length or 0) <= SPAN:
        text = f"{text} {sentence(rng)}"
    return text[: field.max_length].strip(WHITE_SPACE)


def _ago(field: FieldContract, rng: Random) -> timedelta:
    if BIRTH.search(field.name) and not field.is_event_time:
        return timedelta(days=rng.randint(*ADULT_DAYS))
    return timedelta(milliseconds=rng.randrange(int(WINDOW.total_seconds() * 1000)))


def timestamp_text(at: datetime, style: str) -> str:
    """Return an instant as text, in one of `TIMESTAMP_STYLES`."""
    at = at.astimezone(UTC)
    return at.strftime(style).format(at.microsecond // 1000)


def timestamp_style(field: FieldContract, now: datetime) -> str:
    """Return the style of a field's timestamps, the first that its pattern allows.

    Raises:
        DeliveryError: It allows none.
    """
    styles = (each for each in TIMESTAMP_STYLES if accepts(field, timestamp_text(now, each)))
    if style := next(styles, None):
        return style
    raise cannot_make(field)


def _accepted(field: FieldContract, text: str) -> str:
    if not accepts(field, text):
        raise cannot_make(field)
    return text


def uuid_pattern(field: FieldContract) -> str:
    """Return the pattern by which a field's uuids are made: version 4 if it may be."""
    sample = "0b9a1c9e-4f0e-4a57-8b0a-6d5f2f3c1a77"
    return UUID_4 if accepts(field, sample) else field.pattern or UUID_4


def text_pattern(field: FieldContract, usual: str = "[a-z]+") -> str:
    """Return the pattern by which a field's texts are made: its own, else `usual` if it fits."""
    if field.pattern is not None and field.pattern != FORMATS.get(field.kind):
        return field.pattern
    if field.kind == "email":
        return "[a-z0-9]+(@|@example\\.)[a-z]+"
    try:
        PatternTexts(usual, field.min_length or 0, field.max_length)
    except NoText:
        return "[0-9A-Z]+"
    return usual


def _pattern_maker(field: FieldContract, pattern: str) -> Make:
    texts = pattern_texts(field, pattern)

    def make(rng: Random) -> str:
        for _ in range(MOST_TRIES):
            if accepts(field, text := texts.any(rng)):
                return text
        raise cannot_make(field)

    return make


def pattern_texts(field: FieldContract, pattern: str) -> PatternTexts:
    """Return the texts of a pattern within the field's lengths.

    Raises:
        DeliveryError: There are none, or too many states to count them.
    """
    try:
        return PatternTexts(pattern, max(1, field.min_length or 0), field.max_length)
    except NoText:
        raise cannot_make(field) from None


def accepts(field: FieldContract, text: str) -> bool:
    """Return whether a text obeys its field, and has no white space around it."""
    own = FORMATS.get(field.kind)
    return bool(
        text
        and text == text.strip(WHITE_SPACE)
        and (field.min_length or 0) <= len(text) <= (field.max_length or len(text))
        and (field.pattern is None or re.fullmatch(field.pattern, text))
        and (own is None or re.fullmatch(own, text))
    )
