"""A job and a producer as processes, and what they say."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from operations.producing import end_with_parent
from runtime.wait import is_about_a_wait
from settings import PROJECT_ROOT
from tests.support.processes import kill_with_children

STOP_SECONDS = 90
INVALID_RATIO, DUPLICATE_RATIO = 0.03, 0.02
# What a log puts in front of a line.
STAMP = re.compile(r"^\S+ \S+ (WARNING|INFO|ERROR) ")


class Process:
    """A Python program with its output in a file."""

    def __init__(self, path: Path, words: Sequence[str], environment: Mapping[str, str]) -> None:
        self.output_path = path
        with path.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, *words],
                cwd=PROJECT_ROOT,
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                preexec_fn=end_with_parent,
            )

    def output(self) -> str:
        return self.output_path.read_text(errors="replace")

    def waits(self) -> list[str]:
        """What it said of waits, in order."""
        return waits_in(self.output())

    def has_ended(self) -> bool:
        return self.process.poll() is not None

    def stop(self) -> int:
        """Ask it to end; gives its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(STOP_SECONDS)

    def kill(self) -> None:
        if self.process.poll() is None:
            kill_with_children(self.process)


class Job(Process):
    """A submitted job."""

    def __init__(self, folder: Path, words: Sequence[str], environment: Mapping[str, str]) -> None:
        number = len([*folder.glob("job-*.txt")]) + 1
        super().__init__(folder / f"job-{number}.txt", words, environment)


class TicketProducer(Process):
    """A producer of tickets without end."""

    def __init__(self, folder: Path, rate: int, seed: int, environment: Mapping[str, str]) -> None:
        self.seed = seed
        words = ["-m", "producers.tickets", "--count", "0", "--rate", str(rate)]
        words += ["--seed", str(seed), "--invalid-ratio", str(INVALID_RATIO)]
        words += ["--duplicate-ratio", str(DUPLICATE_RATIO)]
        super().__init__(folder / f"producer-{seed}.txt", words, environment)

    def stop_and_count(self) -> dict[str, int]:
        """Stop it; gives what it says of its messages: sent, delivered, failed."""
        assert self.stop() == 0, self.output()[-2000:]
        return counts_in(self.output())


def counts_in(output: str) -> dict[str, int]:
    """The numbers of a producer's last line."""
    last = output.rstrip().splitlines()[-1]
    return {name: int(number) for name, number in re.findall(r"(\w+)=(\d+)", last)}


def waits_in(output: str) -> list[str]:
    """Lines that say that a wait begins, lasts or ends, without their stamps."""
    lines = (STAMP.sub("", line) for line in output.splitlines())
    return [line for line in lines if is_about_a_wait(line) or _is_of_query(line)]


def _is_of_query(line: str) -> bool:
    return re.match(r"query=\w+ (waits |continues )", line) is not None
