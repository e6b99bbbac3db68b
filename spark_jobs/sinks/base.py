"""What a sink is: it writes micro-batches, and answers what commands ask of its store.

A sink is a module of this package, named in `runtime.sink_modules.SINK_MODULES`, with a function
`sink(pipeline, settings, database)` that gives a `Sink`, or None where the pipeline has nothing
for it. Commands loop over the sinks (`registry.py`) and know none by name.
"""

# ruff: noqa: B027 - what a sink leaves out has a meaning

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pyspark.sql import DataFrame, SparkSession

from spark_jobs.aggregates import BatchSummary


@dataclass(frozen=True)
class Batch:
    """What each sink receives of a micro-batch.

    Attributes:
        records: The classified rows to store, with all columns of the pipeline.
        summary: The batch's counts and its changes to the aggregates.
        query_id: The batch's query; query and batch number identify the batch permanently.
    """

    records: DataFrame
    summary: BatchSummary
    query_id: str


@dataclass(frozen=True)
class StoredTable:
    """A table, or a set of files, as `make verify` reads it.

    Attributes:
        name: As the pipeline declares it.
        key: The column that identifies a row.
        read: All its rows with the stored columns, under the names that the records have. By
            `batch_id` (bigint, null: confirmed), or else by `kafka_partition` and `kafka_offset`,
            rows of an unfinished batch are left aside; without these columns every row is judged.
        place: As messages name it.
        nul: What the store has for U+0000, if it cannot hold that.
    """

    name: str
    key: str
    read: Callable[[SparkSession], DataFrame]
    place: str
    nul: str = "\x00"


@dataclass(frozen=True)
class Totals:
    """Small tables over all records, each replaced whole by every batch.

    Attributes:
        last_batch: The last batch that they hold, None before the first.
        tables: Name, place as messages name it, and rows of each.
    """

    last_batch: int | None
    tables: Sequence[tuple[str, str, list[dict[str, Any]]]]


class Sink(ABC):
    """One store that receives what each micro-batch of a pipeline has for it.

    `check` and `write_batch` must be written. The others answer commands; each says what it means
    that a sink has none.

    Attributes:
        name: As `SINKS` lists it.
        store: As messages name it.
        collections: Aggregates that it adds to, which verification compares with the records. A
            sink with some is written after all records and dead letters.
        is_source: Whether its tables hold all of each record, with the coordinates of its message:
            `make verify` and `rebuild` then start from them.
        takes_parts: Whether a replay may write any part of a batch. Others know a batch by its
            number and get it whole.
        may_repeat: Whether a repeated batch may leave messages twice, which readers count once.
        fault_point: The crash tests' point before it is written; `before-` and its name if absent.
        unreadable: What to do where Spark cannot read its rows.
    """

    name: str
    store: str
    collections: tuple[str, ...] = ()
    is_source: bool = False
    takes_parts: bool = False
    may_repeat: bool = False
    fault_point: str = ""
    unreadable: str = "See that the store is up and its tables are as the sink made them"

    @abstractmethod
    def check(self) -> None:
        """Prove that the store can be written to. Called before a job starts, and by doctor.

        Raises:
            SinkUnavailable: it cannot be reached within the time that the sink states.
            SinkRejected: it answers, but tables are missing or differ.
        """

    @abstractmethod
    def write_batch(self, batch: Batch, batch_id: int) -> None:
        """Write a batch so that writing it again changes nothing.

        A batch that was not confirmed is repeated with the same rows before the next one.

        Raises:
            SinkError: the store did not confirm everything.
        """

    def prepare(self) -> None:
        """Create what is missing, harmless to repeat (`make up`). None: nothing to create."""

    def answer(self) -> None:
        """See that the store answers, before a command begins. None: not looked at before.

        Raises:
            SinkError: it does not.
        """

    def count(self) -> Mapping[str, int | None]:
        """Rows of each place, None where only Spark can tell. None: `make status` lists none."""
        return {}

    def has_data(self) -> str | None:
        """What it holds of the pipeline, in words; a job without a ledger must not add to it.

        None: as `count` says.
        """
        rows = 0 if self.may_repeat else sum(number or 0 for number in self.count().values())
        return f"{self.store} holds records ({rows} rows)" if rows else None

    def holds_any_of(self, ranges: Mapping[int, tuple[int, int]]) -> bool:
        """Whether it holds a row of a message in offset ranges. None: taken to hold none."""
        return False

    def rows(self) -> Iterable[StoredTable]:
        """What `make verify` compares with the records, row by row, and `make show` shows.

        None: the places of `count` are listed, and not judged.
        """
        return ()

    def totals(self) -> Totals | None:
        """What verification compares with groups of the records. None: it keeps no totals."""
        return None

    def notes(self) -> Iterable[str]:
        """What a user should know of how it is stored. None: nothing."""
        return ()

    def elsewhere(self) -> str | None:
        """That nothing of the pipeline is where settings say, in words. None: it cannot tell."""
        return None

    def describe(self) -> str | None:
        """What a reset deletes and where that is. None: nothing, it has no `delete`."""
        return None

    def delete(self) -> None:
        """Delete all that is stored of the pipeline, harmless to repeat (`make reset`).

        None: it stays, and is written over.
        """
