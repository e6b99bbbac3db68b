"""One pipeline's balance: what `make verify` finds, in numbers and in words."""

from __future__ import annotations

from dataclasses import dataclass, field

from spark_jobs.state.ledger import Counts


@dataclass(frozen=True)
class StoreCount:
    """How many rows or documents a store has, and which number the ledger calls for.

    `at_most` is above `sum_expected` where an unfinished batch may have added something.
    """

    store: str
    place: str
    unit: str
    found: int
    sum_found: int
    sum_expected: int
    sums_what: str
    at_most: int = 0

    @property
    def agrees(self) -> bool:
        """Whether the store holds what the ledger says."""
        return self.sum_expected <= self.sum_found <= max(self.sum_expected, self.at_most)


@dataclass(frozen=True)
class Account:
    """One pipeline's balance; notes are what a user should know and what is no fault."""

    pipeline: str
    topic: str
    on_topic: int
    counts: Counts
    stores: list[StoreCount]
    faults: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    is_running: bool = False

    @property
    def balanced(self) -> bool:
        """Whether every number agrees and everything is read, or a job is reading it."""
        return not self.faults and (self.is_running or not self.waiting)

    @property
    def waiting(self) -> int:
        """Messages on the topic that no confirmed batch has read yet."""
        return max(self.on_topic - self.counts.read, 0)
