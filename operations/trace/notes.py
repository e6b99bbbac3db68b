"""What was searched and what was not; and the arrivals that are being looked at."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from pymongo.errors import PyMongoError

from errors import MillraceError
from operations.messages_at import Place
from operations.trace.batches import ReadBy
from settings import Settings
from spark_jobs.sinks.driver_errors import explained_mongodb

LEDGER = "the ledger in MongoDB"
Answer = TypeVar("Answer")


@dataclass
class Notes:
    """Where a record was looked for, and where it was not: place -> why."""

    settings: Settings
    searched: dict[str, None] = field(default_factory=dict)
    missed: dict[str, str] = field(default_factory=dict)

    def attempt(self, place: str, work: Callable[[], Answer]) -> Answer | None:
        """The answer of a service; None if it gives none, which is noted."""
        try:
            return work()
        except MillraceError as error:
            self.miss(place, str(error))
        except PyMongoError as error:
            self.miss(place, str(explained_mongodb(error, self.settings)))
        return None

    def search(self, place: str) -> None:
        """Note a place that was searched."""
        self.searched[place] = None
        self.missed.pop(place, None)

    def miss(self, place: str, why: str) -> None:
        """Note why a place was not searched, unless it was at another time."""
        if place not in self.searched:
            self.missed[place] = why.rstrip(".")


@dataclass
class Seen:
    """One arrival, while it is being found out about.

    Attributes:
        message: Its message on the topic, if the broker still has it.
        copy: The copy on the dead-letter topic, if the message is gone.
        letter: Its document of `dead_letters`.
    """

    topic: str
    place: Place
    message: Any = None
    copy: Any = None
    batches: list[ReadBy] = field(default_factory=list)
    letter: Mapping[str, Any] | None = None

    @property
    def source(self) -> str:
        """Where it is: `topic/partition/offset`."""
        return f"{self.topic}/{self.place[0]}/{self.place[1]}"

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why it was rejected."""
        return tuple(map(str, self.letter.get("reasons", ()))) if self.letter else ()

    @property
    def order(self) -> tuple[int, int, Place]:
        """By batch, and within one as the first arrival of an id is chosen."""
        batch = min((each.entry.batch_id for each in self.batches), default=2**62)
        return batch, self.message.timestamp()[1] if self.message else 0, self.place
