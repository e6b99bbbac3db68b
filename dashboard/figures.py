"""How numbers, times and spans are written on pages."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

from operations.overview.model import BatchView

ABSENT: Final = "–"
# Of a line that is an inch wide.
MOST_POINTS: Final = 40


def number(value: Any) -> str:
    """A whole number with its thousands apart; others to two places."""
    if value is None:
        return ABSENT
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        return str(value)
    if not math.isfinite(value):
        return str(value)
    if value != int(value):
        return f"{value:,.2f}"
    return f"{int(value):,}"


def rate(value: float | None) -> str:
    """Messages per second: whole numbers, small ones to a tenth."""
    if value is None:
        return ABSENT
    return f"{value:.1f}" if 0 < value < 10 else f"{value:,.0f}"


def seconds(value: float | None) -> str:
    """A span: `0.42 s`, `12.3 s`, `3 min 5 s`."""
    if value is None:
        return ABSENT
    if value < 1:
        return f"{value:.2f} s"
    if value < 60:
        return f"{value:.1f} s"
    minutes, rest = divmod(round(value), 60)
    return f"{minutes} min {rest} s" if rest else f"{minutes} min"


def span(whole: int) -> str:
    """A span of full seconds, minutes, hours, days in words: `10 seconds`, `hour`, `7 days`."""
    units = ((86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second"))
    size, unit = next((each for each in units if whole % each[0] == 0), units[-1])
    return unit if whole == size else f"{whole // size} {unit}s"


def moment(value: datetime | str | None) -> str:
    """An instant in UTC, to the second; the number of one that no calendar has as it is."""
    if value is None:
        return ABSENT
    if isinstance(value, str):
        return value
    return in_utc(value).strftime("%Y-%m-%d %H:%M:%S UTC")


def in_utc(value: datetime) -> datetime:
    """An instant with its zone; one without is in UTC."""
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def sparkline(history: Sequence[BatchView], width: int = 120, height: int = 28) -> str:
    """Points of a line through the messages of batches, the oldest first; empty for one batch.

    With many, each point is the mean of several.
    """
    read = [batch.counts.read for batch in reversed(history)]
    if len(read) < 2:
        return ""
    several = -(-len(read) // MOST_POINTS)
    groups = (read[start : start + several] for start in range(0, len(read), several))
    values = [sum(group) / len(group) for group in groups]
    most = max(*values, 1)
    step = width / (len(values) - 1)
    points = (
        f"{place * step:.1f},{height - 1 - value / most * (height - 3):.1f}"
        for place, value in enumerate(values)
    )
    return " ".join(points)
