"""What a contract leaves open: the range of a field's numbers and instants."""

from __future__ import annotations

import math
from datetime import datetime, timedelta
from fractions import Fraction

from errors import DeliveryError
from schemas.fields import FieldContract
from schemas.types import EPOCH_END, EPOCH_UNITS, GREATEST_INTEGER, LEAST_INTEGER


def cannot_make(field: FieldContract) -> DeliveryError:
    """The error for a field of which no value can be made."""
    return DeliveryError(
        f"No value of `{field.name}` can be generated: its pattern, lengths or bounds leave none,"
        " or need more than counting characters. Loosen them in the contract, or send records of"
        " your own with `.venv/bin/millrace send NAME FILE`."
    )


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
