"""Runs one producer as several processes: each sends its share, and one last line has all counts.

A generator in Python uses one core fully, while a broker can take more.
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
from producers.messages import SendCounts
from producers.pacing import ProducerStop
from settings import PROJECT_ROOT

PR_SET_PDEATHSIG: Final = 1
POLL_SECONDS: Final = 0.1
COUNTS: Final = re.compile(r"sent=(\d+) delivered=(\d+) failed=(\d+)(?: unknown=(\d+))?")
# Distance between the processes' seeds; the first has the requested one.
SEED_STEP: Final = 1_000_003


def shares(count: int, processes: int) -> list[int]:
    """Parts of a count that differ by at most one and add up to it."""
    return [count // processes + (number < count % processes) for number in range(processes)]


def send_by_processes(
    module: str, words: Sequence[str], *, count: int, rate: float, seed: int, processes: int
) -> int:
    """Run the producer's own command several times in parallel; returns the exit code.

    Args:
        module: The producer, such as `producers.tickets`.
        words: Its options, except count, rate and seed.
        count: Total number of messages; 0 = endless.
        rate: Total messages per second; 0 = unlimited.
        seed: Seed of the first process; the others' seeds follow from it.
        processes: Number of processes; never more than messages.
    """
    stop = ProducerStop()
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
            # Ctrl-C reaches the terminal's whole group; this process passes it on once to each.
            start_new_session=True,
            preexec_fn=end_with_parent,
        )
        for number, part in enumerate(parts)
    ]
    forwarded = 0
    while running := [child for child in children if child.poll() is None]:
        if stop.times > forwarded:
            forwarded = stop.times
            for child in running:
                child.send_signal(signal.SIGTERM)
        time.sleep(POLL_SECONDS)
    total, code = SendCounts(), 0
    for child in children:
        counts = last_counts(child.stdout.read() if child.stdout else "") or SendCounts()
        total.sent += counts.sent
        total.delivered += counts.delivered
        total.failed += counts.failed
        total.unknown += counts.unknown
        # A process that is stopped before it begins ends by the signal and has sent nothing.
        if not (forwarded and child.returncode == -signal.SIGTERM):
            code = code or abs(child.returncode)
    say(str(total))
    return code or int(not total.complete) or stop.exit_code


def last_counts(output: str) -> SendCounts | None:
    """The counts in a producer's last line; None if it died before printing it."""
    found = COUNTS.fullmatch(output.rstrip("\n").rpartition("\n")[2])
    return SendCounts(*(int(each or 0) for each in found.groups())) if found else None


def end_with_parent() -> None:
    """Call it in a child: sends SIGTERM when the parent is gone (Linux, prctl(2))."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
