"""A wait for a server: says what for, since when and until when, and when it is over."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

# A user learns of a wait within ten seconds, and no brief delay is called one.
SAY_AFTER_SECONDS: Final = 5.0
SAY_EVERY_SECONDS: Final = 15.0


# How lines about waits begin or go on, so that whoever reads a log can pass them on.
BEGINS: Final = "waiting for "
ENDS: Final = " answers again after "


def is_about_a_wait(line: str) -> bool:
    """Whether a line of a log says that a wait begins, lasts or ends."""
    return line.startswith(BEGINS) or ENDS in line


class Wait:
    """Time without an answer from one server, from the last one on."""

    def __init__(
        self,
        what: str,
        seconds: float,
        setting: str,
        say: Callable[[str], None],
        *,
        goes_on: str,
        usual: float = 0.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Count from now.

        Args:
            what: The server, as `Kafka at …`.
            seconds: How long to wait for it.
            setting: The name of the setting that says so.
            say: Receives a line at the beginning, every 15 s, and at the end.
            goes_on: What happens when it answers again, as `sending goes on`.
            usual: Seconds that may pass between two answers without a wait.
            clock: Seconds that only increase.
        """
        self._what, self._say, self._goes_on, self._clock = what, say, goes_on, clock
        self._usual, self._since = usual, clock()
        self._said_at: float | None = None
        self.limit(seconds, setting)

    @property
    def said(self) -> bool:
        """Whether the user knows of the wait."""
        return self._said_at is not None

    @property
    def since(self) -> float:
        """When it began, by the clock."""
        return self._since

    @property
    def silence(self) -> float:
        """Seconds since the last answer."""
        return self._clock() - self._since

    @property
    def expired(self) -> bool:
        """Whether it has lasted too long."""
        return self._clock() > self._until

    def limit(self, seconds: float, setting: str) -> None:
        """Wait for so long from the beginning of the wait."""
        self._seconds, self._setting = seconds, setting
        self._until = self._since + seconds
        # A short wait is reported too.
        self._say_after = max(self._usual, min(SAY_AFTER_SECONDS, seconds / 2))

    def limit_from_now(self, seconds: float, setting: str) -> None:
        """Wait for so long from now, and say so if a wait was reported before."""
        self.limit(seconds, setting)
        self._until = self._clock() + seconds
        self._said_at = None if self._said_at is None else self._clock() - SAY_EVERY_SECONDS

    def answered(self) -> None:
        """Note an answer; a wait that was reported is said to be over."""
        now = self._clock()
        if self._said_at is not None:
            self._said_at = None
            seconds = f"{now - self._since:.0f} s"
            self._say(f"{self._what}{ENDS}{seconds}: {self._goes_on}")
        self._since, self._until = now, now + self._seconds

    def unanswered(self, why: str) -> None:
        """Note that there is still no answer; says so if it is time to."""
        now = self._clock()
        if now - self._since < self._say_after:
            return
        if self._said_at is not None and now - self._said_at < SAY_EVERY_SECONDS:
            return
        self._said_at = now
        self._say(f"{BEGINS}{self._what} {self.span()}: {why}")

    def span(self) -> str:
        """Since when and until when, with the setting that decides."""
        since, until = (_at(moment, self._clock()) for moment in (self._since, self._until))
        return f"since {since}, until {until} ({self._setting}={self._seconds:g})"


def span_of(since: float, seconds: float, setting: str) -> str:
    """Since when and until when something waits, `since` by the monotonic clock."""
    now = time.monotonic()
    return f"since {_at(since, now)}, until {_at(since + seconds, now)} ({setting}={seconds:g})"


def _at(moment: float, now: float) -> str:
    return f"{datetime.now().astimezone() + timedelta(seconds=moment - now):%H:%M:%S}"
