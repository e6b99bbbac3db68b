"""Kills processes and everything that they started."""

from __future__ import annotations

from contextlib import suppress

import psutil


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
