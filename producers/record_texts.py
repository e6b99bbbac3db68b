"""Texts of a contract's fields: instants, days, uuids, addresses, whatever a pattern asks for.

Where a name or a kind promises something, the text looks like it; where pattern and lengths do not
allow that, any text that they allow.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, Final

from producers.pattern_texts import NoText, PatternTexts
from producers.record_limits import cannot_make
from producers.record_words import MakeText, email, familiar_texts, sentence, word
from schemas.contract import WHITE_SPACE
from schemas.fields import FieldContract
from schemas.types import FORMATS

Make = Callable[[Random], Any]

# Instants and days are so near to the present.
WINDOW: Final = timedelta(days=7)
# Draws until a text obeys what its pattern says apart from its characters.
MOST_TRIES: Final = 1000
# Share of numbers where a field takes texts and numbers.
NUMBER_SHARE: Final = 0.3
# A text is lengthened with sentences up to this; longer ones are made by the pattern.
LONGEST_PROSE: Final = 1000
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


def text_maker(field: FieldContract, now: datetime) -> Make:
    """Return how texts of a field are made.

    Raises:
        DeliveryError: None can be made; some patterns show it only when texts are made.
    """
    if field.kind == "timestamp":
        style = timestamp_style(field, now)
        return _accepted(field, lambda rng: timestamp_text(now - _ago(field, rng), style))
    if field.kind == "date":
        today = now.astimezone(UTC)
        return _accepted(field, lambda rng: (today - _ago(field, rng)).date().isoformat())
    if field.kind == "uuid":
        return _accepted(field, pattern_texts(field, uuid_pattern(field)).any)
    ways = [email] if field.kind == "email" else familiar_texts(field)
    if not _is_bound(field):
        make = ways[0] if ways else word
    else:
        make = _bound_maker(field, ways or ([word] if field.pattern is None else []))
    return make if {*field.types} <= {"string", "null"} else _text_or_number(field, make)


def _bound_maker(field: FieldContract, ways: Sequence[MakeText]) -> MakeText:
    """Return how texts are made that pattern and lengths allow: in the first way that they do."""
    by_pattern = _accepted(field, pattern_texts(field, text_pattern(field)).any)

    def make(rng: Random) -> str:
        texts = (_fitted(field, way(rng), rng) for way in ways)
        return next((text for text in texts if accepts(field, text)), "") or by_pattern(rng)

    return make


def _text_or_number(field: FieldContract, make: MakeText) -> Make:
    """Return how values are made of a field that takes numbers as text."""

    def value(rng: Random) -> Any:
        number = rng.randint(1, 99_999)
        if rng.random() < NUMBER_SHARE and accepts(field, str(number)):
            return number
        return make(rng)

    return value


def _is_bound(field: FieldContract) -> bool:
    limits = (field.min_length, field.max_length)
    return limits != (None, None) or field.pattern not in (None, FORMATS.get(field.kind))


def _fitted(field: FieldContract, text: str, rng: Random) -> str:
    """Return the text cut or lengthened to the field's lengths."""
    while len(text) < (field.min_length or 0) <= LONGEST_PROSE:
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


def _accepted(field: FieldContract, draw: MakeText) -> MakeText:
    """Return how texts are made that obey the field: drawn until one does."""

    def make(rng: Random) -> str:
        for _ in range(MOST_TRIES):
            if accepts(field, text := draw(rng)):
                return text
        raise cannot_make(field)

    return make


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
