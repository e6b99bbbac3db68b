"""One pipeline's account: what `make verify` finds."""

from __future__ import annotations

from dataclasses import dataclass, field

from spark_jobs.state.ledger import Counts


@dataclass(frozen=True)
class StoreCount:
    """How many rows or documents a store has, and how many the ledger says there must be.

    `at_most` exceeds `sum_expected` if an unfinished batch may have added something.
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
        """Whether the store agrees with the ledger."""
        return self.sum_expected <= self.sum_found <= max(self.sum_expected, self.at_most)


@dataclass(frozen=True)
class Account:
    """One pipeline's account; notes are worth knowing but are not faults."""

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
    def verdict(self) -> str:
        """`DIFFERS` if its own numbers do; else `see below` if something is amiss, or `ok`."""
        counts = self.counts
        outcomes = counts.stored + counts.dead_lettered + counts.filtered + counts.duplicates
        if counts.read != outcomes:
            return "DIFFERS"
        return "ok" if self.balanced else "see below"

    @property
    def waiting(self) -> int:
        """Messages on the topic that no confirmed batch has read yet."""
        return max(self.on_topic - self.counts.read, 0)
