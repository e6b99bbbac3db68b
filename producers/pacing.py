"""When to send and when to stop: a steady rate, and a stop request that every wait respects."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from types import FrameType
from typing import Any, Final

# Longest single wait; signal handlers run between two waits.
SLICE_SECONDS: Final = 0.1
# Shortest single wait: the client library takes whole milliseconds and does not wait for less.
SHORTEST_WAIT_SECONDS: Final = 0.005
# A producer that fell behind (broker outage, slow source) does not make up for more than this, so
# that it sends no burst.
LARGEST_LAG_SECONDS: Final = 0.5
# Up to this rate a message is sent at once; above it, waiting for larger batches pays.
STEADY_RATE: Final = 5000.0
STEADY_LINGER_MS: Final = 5


def delivery_options(rate: float) -> dict[str, Any]:
    """Client library options for a rate: at low rates no message waits for others."""
    return {"linger.ms": STEADY_LINGER_MS} if 0 < rate <= STEADY_RATE else {}


class ProducerStop:
    """Counts stop requests: the first ends the sending, the second also the final flush.

    A plain counter instead of a `threading.Event`: `Event.set` in a signal handler can block on the
    lock that the interrupted `Event.wait` holds.
    """

    def __init__(self) -> None:
        self.times = 0
        # Called now and then while something waits, so that a delivery is looked after.
        self.while_waiting: Callable[[], object] = lambda: None
        self._by: int | None = None

    def __bool__(self) -> bool:
        return self.times > 0

    @property
    def exit_code(self) -> int:
        """130 after Ctrl-C, else 0."""
        return 128 + signal.SIGINT if self._by == signal.SIGINT else 0

    def request(self) -> None:
        """Request a stop."""
        self.times += 1

    def on_signals(self) -> None:
        """Let Ctrl-C (SIGINT) and SIGTERM request a stop, even if a shell had them ignored."""

        def handle(number: int, _frame: FrameType | None) -> None:
            self._by = number
            self.request()

        signal.signal(signal.SIGINT, handle)
        signal.signal(signal.SIGTERM, handle)

    def sleep(self, seconds: float) -> None:
        """Sleep, but no longer than until a stop request."""
        end = time.monotonic() + seconds
        while not self and (left := end - time.monotonic()) > 0:
            time.sleep(min(left, SLICE_SECONDS))
            self.while_waiting()


class Pacer:
    """Says how many messages are due: `rate` per second, evenly, without drift or bursts.

    The schedule counts from its start, not from the last message, so small delays do not add up.
    """

    def __init__(self, rate: float, clock: Callable[[], float] = time.monotonic) -> None:
        """Start the schedule now; the first message is due at once. Rate 0 is unlimited."""
        self._rate = rate
        self._clock = clock
        self._start = clock()
        self._sent = 0

    def due(self, at_most: int) -> int:
        """Number of messages to send now, up to `at_most`."""
        if not self._rate:
            return at_most
        now = self._clock()
        lag = now - (self._start + self._sent / self._rate)
        allowed_lag = max(LARGEST_LAG_SECONDS, 1 / self._rate)
        if lag > allowed_lag:
            self._start += lag - allowed_lag
        due = int((now - self._start) * self._rate + 1e-9) + 1 - self._sent
        return min(max(due, 0), at_most)

    def sent(self, count: int) -> None:
        """Note that `count` messages have been sent."""
        self._sent += count

    def wait_seconds(self) -> float:
        """Seconds until the next messages are due, at most one slice."""
        if not self._rate:
            return 0.0
        wait = self._start + self._sent / self._rate - self._clock()
        return min(max(wait, SHORTEST_WAIT_SECONDS), SLICE_SECONDS)
