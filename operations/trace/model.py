"""What is known of one record; values that may be personal are masked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from operations.overview.as_json import as_json

Outcome = Literal[
    "stored",
    "duplicate",
    "rejected",
    "filtered",
    "filtered or duplicate",
    "waiting",
    "not read",
    "unknown",
]


@dataclass(frozen=True)
class Limits:
    """How much a trace may read: `messages` of each topic, and `seconds` for the search of one."""

    messages: int = 100_000
    seconds: float = 30.0


@dataclass(frozen=True)
class BatchOf:
    """The micro-batch that read a message, as its ledger says; `sinks` have confirmed it."""

    ledger: str
    batch_id: int
    confirmed_at: datetime | str
    sinks: tuple[str, ...]


@dataclass(frozen=True)
class Letter:
    """A dead letter.

    Attributes:
        state: `waiting`, `redriven` or `parked`; None if it is not known.
        redriven_to: Where the message is that was sent back, if it was found.
    """

    topic: str
    reasons: tuple[str, ...]
    state: str | None = None
    redriven_to: str | None = None


@dataclass(frozen=True)
class Arrival:
    """One message with the record's id, and what became of it.

    Attributes:
        source: Where it is: `topic/partition/offset`.
        timestamp: Kafka's time; its number as text if outside 1970-9999; None if not known.
        why: The outcome in words.
        value: The message's value, masked; None if `absent` says why it cannot be shown.
        redrives: How often it was sent back before.
        redriven_from: Whose dead letter it was sent back from.
    """

    source: str
    timestamp: datetime | str | None
    outcome: Outcome
    why: str
    reasons: tuple[str, ...] = ()
    value: str | None = None
    absent: str | None = None
    batches: tuple[BatchOf, ...] = ()
    letter: Letter | None = None
    redrives: int = 0
    redriven_from: str | None = None


@dataclass(frozen=True)
class StoredRow:
    """A row, or forwarded message, with the record; `source` is the arrival that it came from."""

    store: str
    place: str
    values: Mapping[str, Any]
    source: str | None = None


@dataclass(frozen=True)
class RecordTrace:
    """A record in one pipeline.

    Attributes:
        id: Its id, masked if the contract says so; None if it is not known.
        searched: Where it was looked for, each as a sentence.
        not_searched: Where it was not, each with the reason.
    """

    pipeline: str
    topic: str
    id: str | None
    arrivals: tuple[Arrival, ...] = ()
    rows: tuple[StoredRow, ...] = ()
    searched: tuple[str, ...] = ()
    not_searched: tuple[str, ...] = ()

    @property
    def is_found(self) -> bool:
        """Whether there is any trace of it."""
        return bool(self.arrivals or self.rows)


@dataclass(frozen=True)
class Trace:
    """The answer to one question; pipelines that cannot have such an id are left out."""

    asked: str
    taken_at: datetime
    records: tuple[RecordTrace, ...]
    troubles: tuple[str, ...] = ()

    @property
    def is_found(self) -> bool:
        """Whether any pipeline knows it."""
        return any(record.is_found for record in self.records)

    def as_json(self) -> dict[str, Any]:
        """All of it in JSON's types; times end in `Z`."""
        found: dict[str, Any] = as_json(self)
        return found | {"found": self.is_found}
