"""Ctrl-C where no micro-batch is in work: one closing line, then the end, wherever the code stands.

Little is imported, as it is wanted before the other imports, which take a second.
"""

from __future__ import annotations

import atexit
import os
import signal
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType
    from typing import NoReturn

CLEAN_UP_SECONDS = 3.0
_asked: list[int] = []


def end_on_interrupt(
    closing: str,
    numbers: tuple[signal.Signals, ...] = (signal.SIGINT,),
    seconds: float = CLEAN_UP_SECONDS,
) -> None:
    """Let these signals end the process with a closing line and exit code 130 (128 + number).

    What the code does on its way out, it does silently and within `seconds`; a second signal ends
    that too.
    """

    def handle(number: int, frame: FrameType | None) -> NoReturn:
        _asked.append(number)
        for each in numbers:
            signal.signal(each, lambda number, frame: _end(number))
        if sys.stderr.isatty():
            closing_line = f"\n{closing}\n"  # the terminal has shown ^C
        else:
            closing_line = f"{closing}\n"
        _flush()
        os.write(2, closing_line.encode())
        # Neither tracebacks of calls that were cut short nor other threads have anything to add.
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
    # `make` starts Python with Ctrl-C held back until it is answered here and by no traceback.
    signal.pthread_sigmask(signal.SIG_UNBLOCK, numbers)


@atexit.register
def _finish() -> None:
    """End with the signal's exit code, whatever became of the exception on its way out."""
    # Registered before all others, so called after them.
    if _asked:
        _end(_asked[0])


def _flush() -> None:
    try:
        sys.stdout.flush()
    except (OSError, ValueError, RuntimeError):  # closed, or in the middle of a write
        pass


def _end(number: int) -> NoReturn:
    # Loaded only where there may be a JVM.
    if stopping := sys.modules.get("spark_jobs.session.stopping"):
        stopping.kill_jvm()
    os._exit(128 + number)
