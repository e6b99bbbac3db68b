"""Memory of everything that a test runs: proportional set sizes, as the kernel counts them."""

from __future__ import annotations

import re
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil

EVERY_SECONDS = 3.0
GIGABYTE = 1 << 30
# What a command line holds -> what it is; the first that fits.
KINDS = (
    ("CassandraDaemon", "Cassandra"),
    ("java.options", "Cassandra"),
    ("kafka.Kafka", "Kafka"),
    ("CoarseGrainedExecutorBackend", "executors"),
    ("org.apache.spark.deploy.master", "Spark's master and workers"),
    ("org.apache.spark.deploy.worker", "Spark's master and workers"),
    ("SparkSubmit", "drivers"),
    ("mongod", "MongoDB"),
    ("secantusd", "MongoDB"),
    ("postgres", "PostgreSQL"),
)
OTHERS = "Python"


def pss_of(smaps_rollup: str) -> int:
    """Bytes: memory shared with other processes counts in its share."""
    found = re.search(r"^Pss:\s+(\d+) kB$", smaps_rollup, re.MULTILINE)
    return int(found[1]) * 1024 if found else 0


def kind_of(command: str) -> str:
    return next((kind for text, kind in KINDS if text in command), OTHERS)


class MemorySampler:
    """Samples this process and all below it; keeps the largest sum and its parts."""

    def __init__(self, proc: Path = Path("/proc")) -> None:
        self._proc = proc
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.samples, self.most, self.parts = 0, 0, Counter[str]()

    def __enter__(self) -> Self:
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

    def take(self) -> None:
        parts = Counter[str]()
        for command, pid in self._processes():
            try:
                parts[kind_of(command)] += pss_of((self._proc / pid / "smaps_rollup").read_text())
            except OSError:
                continue  # it has ended
        self.samples += 1
        if parts.total() > self.most:
            self.most, self.parts = parts.total(), parts

    def summary(self) -> str:
        """The largest sum and its parts, the largest first."""
        parts = (f"{kind} {bytes_ / GIGABYTE:.1f}" for kind, bytes_ in self.parts.most_common())
        return f"{self.most / GIGABYTE:.1f} GB at most ({', '.join(parts)})"

    def _processes(self) -> Iterator[tuple[str, str]]:
        here = psutil.Process()
        for process in (here, *here.children(recursive=True)):
            try:
                yield " ".join(process.cmdline()), str(process.pid)
            except psutil.Error:
                continue

    def _run(self) -> None:
        while True:
            self.take()
            if self._done.wait(EVERY_SECONDS):
                return
