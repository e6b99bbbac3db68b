"""The contract of a sink: it writes micro-batches, and answers commands about its store.

A sink is a module of this package, named in `runtime.config.sink_modules.SINK_MODULES`, with a
function `sink(pipeline, settings, database)` that returns a `Sink`, or None if the pipeline writes
nothing to it. Commands loop over the sinks (`registry.py`) and know none by name.
"""

# ruff: noqa: B027 - a method that a sink leaves out has a meaning

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pyspark.sql import DataFrame, SparkSession

from spark_jobs.changes import BatchSummary
from spark_jobs.state.ledger import Entry
from spark_jobs.targets import EVERYTHING, Takes


@dataclass(frozen=True)
class Batch:
    """What each sink receives of a micro-batch.

    Attributes:
        records: The classified rows to store, with all columns of the pipeline.
        summary: The batch's counts and its changes to the aggregates.
        query_id: The batch's query; query and batch number identify the batch permanently.
        is_small: Whether its records are the same DataFrame in every small batch (`planned.py`).
        is_replay: Whether rows may have gone from the store since it noted the batch: a sink that
            notes batches writes this one all the same.
    """

    records: DataFrame
    summary: BatchSummary
    query_id: str
    is_small: bool = False
    is_replay: bool = False


@dataclass(frozen=True)
class StoredTable:
    """A table or file set, as `make verify` reads it.

    Attributes:
        name: Its name in the pipeline's declaration.
        key: SQL that gives a row's id, such as `"order_id"`.
        read: All its rows with the stored columns, under the records' names. By `_batch_id`
            (bigint, null: confirmed), or else by `kafka_partition` and `kafka_offset`, rows of an
            unfinished batch are left out; without these columns every row is compared. `_file`,
            if there is one, is the file of a row.
        place: Its name in messages.
        nul: What the store has instead of U+0000, if it cannot hold that.
        takes: Which stored records belong in it.
        placed: Column of `read` -> SQL that gives its value from a record: where the row must lie.
        damaged: Which of its files cannot be read, once `read` has failed.
    """

    name: str
    key: str
    read: Callable[[SparkSession], DataFrame]
    place: str
    nul: str = "\x00"
    takes: Takes = EVERYTHING
    placed: Mapping[str, str] = field(default_factory=dict)
    damaged: Callable[[SparkSession], list[str]] | None = None


@dataclass(frozen=True)
class Totals:
    """Small tables over all records, which every batch replaces.

    Attributes:
        last_batch: The last batch that they include, None before the first.
        tables: Of each its name, its name in messages, and a function that reads its rows.
    """

    last_batch: int | None
    tables: Sequence[tuple[str, str, Callable[[], list[dict[str, Any]]]]]


class Sink(ABC):
    """One store to which a pipeline's micro-batches are written.

    A sink must define `check` and `write_batch`. The other methods answer commands; each states
    what it means if a sink does not define it.

    Attributes:
        name: Its name in `SINKS`.
        store: Its name in messages.
        collections: Aggregates that it adds to, which verification compares with the records. A
            sink that has any is written after all records and dead letters.
        is_source: Whether its tables have all of each record, with the coordinates of its message:
            `make verify` and `rebuild` then start from them.
        takes_parts: Whether a replay may write any part of a batch. Other sinks identify a batch
            by its number and need all of it.
        may_repeat: Whether a repeated batch may leave messages twice, which readers count once.
        fault_point: The crash tests' point before it is written; by default `before-` and its name.
        unreadable: What to do if Spark cannot read its rows.
    """

    name: str
    store: str
    collections: tuple[str, ...] = ()
    is_source: bool = False
    takes_parts: bool = False
    may_repeat: bool = False
    fault_point: str = ""
    unreadable: str = "Check that the store is up and its tables are as the sink made them"

    @abstractmethod
    def check(self) -> None:
        """Check that the store can be written to. Called before a job starts, and by doctor.

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

    def rehearse(self, batch: Batch) -> None:
        """Plan small batches, with one that has no rows; any error is left to the first batch.

        Undefined: nothing of them can be planned before.
        """

    def prepare(self) -> None:
        """Create what is missing (`make up`); may be repeated. Undefined: nothing to create."""

    def answer(self) -> None:
        """Check that the store answers before a command begins. Undefined: not checked.

        Raises:
            SinkError: it does not.
        """

    def greet(self) -> None:
        """Exchange a few bytes with the store, for a job that may be waiting for it.

        Undefined: a job says that it waits for the store only once a write has failed.

        Raises:
            Exception: nothing answered within about three seconds.
        """

    def count(self) -> Mapping[str, int | None]:
        """Rows by name, None if only Spark can count. Undefined: `make status` lists none."""
        return {}

    def has_data(self) -> str | None:
        """Describes the pipeline's data in it, to which a job without a ledger must not add.

        None: it has no data. Undefined: judged by `count`.
        """
        rows = 0 if self.may_repeat else sum(number or 0 for number in self.count().values())
        return f"{self.store} holds records ({rows} rows)" if rows else None

    def holds_any_of(self, ranges: Mapping[int, tuple[int, int]]) -> bool:
        """Whether it has a row from a message in offset ranges. Undefined: assumed to have none."""
        return False

    def has_taken(self, query_id: str, batch_id: int) -> bool:
        """Whether it keeps what it has of a batch that is repeated with fewer messages.

        Asked only of the batch after the last confirmed one. Undefined: assumed not to.
        """
        return False

    def rows(self) -> Iterable[StoredTable]:
        """The tables that `make verify` compares with the records, and `make show` shows.

        Undefined: the names in `count` are listed but not compared.
        """
        return ()

    def totals(self) -> Totals | None:
        """The totals that verification compares with the records. Undefined: it keeps none."""
        return None

    def remembers(self, query_id: str) -> tuple[str, int] | None:
        """Where it notes written batches, and the last one: a job leaves out what is noted.

        Undefined: it keeps no notes, as its writes may be repeated.
        """
        return None

    def notes(self) -> Iterable[str]:
        """Remarks for the user about how data is stored. Undefined: none."""
        return ()

    def misplaced(
        self, confirmed: Sequence[Entry], latest: Callable[[], Mapping[str, int]]
    ) -> Iterable[str]:
        """What is wrong with how the data lies in the store, its rows apart. Undefined: nothing.

        Args:
            confirmed: The batches that it must have.
            latest: Gives the last batch of each query that may be there by now.
        """
        return ()

    def elsewhere(self) -> str | None:
        """Explains that the settings name a place without the pipeline's data; None: no finding."""
        return None

    def lacks(self, query_id: str, batch_id: int) -> str | None:
        """Explains that the place in the settings is without a batch that the sink confirmed.

        None: it has it. Undefined: not known, as it does not remember batches.
        """
        return None

    def describe(self) -> str | None:
        """What a reset deletes, and where. Undefined: nothing, as it has no `delete`."""
        return None

    def delete(self) -> None:
        """Delete the pipeline's data (`make reset`); may be repeated.

        Undefined: the data stays and is overwritten.
        """
