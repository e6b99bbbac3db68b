"""A pipeline's declaration: its topic, rules, tables, file sets and aggregates."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from itertools import combinations

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from settings import Settings
from spark_jobs.aggregates import Aggregate
from spark_jobs.changes import BatchSummary, Row, roll_up
from spark_jobs.targets import FileSet, Snapshot, SqlTable, Table
from spark_jobs.transforms.outcomes import ALERT, VALID
from spark_jobs.transforms.summarise import summarise


@dataclass(frozen=True)
class Pipeline:
    """Everything that distinguishes one pipeline from another.

    `always` names modules of sinks that are written whatever `SINKS` says; `separable` are sinks
    that a separate job may feed (`--sinks postgres`), with its own checkpoint and ledger, under
    the pipeline's name and theirs. `alert` is SQL: stored records that meet it have the outcome
    `alert`; None: stored rows of its tables are all valid.
    """

    name: str
    topic: Callable[[Settings], str]
    tables: tuple[Table, ...]
    classify: Callable[[DataFrame, Settings], DataFrame]
    hash_key_id: Callable[[Settings], str | None]
    aggregates: tuple[Aggregate, ...] = ()
    file_sets: tuple[FileSet, ...] = ()
    snapshots: tuple[Snapshot, ...] = ()
    always: tuple[str, ...] = ()
    separable: tuple[str, ...] = ()
    sql_tables: tuple[SqlTable, ...] = ()
    alert: str | None = None

    @property
    def family(self) -> str:
        """The name of the whole pipeline, also for a part that feeds only some of its sinks."""
        return self.name.partition("-")[0]

    @property
    def collections(self) -> tuple[str, ...]:
        """The collections of its aggregates."""
        return tuple(aggregate.name for aggregate in self.aggregates)

    @property
    def stand_ins(self) -> dict[str, str]:
        """Key column of a table -> its value where the record has null."""
        return {column: text for t in self.tables for column, text in t.stand_ins.items()}

    @property
    def stored_outcome(self) -> Column:
        """The outcome of a record in its tables."""
        if self.alert is None:
            return F.lit(VALID)
        return F.when(F.expr(self.alert), F.lit(ALERT)).otherwise(F.lit(VALID))

    def summarise(self, classified: DataFrame) -> DataFrame:
        """The rows of `transforms.summarise` for its aggregates."""
        return summarise(classified, self.aggregates)

    def roll_up(self, rows: Iterable[Row]) -> BatchSummary:
        """Counts and changes from its rows."""
        return roll_up(rows, self.aggregates)

    def feeding(self, sinks: tuple[str, ...]) -> Pipeline:
        """The part of the pipeline that feeds only these of its separable sinks."""
        own = sorted(set(sinks) & {*self.separable})
        return replace(self, name="-".join([self.family, *own]))

    def parts(self) -> list[Pipeline]:
        """The pipeline, and each of its parts that a job may run alone."""
        chosen = (
            self.feeding(sinks)
            for number in range(1, len(self.separable) + 1)
            for sinks in combinations(self.separable, number)
        )
        return [self, *chosen]
