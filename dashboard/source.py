"""What the dashboard shows, apart from overviews, records and traces."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Literal

from spark_jobs.aggregates import Aggregate

Number = int | float | Decimal
Unit = Literal["day", "hour"]


@dataclass(frozen=True)
class Declared:
    """What a pipeline declares, of what the pages show.

    Attributes:
        aggregates: Those that may be shown.
        ids: The columns of a record's id.
        parts: Names of the parts that jobs may run alone.
        hidden: Names of aggregates with values that may be personal.
    """

    name: str
    aggregates: tuple[Aggregate, ...] = ()
    ids: tuple[str, ...] = ()
    parts: tuple[str, ...] = ()
    hidden: tuple[str, ...] = ()

    def aggregate(self, name: str) -> Aggregate | None:
        """The aggregate of this name."""
        return next((each for each in self.aggregates if each.name == name), None)


def drawable(value: Any) -> float | None:
    """A value as a number that has a place in a chart; texts, instants and infinity have none."""
    return float(value) if isinstance(value, Number) and math.isfinite(value) else None


@dataclass(frozen=True)
class Bar:
    """One value of an aggregate's dimensions, with a measure of it."""

    label: str
    value: Any

    @property
    def number(self) -> float | None:
        """The value, if it can be drawn."""
        return drawable(self.value)


@dataclass(frozen=True)
class Chart:
    """One measure of an aggregate.

    Attributes:
        kind: `figures`: the measures of its one document. `bars`: a bar for each value. `lines`:
            a line for each value, over days or hours; `bars` are their sums over that time.
        total: Over all documents, or all of the time shown; None if the measure does not add up.
        groups: How many values there are; those without a bar or line are the smallest.
        times: The days or hours of the lines, in order.
    """

    name: str
    measure: str
    kind: Literal["figures", "bars", "lines"]
    figures: Mapping[str, Any] = field(default_factory=dict)
    bars: tuple[Bar, ...] = ()
    total: Number | None = None
    groups: int = 0
    unit: Unit = "day"
    times: tuple[str, ...] = ()
    lines: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)

    @property
    def is_empty(self) -> bool:
        """Whether there is no document."""
        return not (self.figures or self.bars or self.times)


@dataclass(frozen=True)
class LedgerHistory:
    """Messages of a ledger's last batches over time.

    Attributes:
        seconds: The span that each point covers.
        batches: How many are added up.
        times: When each point begins, in seconds since 1970.
        lines: Outcome -> messages of each point.
    """

    seconds: int = 0
    batches: int = 0
    times: tuple[float, ...] = ()
    lines: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
