"""What became of the messages: confirmed, refused or unknown, and up to which all are confirmed."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Final

from confluent_kafka import KafkaError
from confluent_kafka import Message as KafkaMessage

from producers.messages import SendCounts

# Messages that share a callback, as one for each costs a sixth of a producer's speed.
BLOCK: Final = 100
# Answers of a broker that may have stored the message all the same.
IN_DOUBT: Final = frozenset(
    (KafkaError.REQUEST_TIMED_OUT, KafkaError.NOT_ENOUGH_REPLICAS_AFTER_APPEND)
)
# The broker's limit is that of a batch, and all its messages are refused.
TOO_LARGE: Final = frozenset((KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.RECORD_LIST_TOO_LARGE))


class Reports:
    """Receives the client library's delivery reports; counts every message once."""

    def __init__(
        self, counts: SendCounts, topic: str, block: int, confirmed: Callable[[int], None] | None
    ) -> None:
        """Prepare.

        Args:
            counts: The counts to keep.
            topic: The topic.
            block: Messages that share a callback: `next_number` is exact to so many.
            confirmed: Called with the number of each confirmed message; needs blocks of one.
        """
        self.counts = counts
        self.failure: KafkaError | None = None
        # Number and bytes of the first message that was refused as too large.
        self.too_large: tuple[int, int] | None = None
        self._topic, self._block, self._confirmed = topic, block, confirmed
        # First number and confirmed messages of each block that is not complete.
        self._open = deque[list[int]]()
        self._end_of_block = 0
        self._refused = 0
        self._statistics: str | None = None

    @property
    def next_number(self) -> int:
        """Number of the first message, or of the first block, that is yet to be confirmed."""
        if not self._open:
            return self.counts.sent + 1
        first, confirmed = self._open[0]
        filled = min(self._block, self.counts.sent - first + 1)
        return first + filled if confirmed == filled else first

    def of_next(self) -> Callable[[KafkaError | None, KafkaMessage], None]:
        """Count one more message as sent; returns the callback for its delivery report."""
        self.counts.sent += 1
        if self.counts.sent > self._end_of_block:
            block = [self.counts.sent, 0]
            self._end_of_block = self.counts.sent + self._block - 1
            self._open.append(block)
            self._callback = partial(self._on_delivery, block)
        return self._callback

    def refused(self, error: KafkaError | None, size: int = 0) -> None:
        """Note that the message just counted, of `size` bytes, is certainly not on the topic."""
        self.counts.failed += 1
        self._refused += 1
        self._fail(self._open[-1], error, size)

    def on_statistics(self, text: str) -> None:
        """Keep the client library's latest statistics."""
        self._statistics = text

    def settle(self, poll: Callable[[], object]) -> None:
        """Divide the messages without confirmation into failed and unknown ones.

        The queue must have been purged: what was transmitted and not confirmed then is in doubt.
        Messages that were transmitted again after an earlier outage count as in doubt too.

        Args:
            poll: Serves callbacks for a moment; called until new statistics have come.
        """
        counts = self.counts
        if counts.sent - counts.delivered == self._refused:
            return
        self._statistics = None
        for _ in range(50):
            poll()
            if self._statistics is not None:
                break
        left = counts.sent - counts.delivered
        counts.unknown = max(0, min(left, self._transmitted(left)) - self._refused)
        counts.failed = left - counts.unknown

    def _transmitted(self, at_most: int) -> int:
        """Messages that were transmitted and not confirmed; `at_most` where that is not known."""
        if self._statistics is None:
            return at_most
        topic = json.loads(self._statistics)["topics"].get(self._topic, {"partitions": {}})
        return sum(
            max(0, partition["txmsgs"] - partition["acked_msgid"])
            for partition in topic["partitions"].values()
        )

    def _on_delivery(
        self, block: list[int], error: KafkaError | None, message: KafkaMessage
    ) -> None:
        if error is not None:
            self.counts.failed += 1
            # The library's own codes are negative: they say nothing of what the broker has.
            self._refused += error.code() > 0 and error.code() not in IN_DOUBT
            self._fail(block, error, len(message.value() or b""))
            return
        self.counts.delivered += 1
        block[1] += 1
        if self._confirmed is not None:
            self._confirmed(block[0])
        while self._open and self._open[0][1] == self._block:
            self._open.popleft()

    def _fail(self, block: list[int], error: KafkaError | None, size: int) -> None:
        self.failure = self.failure or error
        if error is not None and error.code() in TOO_LARGE:
            self.too_large = self.too_large or (block[0], size)
