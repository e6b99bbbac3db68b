"""What the dashboard shows, and where it gets it from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Literal, Protocol

from operations.overview.model import Overview
from operations.overview.records import LetterPage, RecordTable, Row, RowPage
from operations.trace.model import Trace
from spark_jobs.aggregates import Aggregate

Number = int | float | Decimal
Unit = Literal["day", "hour"]


@dataclass(frozen=True)
class Declared:
    """What a pipeline declares, of what the pages show; `ids` are the columns of a record's id."""

    name: str
    topic: str
    aggregates: tuple[Aggregate, ...] = ()
    ids: tuple[str, ...] = ()

    def aggregate(self, name: str) -> Aggregate | None:
        """The aggregate of this name."""
        return next((each for each in self.aggregates if each.name == name), None)


@dataclass(frozen=True)
class Bar:
    """One value of an aggregate's dimensions, with a measure of it."""

    label: str
    value: Any

    @property
    def number(self) -> float | None:
        """The value, if it is a number."""
        return float(self.value) if isinstance(self.value, Number) else None


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


class Source(Protocol):
    """Where pages get what they show. Methods raise `MillraceError`, in words for people."""

    @property
    def declared(self) -> Mapping[str, Declared]:
        """The pipelines by name; asks no service."""

    @property
    def tables(self) -> Mapping[str, RecordTable]:
        """The tables whose rows can be looked at; asks no service."""

    def overview(self) -> Overview:
        """What is seen now."""

    def chart(self, aggregate: Aggregate, measure: str) -> Chart:
        """A measure of an aggregate, from its collection."""

    def history(self, pipeline: str) -> LedgerHistory:
        """Messages over time, from the ledger of a pipeline or of a part of one."""

    def partitions(self, table: RecordTable) -> tuple[list[Row], bool]:
        """Keys of a table's partitions, and whether there are more."""

    def rows(self, table: RecordTable, key: Mapping[str, str], page: str | None) -> RowPage:
        """Rows of one partition, masked."""

    def dead_letters(
        self, pipeline: str | None, reason: str | None, page: str | None
    ) -> LetterPage:
        """Dead letters with their content, masked."""

    def trace(self, asked: str) -> Trace:
        """What is known of a record, by its id or by `topic/partition/offset`."""

    def close(self) -> None:
        """Close what is open."""
