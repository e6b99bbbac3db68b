"""The contract of a sink.

A sink is a module of this package, named in `runtime.sink_modules.SINK_MODULES`, with a function
`sink(pipeline, settings, database)` that returns a `Sink`, or None if the pipeline writes nothing
to it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from pyspark.sql import DataFrame

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


class Sink(Protocol):
    """One store to which each micro-batch is written."""

    @property
    def name(self) -> str:
        """The name that `SINKS` uses."""

    def check(self) -> None:
        """Check that the store can be written to.

        Raises:
            SinkUnavailable: it cannot be reached within the time that the sink states.
            SinkRejected: it answers, but tables are missing or differ.
        """

    def write_batch(self, batch: Batch, batch_id: int) -> None:
        """Write a batch so that writing it again changes nothing.

        A batch that was not confirmed is repeated with the same rows before the next one.

        Raises:
            SinkError: the store did not confirm everything.
        """
