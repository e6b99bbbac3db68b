"""What a producer shows while it sends: a bar on terminals, a line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Final, Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as RichProgress

from producers.messages import SendCounts
from runtime.output import plain

PROGRESS_SECONDS: Final = 5.0


def warn(line: str) -> None:
    """Print one line to standard error at once; above the bar if there is one."""
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


class PlainProgress(AbstractContextManager["PlainProgress"]):
    """A line on standard error every few seconds, for logs and pipes."""

    def __init__(self, topic: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._topic = topic
        self._clock = clock
        self._at = clock()
        self._delivered = 0

    def update(self, counts: SendCounts) -> None:
        """Write a line if the last one is long enough ago."""
        elapsed = self._clock() - self._at
        if elapsed < PROGRESS_SECONDS:
            return
        speed = (counts.delivered - self._delivered) / elapsed
        sys.stderr.write(f"{self._topic}: {counts} ({speed:,.0f} per second)\n")
        sys.stderr.flush()
        self._at += elapsed
        self._delivered = counts.delivered

    def __exit__(self, *_: object) -> None:
        return None


class BarProgress(AbstractContextManager["BarProgress"]):
    """A progress bar, for terminals."""

    def __init__(self, topic: str, total: int, console: Console) -> None:
        self._bar = RichProgress(
            TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(),
            TextColumn("{task.fields[speed]}/s"), TimeElapsedColumn(), console=console,
        )  # fmt: skip
        self._task = self._bar.add_task(topic, total=total or None, speed="0")
        self._started = time.monotonic()

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def update(self, counts: SendCounts) -> None:
        """Move the bar."""
        elapsed = max(time.monotonic() - self._started, 1e-6)
        speed = f"{counts.delivered / elapsed:,.0f}"
        self._bar.update(self._task, completed=counts.delivered, speed=speed)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.stop()


def progress_of(topic: str, total: int) -> PlainProgress | BarProgress:
    """The kind of progress that standard error can show."""
    console = Console(file=plain(sys.stderr))
    return BarProgress(topic, total, console) if console.is_terminal else PlainProgress(topic)
