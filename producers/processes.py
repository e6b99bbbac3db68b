"""One producer as several processes: each sends its share, all counts come in one last line.

A generator in Python fills one core; a broker takes more.
"""

from __future__ import annotations

import ctypes
import re
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Final

from producers.command import say
from producers.messages import Counts
from producers.pacing import StopRequest
from settings import PROJECT_ROOT

PR_SET_PDEATHSIG: Final = 1
POLL_SECONDS: Final = 0.1
COUNTS: Final = re.compile(r"\Asent=(\d+) delivered=(\d+) failed=(\d+)\Z")
# Seeds of the processes: apart, and of the first the one that was asked for.
SEED_STEP: Final = 1_000_003


def shares(count: int, processes: int) -> list[int]:
    """Parts of a count that differ by one at most and add up to it."""
    return [count // processes + (number < count % processes) for number in range(processes)]


def send_by_processes(
    module: str, words: Sequence[str], *, count: int, rate: float, seed: int, processes: int
) -> int:
    """Run the producer's own command several times side by side; gives the exit code.

    Args:
        module: The producer, such as `producers.tickets`.
        words: Its options, but for count, rate and seed.
        count: Messages of all together; 0 = without end.
        rate: Messages per second of all together; 0 = unlimited.
        seed: Of the first; the others have seeds that follow from it.
        processes: How many; no more than messages.
    """
    stop = StopRequest()
    stop.on_signals()
    parts = [part for part in shares(count, processes) if part] or [0] * processes
    children = [
        subprocess.Popen(
            [
                *(sys.executable, "-m", module, *words, "--count", str(part)),
                *("--rate", f"{rate / len(parts):g}", "--seed", str(seed + number * SEED_STEP)),
            ],
            cwd=PROJECT_ROOT,
            stdout=subprocess.PIPE,
            text=True,
            # Ctrl-C reaches the terminal's whole group; each process is told once, from here.
            start_new_session=True,
            preexec_fn=end_with_parent,
        )
        for number, part in enumerate(parts)
    ]
    told = 0
    while running := [child for child in children if child.poll() is None]:
        if stop.times > told:
            told = stop.times
            for child in running:
                child.send_signal(signal.SIGTERM)
        time.sleep(POLL_SECONDS)
    total, code = Counts(), 0
    for child in children:
        counts = _last_counts(child)
        total.sent += counts.sent
        total.delivered += counts.delivered
        total.failed += counts.failed
        # A process that was asked to end before it began ends by the signal, and has sent nothing.
        if not (told and child.returncode == -signal.SIGTERM):
            code = code or abs(child.returncode)
    say(str(total))
    return code or int(not total.complete) or stop.exit_code


def _last_counts(child: subprocess.Popen[str]) -> Counts:
    """What a process said of its messages; nothing where it died before."""
    lines = child.stdout.read().splitlines() if child.stdout else []
    found = COUNTS.match(lines[-1]) if lines else None
    return Counts(*map(int, found.groups())) if found else Counts()


def end_with_parent() -> None:
    """To be called in a child: SIGTERM when the parent is gone (Linux, prctl(2))."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
