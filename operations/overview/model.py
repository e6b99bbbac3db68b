"""What is seen of a platform at one moment. Holds no value of a record."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from spark_jobs.state.ledger import Counts


@dataclass(frozen=True)
class ServiceView:
    """A service; `condition` is `up`, `down` or why it does not answer."""

    name: str
    condition: str
    address: str | None
    version: str | None
    note: str | None = None


@dataclass(frozen=True)
class PartitionView:
    """A partition of a topic; offsets. `confirmed` is where the next batch starts."""

    topic: str
    partition: int
    first: int
    end: int
    confirmed: int

    @property
    def lag(self) -> int | None:
        """Messages that are not confirmed.

        None if the partition ends before what is confirmed: it is not the one that was read.
        """
        return self.end - self.confirmed if self.end >= self.confirmed else None


@dataclass(frozen=True)
class BatchView:
    """A confirmed micro-batch.

    Attributes:
        seconds: From its start to its entry in the ledger; None for entries that do not say it.
        sink_seconds: Of each sink, without its waiting for the others.
    """

    pipeline: str
    batch_id: int
    confirmed_at: datetime
    counts: Counts
    seconds: float | None = None
    sink_seconds: Mapping[str, float] = field(default_factory=dict)

    @property
    def rows_per_second(self) -> float | None:
        """Messages read per second of work."""
        return self.counts.read / self.seconds if self.seconds else None


@dataclass(frozen=True)
class PipelineView:
    """A pipeline, or a part of one that keeps its own ledger (`NAME-files`).

    Attributes:
        family: The pipeline it belongs to; its own name for most.
        job: `running`, `not running`.
        counts: Sums over all confirmed batches.
        history: The last batches, the newest first; at most as many as were asked for.
        dead_letters: Reason -> messages rejected for it; one with two reasons counts under both.
        partitions: Of the topic it reads.
        rate: Messages read per second, over the batches confirmed in the last half minute.
        is_known: Whether the ledger was read; if not, sums and history are empty.
    """

    name: str
    family: str
    topic: str
    job: Literal["running", "not running"]
    counts: Counts
    history: tuple[BatchView, ...] = ()
    dead_letters: Mapping[str, int] = field(default_factory=dict)
    partitions: tuple[PartitionView, ...] = ()
    job_pid: int | None = None
    rate: float = 0.0
    is_known: bool = True

    @property
    def unknown(self) -> frozenset[str]:
        """Names of what is not known, though it has a value: for programs it is null."""
        of_ledger = () if self.is_known else ("counts", "dead_letters", "rate")
        is_lag_known = self.partitions and all(p.lag is not None for p in self.partitions)
        of_broker = () if is_lag_known else ("lag",)
        return frozenset((*of_ledger, *of_broker))

    @property
    def lag(self) -> int:
        """Messages that are not confirmed, of the partitions where that is known."""
        return sum(each.lag or 0 for each in self.partitions)

    @property
    def last_batch(self) -> BatchView | None:
        """The newest batch."""
        return self.history[0] if self.history else None


@dataclass(frozen=True)
class ProofView:
    """The last `make verify`, kept as it ended."""

    ended_at: datetime
    verified: bool
    faults: tuple[str, ...] = ()


@dataclass(frozen=True)
class Overview:
    """Everything at one moment.

    Attributes:
        troubles: What could not be read, each as a sentence for people; the rest is complete.
    """

    taken_at: datetime
    services: tuple[ServiceView, ...]
    pipelines: tuple[PipelineView, ...]
    proof: ProofView | None = None
    troubles: tuple[str, ...] = ()

    @property
    def ahead(self) -> tuple[PipelineView, ...]:
        """One view of each pipeline: its parts read the same messages, so the furthest counts."""
        by_read = sorted(self.pipelines, key=lambda view: view.counts.read)
        return tuple({view.family: view for view in by_read}.values())
