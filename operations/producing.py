"""Starts producers and jobs as child processes that end with this one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from errors import MillraceError
from producers.processes import end_with_parent as end_with_parent
from runtime.wait import is_about_a_wait
from settings import PROJECT_ROOT, Settings
from spark_jobs.pipeline import Input, Pipeline
from spark_jobs.session.stopping import StopRequest

END_SECONDS = 60
POLL_SECONDS = 0.1
FAILURE_LINES = 10


def start_module(
    module: str,
    options: Sequence[str],
    log_path: Path,
    environment: Mapping[str, str] = MappingProxyType({}),
    mode: str = "a",
) -> subprocess.Popen[bytes]:
    """Start `python -m module` with its output in a log; it ends when this process does."""
    log_path.parent.mkdir(parents=True, exist_ok=True)
    with log_path.open(mode) as log:
        return subprocess.Popen(
            [sys.executable, "-m", module, *options],
            cwd=PROJECT_ROOT,
            env=os.environ | environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=end_with_parent,
        )


class Producer:
    """A running producer; it ends with its parent, however that ends."""

    def __init__(
        self,
        settings: Settings,
        pipeline: Pipeline,
        options: Sequence[str],
        file: str | None = None,
    ) -> None:
        """Start the pipeline's producer, or the one that sends a file, with its output in a log."""
        self.name = pipeline.family
        made_by = Input("producers.sent", (self.name, file)) if file else pipeline.input
        self.ends = made_by.ends
        # Bytes of the log that were looked at.
        self._read = 0
        self.log_path: Path = settings.millrace_home / "logs" / f"producer-{self.name}.log"
        words = [*made_by.arguments, f"--topic={pipeline.topic(settings)}", *options]
        # Ctrl-C goes to the terminal's whole process group; we end producers ourselves.
        self.process = start_module(made_by.module, words, self.log_path, mode="w")

    def pass_on_waits(self, say: Callable[[str], object]) -> None:
        """Say what the producer has said since the last call about waits for the broker."""
        with self.log_path.open("rb") as log:
            log.seek(self._read)
            new = log.read()
        # The last line may be written only in part.
        whole = new[: new.rfind(b"\n") + 1]
        self._read += len(whole)
        for line in whole.decode(errors="replace").splitlines():
            if is_about_a_wait(line):
                say(f"{self.name}: {line}")

    def wait(self, stop: StopRequest, say: Callable[[str], object]) -> list[str]:
        """Wait for the end or a stop request; returns the lines with source and counts.

        Raises:
            MillraceError: the producer failed; has its last lines.
        """
        while self.process.poll() is None and not stop:
            self.pass_on_waits(say)
            time.sleep(POLL_SECONDS)
        code = self.end()
        lines = self.log_path.read_text(errors="replace").splitlines()
        if code:
            last = "\n".join(lines[-FAILURE_LINES:])
            raise MillraceError(f"The {self.name} producer failed:\n{last}")
        facts = [line for line in lines if "source:" in line or " rows:" in line]
        return [f"{self.name}: {line}" for line in (*facts, *lines[-1:])]

    def end(self) -> int:
        """Ask the producer to flush and end, unless it has ended; returns its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(timeout=END_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()
