"""Processes that others started: finds, recognises and kills them."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import psutil

EXECUTOR: Final = "org.apache.spark.executor.CoarseGrainedExecutorBackend"


def kill_family(process: psutil.Process) -> list[psutil.Process]:
    """`kill -9` a process and everything that it started; returns those processes."""
    family, members = [], [process]
    # Each is suspended before its children are listed, so that it cannot start more.
    while members:
        member = members.pop()
        with suppress(psutil.NoSuchProcess):
            member.suspend()
            members += member.children()
        family.append(member)
    for member in family:
        kill(member)
    return family


def kill(process: psutil.Process) -> None:
    """`kill -9`, unless the process has just ended."""
    with suppress(psutil.NoSuchProcess):
        process.kill()


def birth_of(process: psutil.Process) -> dict[str, Any]:
    """What tells a process from a later one with its number: `created`, and `tick` on Linux.

    `created` is a time that moves when the clock is set, as Linux counts ticks since its start.
    """
    birth: dict[str, Any] = {"created": process.create_time()}
    with suppress(OSError):
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        # After the name, which may hold anything: the 22nd field (man 5 proc_pid_stat).
        fields = Path(f"/proc/{process.pid}/stat").read_bytes().rpartition(b")")[2].split()
        birth["tick"] = f"{boot}/{int(fields[19])}"
    return birth


def is_born(process: psutil.Process, birth: Mapping[str, Any]) -> bool:
    """Whether a process is the one that `birth_of` has described.

    Raises:
        KeyError: it is no such description.
        psutil.NoSuchProcess: the process has ended.
    """
    now = birth_of(process)
    if "tick" in birth and "tick" in now:
        return bool(now["tick"] == birth["tick"])
    return bool(abs(now["created"] - birth["created"]) < 1)


def executors_of(driver: psutil.Process) -> list[psutil.Process]:
    """Executors of Spark that a driver has started (`local-cluster`), none if it has ended."""
    found = []
    with suppress(psutil.Error):
        for child in driver.children(recursive=True):
            with suppress(psutil.Error):
                found += [child] if EXECUTOR in child.cmdline() else []
    return found
