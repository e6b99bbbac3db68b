"""Charts of a report as plain SVG: lines over days or hours, and a bar for each batch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final

from dashboard.source import Chart, Number
from operations.overview.model import BatchView

WIDTH: Final = 720
HEIGHT: Final = 200
LEFT: Final = 64
BOTTOM: Final = 26
TOP: Final = 12
# Lines are drawn in as many styles.
STYLES: Final = 6
DASHES: Final = ("", "7 4", "2 3", "10 3 2 3", "4 2", "1 4")


@dataclass(frozen=True)
class Line:
    """A line: its name, its pieces between gaps as points, and single values as dots."""

    name: str
    style: int
    dashes: str
    pieces: tuple[str, ...]
    dots: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Tick:
    """A mark at an axis."""

    at: float
    label: str


@dataclass(frozen=True)
class Lines:
    """Lines with their axes."""

    lines: tuple[Line, ...]
    levels: tuple[Tick, ...]
    times: tuple[Tick, ...]


@dataclass(frozen=True)
class BatchBars:
    """A bar for each batch, the oldest first: place, width, top, height."""

    bars: tuple[tuple[float, float, float, float], ...]
    longest: float
    levels: tuple[Tick, ...]


def draw_lines(chart: Chart) -> Lines | None:
    """The lines of a chart; None if there is only one day or hour, or no line."""
    if len(chart.times) < 2 or not chart.lines:
        return None
    numbers = [float(v) for line in chart.lines.values() for v in line if v is not None]
    highest, lowest = max([*numbers, 0.0]), min([*numbers, 0.0])
    span = (highest - lowest) or 1.0
    step = (WIDTH - LEFT - 8) / (len(chart.times) - 1)

    def height(value: float) -> float:
        return round(TOP + (highest - value) / span * (HEIGHT - TOP - BOTTOM), 1)

    lines = tuple(
        Line(
            name,
            place % STYLES + 1,
            DASHES[place % STYLES],
            *_pieces([(LEFT + n * step, v) for n, v in enumerate(values)], height),
        )
        for place, (name, values) in enumerate(chart.lines.items())
    )
    levels = [lowest, (highest + lowest) / 2, highest]
    marks = sorted({0, len(chart.times) // 2, len(chart.times) - 1})
    return Lines(
        lines,
        tuple(Tick(height(level), _short(level)) for level in levels),
        tuple(Tick(round(LEFT + n * step, 1), chart.times[n]) for n in marks),
    )


def _pieces(
    points: Sequence[tuple[float, Number | None]], height: Callable[[float], float]
) -> tuple[tuple[str, ...], tuple[tuple[float, float], ...]]:
    pieces, dots = list[str](), list[tuple[float, float]]()
    for has_value, run in groupby(points, key=lambda point: point[1] is not None):
        placed = [(round(x, 1), height(float(value or 0))) for x, value in run]
        if has_value and len(placed) == 1:
            dots.append(placed[0])
        elif has_value:
            pieces.append(" ".join(f"{x},{y}" for x, y in placed))
    return tuple(pieces), tuple(dots)


def draw_batches(history: Sequence[BatchView]) -> BatchBars | None:
    """The seconds of the last batches; None if fewer than two entries say them."""
    seconds = [batch.seconds for batch in reversed(history) if batch.seconds is not None]
    if len(seconds) < 2:
        return None
    longest = max(seconds) or 1.0
    room, low = (WIDTH - LEFT - 8) / len(seconds), HEIGHT - BOTTOM
    width = round(min(room * 0.8, 24), 2)
    bars = []
    for place, value in enumerate(seconds):
        height = round(max(value / longest * (low - TOP), 0.5), 1)
        bars.append((round(LEFT + place * room, 2), width, round(low - height, 1), height))
    levels = (Tick(TOP, f"{longest:.2g} s"), Tick(low, "0 s"))
    return BatchBars(tuple(bars), longest, levels)


def _short(value: float) -> str:
    """A number for an axis: `950`, `12.3 k`, `1.2 M`."""
    if abs(value) >= 1_000_000:
        return f"{value / 1_000_000:,.1f} M"
    if abs(value) >= 10_000:
        return f"{value / 1_000:.1f} k"
    return f"{value:,.0f}" if value == int(value) or abs(value) >= 100 else f"{value:.2g}"
