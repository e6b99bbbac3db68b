"""Messages for a topic, and the counts of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Protocol


class Message(NamedTuple):
    """One message for a topic; without a key it goes to a random partition."""

    key: bytes | None
    value: bytes


@dataclass
class SendCounts:
    """Counts of messages; every producer prints them as its last line.

    Attributes:
        sent: Given to the client library.
        delivered: Confirmed by the broker.
        failed: Certainly not on the topic.
        unknown: Transmitted without an answer: they may be on the topic. Printed if there are any.
    """

    sent: int = 0
    delivered: int = 0
    failed: int = 0
    unknown: int = 0

    @property
    def complete(self) -> bool:
        """Whether every message that was sent has been confirmed."""
        return self.sent == self.delivered and not self.failed

    def __str__(self) -> str:
        unknown = f" unknown={self.unknown}" if self.unknown else ""
        return f"sent={self.sent} delivered={self.delivered} failed={self.failed}{unknown}"


class Progress(Protocol):
    """Receives the progress of a delivery now and then."""

    def update(self, counts: SendCounts) -> None:
        """Show the counts if it is time to."""
