"""Finds the jobs, producers and commands that use this state folder, and ends them cleanly."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil

from runtime.presence import open_locks
from settings import Settings

# For stopping Spark or flushing a producer, on top of STOP_TIMEOUT_SECONDS.
END_SECONDS: Final = 60.0
AT_ONCE_SECONDS: Final = 10.0


@dataclass(frozen=True)
class AtWork:
    """A process that uses the services, and what it runs."""

    process: psutil.Process
    does: tuple[str, ...]

    def __str__(self) -> str:
        """Its id, its command, and the jobs and producers in it."""
        holds = f": {', '.join(self.does)}" if self.does else ""
        return f"process {self.process.pid} ({_command(self.process)}){holds}"


def processes_at_work(settings: Settings) -> list[AtWork]:
    """Processes that would lose the services, without the children of other such processes."""
    does: dict[int, list[str]] = {}
    for name, pid in sorted(open_locks(settings.millrace_home).items()):
        kind, _, what = name.removesuffix(".lock").partition("-")
        if kind in {"job", "producer"}:
            does.setdefault(pid, []).append(f"{kind} {what.rpartition('.')[0] or what}")
        elif kind == "command":
            does.setdefault(pid, [])
    found = []
    for pid, parts in does.items():
        with suppress(psutil.NoSuchProcess):
            process = psutil.Process(pid)
            if not any(parent.pid in does for parent in process.parents()):
                found.append(AtWork(process, tuple(parts)))
    return found


def end_cleanly(found: Sequence[AtWork], settings: Settings) -> None:
    """Ask each to end, as Ctrl-C does; kill those that take too long, which is safe too."""
    waiting = [each.process for each in found]
    for seconds in (settings.stop_timeout_seconds + END_SECONDS, AT_ONCE_SECONDS):
        for process in waiting:
            with suppress(psutil.NoSuchProcess):
                process.terminate()
        _, waiting = psutil.wait_procs(waiting, timeout=seconds)
    for process in waiting:
        with suppress(psutil.NoSuchProcess):
            process.kill()


def _command(process: psutil.Process) -> str:
    """The command as users know it: `millrace stream`, `producers.sent`."""
    with suppress(psutil.Error):
        _, *words = process.cmdline()
        if words[:1] == ["-m"]:
            return words[1]
        if words and not words[0].startswith("-"):
            return " ".join([Path(words[0]).name, *words[1:2]])
    return "python"
