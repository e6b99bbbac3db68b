"""Handles Ctrl-C while no micro-batch runs: one closing line, then the end, at any point.

It imports little, because it is needed before the other imports, which take a second.
"""

from __future__ import annotations

import atexit
import os
import signal
import sys
from contextlib import contextmanager

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType
    from typing import NoReturn

CLEAN_UP_SECONDS = 3.0
# What a terminal obeys (ECMA-48, xterm): lines that renew themselves hide the cursor, a board has a
# screen of its own.
CLEAR_LINE = b"\r\x1b[K"
SHOW_CURSOR = CLEAR_LINE + b"\x1b[?25h"
LEAVE_SCREEN = b"\x1b[?1049l" + SHOW_CURSOR
_asked: list[int] = []
_changes: list[bytes] = []


@contextmanager
def restoring(change: bytes) -> Iterator[None]:
    """Let an interrupt within the block give the terminal back as it was."""
    _changes.append(change)
    try:
        yield
    finally:
        if change in _changes:
            _changes.remove(change)


def restore_terminal() -> None:
    """Give the terminal back as it was before the blocks of `restoring` that are open."""
    while _changes:
        # At once and without a lock: this may be a signal's handler.
        os.write(2 if os.isatty(2) else 1, _changes.pop())


def end_on_interrupt(
    closing: str,
    numbers: tuple[signal.Signals, ...] = (signal.SIGINT,),
    seconds: float = CLEAN_UP_SECONDS,
) -> None:
    """Let these signals end the process with a closing line and exit code 130 (128 + number).

    Clean-up is silent and limited to `seconds`; a second signal ends it at once.
    """

    def handle(number: int, frame: FrameType | None) -> NoReturn:
        _asked.append(number)
        for each in numbers:
            signal.signal(each, lambda number, frame: _end(number))
        restore_terminal()
        if sys.stderr.isatty():
            closing_line = f"\n{closing}\n"  # the terminal has shown ^C
        else:
            closing_line = f"{closing}\n"
        _flush()
        os.write(2, closing_line.encode())
        # Silences tracebacks of interrupted calls, and other threads.
        silence = os.open(os.devnull, os.O_WRONLY)
        os.dup2(silence, 1)
        os.dup2(silence, 2)
        import threading

        timer = threading.Timer(seconds, _end, (number,))
        timer.daemon = True
        timer.start()
        raise SystemExit(128 + number)

    for number in numbers:
        signal.signal(number, handle)
    # `make` starts Python with Ctrl-C blocked until this handler can answer it without a traceback.
    signal.pthread_sigmask(signal.SIG_UNBLOCK, numbers)


@atexit.register
def _finish() -> None:
    """End with the signal's exit code, whatever happened to the exception."""
    # Registered before all others, so called after them.
    if _asked:
        _end(_asked[0])


def _flush() -> None:
    try:
        sys.stdout.flush()
    except (OSError, ValueError, RuntimeError):  # closed, or in the middle of a write
        pass


def _end(number: int) -> NoReturn:
    # Loaded only if there may be a JVM.
    if stopping := sys.modules.get("spark_jobs.session.stopping"):
        stopping.kill_jvm()
    os._exit(128 + number)
