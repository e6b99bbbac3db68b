"""What `millrace check` prints of the sizes of partitions, and what it warns of."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from cql.division import setting_of
from operations.check.column_sizes import ASSUMED_TEXT, Widths, measured
from operations.check.partitions import (
    MOST_BYTES,
    MOST_ROWS,
    RATES,
    Growth,
    growth,
)
from operations.check.row_sizes import RowSize, row_size
from operations.check.time_cuts import DAY, HOUR, MINUTE, MONTH, YEAR
from runtime.config.types import MOST_SHARDS
from spark_jobs.pipeline import Pipeline
from spark_jobs.targets import SHARD, Table

COLUMNS: Final = (
    "table",
    "one partition",
    "bytes a row",
    *(f"{rate:,} records/s" for rate in RATES),
    "within limits up to",
)
MEGABYTE: Final = 1_000_000
TITLE: Final = (
    f"Rows and MB of one partition in Cassandra; limits: {MOST_ROWS:,} rows,"
    f" {MOST_BYTES // MEGABYTE} MB."
)
SPANS: Final = (
    (YEAR, "a year"),
    (92 * DAY, "a quarter"),
    (MONTH, "a month"),
    (7 * DAY, "a week"),
    (DAY, "a day"),
    (HOUR, "an hour"),
    (MINUTE, "a minute"),
    (1, "a second"),
)


@dataclass(frozen=True)
class TableSize:
    """What is known of one table's partitions."""

    pipeline: Pipeline
    table: Table
    growth: Growth
    size: RowSize
    assumed: tuple[str, ...]

    @property
    def cells(self) -> list[str]:
        """A row of the table with the columns `COLUMNS`."""
        return [
            self.table.place,
            self._partition(),
            f"{self.size.of(1) if self.growth.holds_one else self.size.row:,.0f}",
            *(self._amount(rate) for rate in RATES),
            self._limit(),
        ]

    def _partition(self) -> str:
        found = self.growth
        if found.holds_one:
            return "one record"
        span = "never ends; after a year"
        if found.seconds is not None:
            span = next((text for least, text in SPANS if found.seconds >= least), "an instant")
        of = "".join(f" of one {name}" for name in found.open_ended)
        return (
            f"{span}{of}, 1/{found.shares:,.0f} of the records" if found.shares > 1 else span + of
        )

    def _amount(self, rate: float) -> str:
        rows = self.growth.rows(rate)
        size = self.size.of(rows) / MEGABYTE
        digits = 0 if size >= 100 else 1
        return f"{rows:,.0f} row{'' if rows == 1 else 's'}, {size:,.{digits}f} MB"

    def _limit(self) -> str:
        if self.growth.holds_one:
            return "any rate"
        most = self.growth.most(self.size)
        if self.growth.seconds is None:
            return f"{most:,.0f} records"
        return f"{most:,.0f} records/s" if most >= 10 else f"{most:.2g} records/s"

    def warning(self) -> str | None:
        """What to do if it outgrows the limits at one of the rates."""
        found, size = self.growth, self.size
        if found.holds_one or not any(found.exceeds(rate, size) for rate in RATES):
            return None
        of = "".join(f" of one {name}" for name in found.open_ended)
        text = f"warning: {self.table.place}: above {self._limit()}{of} a partition outgrows the"
        text += f" limits. {self._remedy()}"
        return text

    def _remedy(self) -> str:
        found, size, now = self.growth, self.size, self.table.shards
        if found.seconds is None and self.pipeline.folder is None:
            return "It never ends: docs/scaling.md."
        if found.seconds is None:
            return (
                "It never ends: add a column that is cut to a day or an hour to its partition key."
            )
        numbers = {rate: found.shards(rate, size, now) for rate in RATES}
        served = {rate: n for rate, n in numbers.items() if now < n <= MOST_SHARDS}
        need = " or ".join(f"{n:,} shards at {rate:,} records/s" for rate, n in served.items())
        finer = self._finer(found.seconds)
        if not need:
            return finer or "Add a column to its partition key."
        if self.pipeline.folder is None:
            return (
                f"It needs {need}: {setting_of(self.table.name)}, before `make up` creates the"
                " table (docs/scaling.md)."
            )
        return (
            f'It needs {need}: `Table("{self.table.place}", shards=…)` and a column `shard int` in'
            f" the partition key. {finer}".rstrip()
        )

    def _finer(self, seconds: float) -> str:
        """What the next finer cut of time would hold."""
        for coarse, fine, name in ((DAY, HOUR, "hour"), (HOUR, MINUTE, "minute")):
            if seconds >= coarse:
                most = self.growth.most(self.size) * seconds / fine
                return f"Cut to the {name} instead, it holds {most:,.0f} records/s."
        return ""

    def assumptions(self) -> Iterator[str]:
        """What its numbers rest on, and was neither declared nor measured."""
        for name, count in self.growth.even:
            # A hash of the id spreads them so.
            if name != SHARD:
                yield f"{name}: records spread evenly over {count} values"
        for name in self.growth.open_ended:
            how = f'; `Table("{self.table.place}", spread={{"{name}": …}})` says it'
            yield (
                f"{name}: all records have the same value, as the number of values is not declared"
                f"{how if self.pipeline.folder else ''}"
            )
        for name in self.growth.doubtful:
            yield f"{name}: the same value always, as its SQL does not say how long one lasts"
        for name in self.assumed:
            yield f"{name}: {ASSUMED_TEXT} bytes, as nothing was measured"


def table_sizes(pipeline: Pipeline, widths: Widths) -> list[TableSize]:
    """The sizes of every table of Cassandra that a pipeline fills."""
    found = []
    for table in pipeline.tables:
        own, assumed = widths.of(table.declared.columns)
        size = row_size(table.declared, own)
        found.append(TableSize(pipeline, table, growth(pipeline, table), size, (*assumed,)))
    return found


def partition_report(pipelines: Sequence[Pipeline]) -> tuple[list[list[str]], list[str]]:
    """Rows of a table with the columns `COLUMNS`, and the lines below it: warnings, assumptions."""
    rows, warnings, notes = [], list[str](), list[str]()
    for pipeline in pipelines:
        if not pipeline.tables:
            continue
        widths = measured(pipeline)
        sizes = table_sizes(pipeline, widths)
        rows += [each.cells for each in sizes]
        warnings += [text for each in sizes if (text := each.warning())]
        notes.append(f"{pipeline.name}: sizes of values measured on {widths.origin}")
        notes += dict.fromkeys(
            f"{pipeline.name}: assumed for {text}" for each in sizes for text in each.assumptions()
        )
    return rows, [*warnings, *notes]
