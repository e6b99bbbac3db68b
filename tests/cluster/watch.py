"""Looks each second whether a job goes on, and whether it says so where it does not."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

EVERY_SECONDS = 1.0
# A shorter pause is none: a batch takes seconds.
WAIT_SECONDS = 8


@dataclass(frozen=True)
class Sample:
    """Confirmed messages, and lines about waits that were said, at a moment."""

    moment: float
    read: int
    said: int


def longest_pause(samples: Sequence[Sample]) -> float:
    """The longest time without another confirmed message."""
    return _longest(samples, lambda sample: sample.read)


def longest_silence(samples: Sequence[Sample]) -> float:
    """The longest time with neither another confirmed message nor a line about a wait."""
    return _longest(samples, lambda sample: (sample.read, sample.said))


def _longest(samples: Sequence[Sample], seen: Callable[[Sample], object]) -> float:
    longest, since = 0.0, samples[0]
    for sample in samples:
        if seen(sample) != seen(since):
            since = sample
        longest = max(longest, sample.moment - since.moment)
    return longest


def new_lines(before: Sequence[str], now: Sequence[str]) -> list[str]:
    """Lines that were not there before, of several processes one after the other."""
    known = Counter(before)
    found = []
    for line in now:
        known[line] -= 1
        if known[line] < 0:
            found.append(line)
    return found


@dataclass
class Watch:
    """Samples while the block runs; `lines` are all that was said of waits."""

    read: Callable[[], int]
    lines: Callable[[], list[str]]
    samples: list[Sample] = field(default_factory=list)
    new: list[str] = field(default_factory=list)

    def __enter__(self) -> Self:
        self._before = self.lines()
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._done.set()
        self._thread.join()
        self.new = new_lines(self._before, self.lines())

    def _look(self) -> None:
        while True:
            self.samples.append(Sample(time.monotonic(), self.read(), len(self.lines())))
            if self._done.wait(EVERY_SECONDS):
                return

    def summary(self) -> str:
        """Whether the job went on or waited, in words."""
        pause = longest_pause(self.samples)
        if pause < WAIT_SECONDS or not self.new:
            return f"the job goes on, longest pause {pause:.0f} s"
        return f"the job waits for {pause:.0f} s and says `{self.new[0][:90]} …`"
