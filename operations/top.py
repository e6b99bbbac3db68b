"""`make top`, and the board that `make stream` shows: a look every second, drawn four times."""

from __future__ import annotations

import json
import select
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final, Self, TextIO

from rich.console import Console, RenderableType
from rich.live import Live

from operations.activity import (
    PLAIN_EVERY_SECONDS,
    Activities,
    Activity,
    every,
    screen_of,
    write_lines,
)
from operations.board import Board, board_lines
from operations.overview.as_json import as_json
from operations.overview.collect import Observer, collect
from operations.overview.model import Overview
from runtime.interrupts import LEAVE_SCREEN, restoring
from settings import Settings

LOOK_EVERY_SECONDS: Final = 1.0
# Lines of a log that say nothing new are written now and then only.
AT_LEAST_EVERY_SECONDS: Final = 30.0
LINES_KEPT: Final = 500
# A batch's time at work and the clock are no news.
DRAWN_PER_SECOND: Final = 4


def top(settings: Settings, *, in_json: bool) -> int:
    """Show the board until Ctrl-C; as JSON once; without a terminal as lines."""
    if in_json:
        sys.stdout.write(json.dumps(as_json(collect(settings)), indent=2) + "\n")
        return 0
    with Looks(settings) as looks:
        console = screen_of(sys.stdout)
        if console is None:
            lines = LogLines(looks, _print)
            while True:
                lines.write()
                _pause(PLAIN_EVERY_SECONDS if looks.seen else LOOK_EVERY_SECONDS, sys.stdout)
        with on_screen(console, lambda: Board(looks.seen)):
            threading.Event().wait()
    return 0


class Looks:
    """Looks at the platform in a thread of its own, so that no drawing waits for a service.

    Attributes:
        seen: What was seen last; None before the first look.
    """

    def __init__(self, settings: Settings) -> None:
        """Prepare; nothing is asked before the block."""
        self._observer = Observer(settings)
        self._done = threading.Event()
        self.seen: Overview | None = None

    def __enter__(self) -> Self:
        """Begin to look."""
        threading.Thread(target=self._look, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        """Look no more; a look that hangs is left alone."""
        self._done.set()

    def _look(self) -> None:
        with self._observer:
            while not self._done.is_set():
                try:
                    self.seen = self._observer.look()
                except Exception as error:
                    # Drivers quote values in their messages; the class says enough.
                    trouble = f"a look failed ({type(error).__name__}); the next one is made soon"
                    before = self.seen or Overview(datetime.now(UTC), (), ())
                    self.seen = replace(before, troubles=(trouble,))
                self._done.wait(LOOK_EVERY_SECONDS)


class LogLines:
    """Writes the board as lines: those that say something new."""

    def __init__(self, looks: Looks, say: Callable[[str], None]) -> None:
        """Write nothing yet."""
        self._looks, self._say = looks, say
        self._last: list[str] = []
        self._at = float("-inf")

    def write(self) -> None:
        """Write what is new since the last lines; everything if those are long ago."""
        if (seen := self._looks.seen) is None:
            return
        lines, age = board_lines(seen), time.monotonic() - self._at
        new = lines if age >= AT_LEAST_EVERY_SECONDS else [x for x in lines if x not in self._last]
        for line in new:
            self._say(line)
        if new:
            self._last, self._at = lines, time.monotonic()


@contextmanager
def on_screen(console: Console, render: Callable[[], RenderableType]) -> Iterator[None]:
    """Draw something on a screen of its own within the block, whatever size the terminal gets."""
    live = Live(
        get_renderable=render,
        console=console,
        screen=True,
        refresh_per_second=DRAWN_PER_SECOND,
        redirect_stdout=False,
        redirect_stderr=False,
    )
    with restoring(LEAVE_SCREEN), live:
        yield


class StreamBoard(Activities):
    """What `make stream` shows: its own lines and activities, and from the first look the board.

    Attributes:
        starting: Whether services may still be down because they are about to be started.
        stopping: Says whether the jobs were asked to end.
    """

    def __init__(self, settings: Settings) -> None:
        """Show nothing yet."""
        super().__init__()
        self.starting = True
        self.stopping: Callable[[], object] = bool
        self._end: Activity | None = None
        self._looks = Looks(settings)
        self._said: deque[str] = deque(maxlen=LINES_KEPT)
        self._is_on_screen = False

    def say(self, text: str) -> None:
        """Show a line among the last ones; they are printed when the board is gone."""
        if self._is_on_screen:
            self._said.append(text)
        else:
            super().say(text)

    @contextmanager
    def shown(self) -> Iterator[Self]:
        """Show it within the block, on a terminal as a board, elsewhere as lines."""
        with self._looks:
            if console := screen_of(sys.stdout):
                try:
                    with on_screen(console, self._board):
                        self._is_on_screen = True
                        yield self
                finally:
                    self._is_on_screen = False
                    for text in self._said:
                        super().say(text)
                return
            lines = LogLines(self._looks, self.say)
            with every(PLAIN_EVERY_SECONDS, lambda: self._write(lines)):
                yield self

    def _board(self) -> Board:
        if self._end is None and self.stopping():
            self._end = self.begin("Ctrl-C: the batches in work are finished")
        return Board(self._looks.seen, self, [*self._said], starting=self.starting)

    def _write(self, lines: LogLines) -> None:
        if self.starting:
            write_lines(self)
        else:
            lines.write()


def _pause(seconds: float, output: TextIO) -> None:
    """Wait before the next lines.

    Raises:
        BrokenPipeError: no one reads them any more, as after `| head`. The next line, which would
            show it, may be half a minute away.
    """
    poll = select.poll()
    # No event is asked for: the end of a pipe is reported in any case.
    poll.register(output, 0)
    if poll.poll(seconds * 1000):
        raise BrokenPipeError


def _print(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
