"""What goes to a topic, and the account of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Protocol


class Message(NamedTuple):
    """One message on its way to a topic; an absent key goes to a random partition."""

    key: bytes | None
    value: bytes


@dataclass
class Counts:
    """What became of the messages; printed as the last line of every producer."""

    sent: int = 0
    delivered: int = 0
    failed: int = 0

    @property
    def complete(self) -> bool:
        """Whether every message that was sent has been confirmed."""
        return self.sent == self.delivered and not self.failed

    def __str__(self) -> str:
        return f"sent={self.sent} delivered={self.delivered} failed={self.failed}"


class Progress(Protocol):
    """Is told now and then how far the delivery is."""

    def update(self, counts: Counts) -> None:
        """Show the counts, or not, as it sees fit."""
