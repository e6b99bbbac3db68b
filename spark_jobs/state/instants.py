"""Instants as Kafka counts them: milliseconds since 1970, and any number that a sender wrote."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def instant_or_number(milliseconds: int) -> datetime | str:
    """The instant in UTC; its number as text where it lies outside 1970-9999."""
    try:
        instant = EPOCH + timedelta(milliseconds=milliseconds)
    except OverflowError:
        return str(milliseconds)
    return instant if milliseconds >= 0 else str(milliseconds)
