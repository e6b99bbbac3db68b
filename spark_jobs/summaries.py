"""Summarises a job's batches, in the way that is faster for each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from pyspark.sql import DataFrame

from spark_jobs.aggregates import Aggregate
from spark_jobs.changes import BatchSummary, roll_up
from spark_jobs.planned import FEW_MESSAGES, planned
from spark_jobs.transforms.summarise import Transform, combining, summarising

# With more, the driver's work outweighs what one pass over all dimensions saves.
MOST_COMBINATIONS: Final = 1000


@dataclass
class Summaries:
    """The summaries of a job's batches, which all have the same columns.

    Attributes:
        aggregates: What its pipeline counts.
        too_many: Batches of so many messages have had too many combinations of dimensions for
            `combine`; None: no batch has.
    """

    aggregates: Sequence[Aggregate]
    too_many: int | None = None
    _combine: Transform | None = None
    _summarise: Transform | None = None

    def of(self, classified: DataFrame, messages: int) -> BatchSummary:
        """The counts of a batch and its changes to documents.

        Args:
            classified: The batch, which may be read twice.
            messages: The most that it may have.
        """
        if self.too_many is None or messages < self.too_many:
            self._combine = self._combine or combining(classified.schema, self.aggregates)
            groups = planned(classified, self._combine, self._combine)
            if messages > FEW_MESSAGES:
                # One task for the groups, so that the limit takes one job.
                groups = groups.coalesce(1).limit(MOST_COMBINATIONS + 1)
            rows = groups.collect()
            if len(rows) <= MOST_COMBINATIONS:
                return roll_up((row.asDict() for row in rows), self.aggregates)
            self.too_many = messages
        self._summarise = self._summarise or summarising(classified.schema, self.aggregates)
        rows = planned(classified, self._summarise, self._summarise).collect()
        return roll_up((row.asDict() for row in rows), self.aggregates)
