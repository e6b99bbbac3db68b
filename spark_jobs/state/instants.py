"""Kafka timestamps: milliseconds since 1970, but a sender may write any number."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def instant_or_number(milliseconds: int) -> datetime | str:
    """The instant in UTC; the number as text if it is outside 1970-9999."""
    try:
        instant = EPOCH + timedelta(milliseconds=milliseconds)
    except OverflowError:
        return str(milliseconds)
    return instant if milliseconds >= 0 else str(milliseconds)
