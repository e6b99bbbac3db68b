"""Ids of generated records: all different within a run, and far apart between two seeds.

The possible ids of a contract are numbered. A run takes one after the other along a stride that
reaches each of them once, beginning at a place that its seed chooses; so two runs have an id in
common only if their stretches of numbers overlap, or if there are few ids.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

from errors import DeliveryError
from producers.record_limits import cannot_make, epoch_window, whole_range
from producers.record_texts import (
    WINDOW,
    accepts,
    pattern_texts,
    text_pattern,
    timestamp_style,
    timestamp_text,
    uuid_pattern,
)
from schemas.fields import Contract, FieldContract
from schemas.types import EPOCH_UNITS

# As many ids are enough; more would only make them longer.
ENOUGH: Final = 2**60
# The same for ids of several fields. Then all but the most varied one have few values, as a device
# has many readings.
ENOUGH_TOGETHER: Final = 2**32
POOL: Final = 50
# Where a pattern has rules that its numbers do not know, so many in a row may be in vain.
MOST_TRIES: Final = 20_000
# 2**128 divided by the golden ratio: multiples of it are spread evenly.
GOLDEN: Final = 0x9E3779B97F4A7C15F39CC0605CEDC834
FIRST_DAY: Final = date(1900, 1, 1)
# Numbers that every reader of JSON keeps exactly.
EXACT: Final = 2**53 - 1
# Of a text without a pattern, if its lengths allow it.
ID_TEXT: Final = "[0-9A-Z]{12}"
MILLISECOND: Final = timedelta(milliseconds=1)


@dataclass(frozen=True)
class _Space:
    """Numbered values of one field; the value of a number is None if the contract refuses it."""

    size: int
    value: Callable[[int], Any]


class RecordIds:
    """The ids of one run, in order.

    Attributes:
        size: How many ids there are at most.
    """

    def __init__(self, contract: Contract, seed: int, now: datetime, count: int = 0) -> None:
        """Number the possible ids; instants reach further back if `count` records need it.

        Raises:
            DeliveryError: The contract allows no id that can be made.
        """
        self._fields = contract.id_fields
        spaces = [_space(field, now, count) for field in self._fields]
        self._spaces = _pooled(self._fields, spaces)
        self.size = math.prod(space.size for space in self._spaces)
        self._first = (seed * GOLDEN % 2**128 * self.size) >> 128
        self._stride = _stride(self.size)

    def require(self, count: int) -> None:
        """Check that there are `count` ids.

        Raises:
            DeliveryError: There are fewer.
        """
        if self.size < count:
            raise self._too_few(self.size)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Yield ids, each as dotted name -> value.

        Raises:
            DeliveryError: There is no further one.
        """
        made = tries = 0
        for number in range(self.size):
            rank, found = (self._first + number) * self._stride % self.size, {}
            for field, space in zip(self._fields, self._spaces, strict=True):
                rank, own = divmod(rank, space.size)
                found[field.name] = space.value(own)
            tries += 1
            if None not in found.values():
                made, tries = made + 1, 0
                yield found
            elif tries == MOST_TRIES:
                break
        raise self._too_few(made)

    def _too_few(self, size: int) -> DeliveryError:
        names = ", ".join(f"`{field.name}`" for field in self._fields)
        return DeliveryError(
            f"The contract allows only {size} different ids that can be generated ({names}). Ask"
            " for fewer records with `--count`, let ids come again with `--duplicate-ratio`, or"
            " widen what the contract allows."
        )


def _stride(size: int) -> int:
    """Return a step that reaches all of `size` places, each far from the one before."""
    stride = max(1, size * GOLDEN >> 128)
    while math.gcd(stride, size) > 1:
        stride += 1
    return stride


def _pooled(fields: Sequence[FieldContract], spaces: list[_Space]) -> list[_Space]:
    largest = max(range(len(spaces)), key=lambda place: spaces[place].size)
    others = [min(space.size, POOL) for place, space in enumerate(spaces) if place != largest]
    if not others or spaces[largest].size * math.prod(others) < ENOUGH_TOGETHER:
        return spaces
    pairs = zip(fields, spaces, strict=True)
    return [
        space if place == largest else _pool(field, space)
        for place, (field, space) in enumerate(pairs)
    ]


def _pool(field: FieldContract, space: _Space) -> _Space:
    """Return a few values of a space, the same for every seed."""
    stride, values = _stride(space.size), list[Any]()
    for number in range(min(space.size, MOST_TRIES)):
        value = space.value(number * stride % space.size)
        values += [] if value is None else [value]
        if len(values) == POOL:
            break
    if not values:
        raise cannot_make(field)
    return _Space(len(values), values.__getitem__)


def _space(field: FieldContract, now: datetime, count: int) -> _Space:
    if field.values:
        return _Space(len(field.values), field.values.__getitem__)
    if field.epoch:
        needed = timedelta(seconds=count / EPOCH_UNITS[field.epoch])
        first, last = epoch_window(field, now, max(WINDOW, needed))
        return _Space(last - first + 1, lambda number: last - number)
    if field.kind == "integer":
        low, high = whole_range(field, EXACT)
        return _Space(high - low + 1, lambda number: low + number)
    if field.kind == "timestamp":
        style, window = timestamp_style(field, now), max(WINDOW, count * MILLISECOND)

        def instant(number: int) -> str | None:
            return _checked(field, timestamp_text(now - number * MILLISECOND, style))

        return _Space(window // MILLISECOND, instant)
    if field.kind == "date":
        today = now.astimezone(UTC).date()
        days = min(max(WINDOW.days, count), (today - FIRST_DAY).days + 1)

        def day(number: int) -> str | None:
            return _checked(field, (today - timedelta(days=number)).isoformat())

        return _Space(days, day)
    return _texts(field)


def _texts(field: FieldContract) -> _Space:
    """Number the texts of a field: of no more lengths than make enough."""
    pattern = uuid_pattern(field) if field.kind == "uuid" else text_pattern(field, ID_TEXT)
    texts = pattern_texts(field, pattern)
    starts, size = list[int](), 0
    for each in texts.sizes.values():
        starts.append(size)
        size += each
        if size >= ENOUGH:
            break
    lengths = [*texts.sizes]

    def text(number: int) -> str | None:
        place = bisect_right(starts, number) - 1
        return _checked(field, texts.text(lengths[place], number - starts[place]))

    return _Space(size, text)


def _checked(field: FieldContract, text: str) -> str | None:
    return text if accepts(field, text) else None
