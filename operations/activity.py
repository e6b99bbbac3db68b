"""What a command does at this moment, for people who wait: no command is silent for long.

On a terminal the lines renew themselves at its bottom; elsewhere a line is written now and then,
for logs and pipes. Both go to standard error, so that results on standard output stay as they are.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final, TextIO

from rich.console import Console, ConsoleOptions, RenderResult
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from runtime.interrupts import SHOW_CURSOR, restoring
from runtime.output import in_one_line, plain

# A pause that no one notices needs no line.
SHOW_AFTER_SECONDS: Final = 0.3
PLAIN_EVERY_SECONDS: Final = 5.0
BAR_WIDTH: Final = 16


@dataclass
class Activity:
    """One thing that is being done; whoever does it may change text and numbers.

    Attributes:
        text: What it is, without a value of a record.
        done: How many of `total`, if that is known.
        since: When it began, by the monotonic clock.
    """

    text: str
    done: int = 0
    total: int = 0
    since: float = field(default_factory=time.monotonic)

    def now(self, text: str) -> None:
        """Change to the next thing, which begins now."""
        self.text, self.since = text, time.monotonic()

    @property
    def seconds(self) -> float:
        """How long it has lasted."""
        return time.monotonic() - self.since

    @property
    def number(self) -> str:
        """How much is done, as `400/1,000`; empty if that is unknown."""
        return f"{self.done:,}/{self.total:,}" if self.total else ""

    def __str__(self) -> str:
        """As one line, for logs."""
        return " ".join(filter(None, (self.text, self.number, f"({self.seconds:.0f} s)")))


class Activities:
    """Everything that a command does at this moment; threads may share it."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self._current: list[Activity] = []
        self._lock = threading.Lock()

    def current(self) -> list[Activity]:
        """What is being done, the oldest first."""
        with self._lock:
            return [*self._current]

    def begin(self, text: str) -> Activity:
        """Note that something is being done."""
        begun = Activity(text)
        with self._lock:
            self._current.append(begun)
        return begun

    def end(self, activity: Activity) -> None:
        """Note that it is done; harmless if it was before."""
        with self._lock:
            if activity in self._current:
                self._current.remove(activity)

    @contextmanager
    def doing(self, text: str) -> Iterator[Activity]:
        """Note that something is being done within the block."""
        activity = self.begin(text)
        try:
            yield activity
        finally:
            self.end(activity)

    def say(self, text: str) -> None:
        """Print a line of standard output that stays."""
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """A line for each activity."""
        lasting = [each for each in self.current() if each.seconds >= SHOW_AFTER_SECONDS]
        ends = [f"{each.number} {each.seconds:.0f} s".strip() for each in lasting]
        bar_width = BAR_WIDTH if any(each.total for each in lasting) else 0
        grid = Table.grid(padding=(0, 1))
        # Only the words may be cut.
        for width in (1, None, bar_width, max(map(len, ends), default=0)):
            grid.add_column(no_wrap=width is not None, min_width=width)
        for each, end in zip(lasting, ends, strict=True):
            bar = ProgressBar(each.total, each.done, width=BAR_WIDTH) if each.total else ""
            moving = Spinner("dots").render(time.monotonic())
            grid.add_row(moving, in_one_cell(each.text), bar, Text(end))
        if lasting:
            yield grid


def in_one_cell(text: str) -> Text:
    """A text that is cut where it does not fit, and never wrapped."""
    return Text(in_one_line(text), no_wrap=True, overflow="ellipsis")


class _OnTerminal(Activities):
    """Activities whose lasting lines go above those that renew themselves."""

    def __init__(self, console: Console) -> None:
        super().__init__()
        self.live = Live(
            self,
            console=console,
            transient=True,
            refresh_per_second=4,
            redirect_stdout=False,
            redirect_stderr=False,
        )

    def say(self, text: str) -> None:
        if sys.stdout.isatty():
            self.live.console.print(Text("\n".join(map(in_one_line, text.split("\n")))))
        else:
            super().say(text)


def screen_of(stream: TextIO) -> Console | None:
    """A console whose lines can renew themselves; None for files and simple terminals."""
    console = Console(file=plain(stream), highlight=False)
    # rich takes some files for terminals (FORCE_COLOR), and draws nothing on TERM=dumb.
    can_redraw = console.is_terminal and not console.is_dumb_terminal and stream.isatty()
    return console if can_redraw else None


@contextmanager
def shown() -> Iterator[Activities]:
    """Show within the block what is being done."""
    console = screen_of(sys.stderr)
    if console is None:
        activities = Activities()
        with every(PLAIN_EVERY_SECONDS, lambda: write_lines(activities)):
            yield activities
        return
    on_terminal = _OnTerminal(console)
    with restoring(SHOW_CURSOR), on_terminal.live:
        yield on_terminal


@contextmanager
def showing(text: str) -> Iterator[Activity]:
    """Show that one thing is being done within the block."""
    with shown() as activities, activities.doing(text) as activity:
        yield activity


def write_lines(activities: Activities) -> None:
    """Write what is being done, for a log; also what began just now, as much may be brief."""
    for each in activities.current():
        sys.stderr.write(f"… {each}\n")
    sys.stderr.flush()


@contextmanager
def every(seconds: float, do: Callable[[], None]) -> Iterator[None]:
    """Do something in a thread again and again within the block."""
    done = threading.Event()

    def repeat() -> None:
        while not done.wait(seconds):
            do()

    thread = threading.Thread(target=repeat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
