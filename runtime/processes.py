"""Processes that others started: finds and kills them."""

from __future__ import annotations

from contextlib import suppress
from typing import Final

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


def executors_of(driver: psutil.Process) -> list[psutil.Process]:
    """Executors of Spark that a driver has started (`local-cluster`), none if it has ended."""
    found = []
    with suppress(psutil.Error):
        for child in driver.children(recursive=True):
            with suppress(psutil.Error):
                found += [child] if EXECUTOR in child.cmdline() else []
    return found
