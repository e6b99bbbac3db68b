"""The end of processes and of all that they started."""

from __future__ import annotations

from contextlib import suppress

import psutil


def kill_family(process: psutil.Process) -> list[psutil.Process]:
    """`kill -9` of a process and of all that it started, and those processes."""
    family, members = [], [process]
    # Each stands still before its children are listed: it starts no other one meanwhile.
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
