"""A pipeline's declaration: its topic, rules, tables, file sets and aggregates."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from itertools import combinations

from pyspark.sql import DataFrame

from settings import Settings
from spark_jobs.aggregates import BatchSummary, Row
from spark_jobs.targets import FileSet, Snapshot, SqlTable, Table


@dataclass(frozen=True)
class Pipeline:
    """Everything that distinguishes one pipeline from another.

    `always` names modules of sinks that are written whatever `SINKS` says; `separable` are sinks
    that a separate job may feed (`--sinks postgres`), with its own checkpoint and ledger, under
    the pipeline's name and theirs.
    """

    name: str
    topic: Callable[[Settings], str]
    tables: tuple[Table, ...]
    classify: Callable[[DataFrame, Settings], DataFrame]
    summarise: Callable[[DataFrame], DataFrame]
    roll_up: Callable[[Iterable[Row]], BatchSummary]
    hash_key_id: Callable[[Settings], str | None]
    collections: tuple[str, ...]
    file_sets: tuple[FileSet, ...] = ()
    snapshots: tuple[Snapshot, ...] = ()
    always: tuple[str, ...] = ()
    separable: tuple[str, ...] = ()
    sql_tables: tuple[SqlTable, ...] = ()

    @property
    def family(self) -> str:
        """The name of the whole pipeline, also for a part that feeds only some of its sinks."""
        return self.name.partition("-")[0]

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
