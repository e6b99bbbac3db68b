"""The way of messages as a picture: one stream in, one out for each outcome.

Widths are proportional to the numbers, which add up; every stream says its name and number.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from spark_jobs.state.ledger import Counts

# Outcome -> its name on the pages, in the order of the picture.
OUTCOMES: Final[Mapping[str, str]] = {
    "stored": "stored",
    "dead_lettered": "dead letters",
    "filtered": "filtered",
    "duplicates": "duplicates",
}
# An outcome with a message has a stream that can be seen.
THINNEST: Final = 1.5


@dataclass(frozen=True)
class Size:
    """Measures of a picture; lengths are those of its text, in pixels when it is drawn as it is."""

    width: int
    outcomes_at: int
    stream: int = 168
    bar: int = 6
    # The least that two lines of text need.
    row: int = 46
    top: int = 34

    @property
    def text_at(self) -> int:
        """Where the names of outcomes begin."""
        return self.outcomes_at + self.bar + 12


WIDE: Final = Size(width=720, outcomes_at=430)
NARROW: Final = Size(width=340, outcomes_at=150, stream=150)


@dataclass(frozen=True)
class Stream:
    """One outcome: its numbers, and where it is drawn.

    Attributes:
        note: What more there is to say, such as how many are alerts.
        share: Of the messages read, as a percentage.
        path: The outline of the stream; empty without messages.
        top: Of its bar, whose height is `height`.
        text: The height at which its name stands.
    """

    outcome: str
    name: str
    count: int
    share: str
    note: str
    path: str
    top: float
    height: float
    text: float


@dataclass(frozen=True)
class Picture:
    """All that the template draws.

    Attributes:
        missing: Messages that no outcome has; anything but 0 is a fault in the ledger.
    """

    size: Size
    read: int
    height: float
    inlet_top: float
    inlet_height: float
    streams: tuple[Stream, ...]
    missing: int


def picture(counts: Counts, size: Size) -> Picture:
    """Where the messages of a pipeline went, drawn to scale."""
    numbers = {outcome: getattr(counts, outcome) for outcome in OUTCOMES}
    known = sum(numbers.values())
    scale = size.stream / max(known, counts.read, 1)
    thick = {name: max(n * scale, THINNEST) if n else 0.0 for name, n in numbers.items()}
    rows = {name: max(height, size.row) for name, height in thick.items()}
    gap = 6
    height = size.top + sum(rows.values()) + gap * (len(rows) - 1) + 8
    alerts = f"{counts.alerts:,} of them alerts" if counts.alerts else ""
    # The first outcome goes straight on; the others branch off below it.
    source, target, streams = float(size.top), float(size.top), []
    for outcome, number in numbers.items():
        top = target + (rows[outcome] - thick[outcome]) / 2
        streams.append(
            Stream(
                outcome=outcome,
                name=OUTCOMES[outcome],
                count=number,
                share=percentage(number, counts.read),
                note=alerts if outcome == "stored" else "",
                path=_ribbon(size, source, top, thick[outcome]) if number else "",
                top=round(top, 1),
                height=round(thick[outcome], 1),
                text=round(target + rows[outcome] / 2, 1),
            )
        )
        source += thick[outcome]
        target += rows[outcome] + gap
    return Picture(
        size=size,
        read=counts.read,
        height=round(height, 1),
        inlet_top=float(size.top),
        inlet_height=round(sum(thick.values()), 1),
        streams=tuple(streams),
        missing=counts.read - known,
    )


def percentage(part: int, whole: int) -> str:
    """A share to a tenth of a percent; no share is rounded to none or to all."""
    if not whole or not part:
        return "0 %"
    if part == whole:
        return "100 %"
    share = 100 * part / whole
    if share < 0.1:
        return "<0.1 %"
    return ">99.9 %" if share > 99.9 else f"{share:.1f} %"


def _ribbon(size: Size, source: float, target: float, thick: float) -> str:
    left, right = size.bar, size.outcomes_at
    bend = left + (right - left) * 0.55
    return (
        f"M{left} {source:.1f}C{bend:.0f} {source:.1f} {bend:.0f} {target:.1f} {right} {target:.1f}"
        f"v{thick:.1f}C{bend:.0f} {target + thick:.1f} {bend:.0f} {source + thick:.1f}"
        f" {left} {source + thick:.1f}Z"
    )
