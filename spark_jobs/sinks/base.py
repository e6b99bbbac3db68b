"""The contract of a sink, and how a store's failure becomes an error that a user can act on.

A sink is a module of this package, named in `runtime.sink_modules.SINK_MODULES`, with a function
`sink(pipeline, settings, database)` that gives a `Sink`, or None where the pipeline has nothing
for it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from pyspark.sql import DataFrame

from spark_jobs.aggregates import BatchSummary


@dataclass(frozen=True)
class Batch:
    """What a micro-batch hands to each sink.

    Attributes:
        records: The classified rows that are stored, with all columns of the pipeline.
        summary: The batch's counts and its changes to the aggregates.
        query_id: The query whose batch it is; with the batch's number its name for ever.
    """

    records: DataFrame
    summary: BatchSummary
    query_id: str


class Sink(Protocol):
    """One store that receives what each micro-batch has for it."""

    @property
    def name(self) -> str:
        """The name by which `SINKS` lists it."""

    def check(self) -> None:
        """Prove that the store can be written to.

        Raises:
            SinkUnavailable: it cannot be reached within the time that the sink states.
            SinkRejected: it answers, but the tables are missing or differ.
        """

    def write_batch(self, batch: Batch, batch_id: int) -> None:
        """Write a batch so that writing it once more changes nothing.

        A batch comes again with the same rows, whenever it was not confirmed; the one after it
        comes only then.

        Raises:
            SinkError: the store did not confirm everything.
        """
