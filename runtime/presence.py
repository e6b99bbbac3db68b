"""Who works on a state folder: processes that hold a file of its `run` folder open.

An open file needs no upkeep: the system closes it when the process ends, however it ends.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Final

from runtime.files import is_locked

DELETED: Final = " (deleted)"


@contextmanager
def seen_at_work(home: Path, what: str) -> Iterator[None]:
    """Let `make down` see, within the block, what this process does; no matter if that fails."""
    path = home / "run" / f"{what}.{os.getpid()}.lock"
    with ExitStack() as kept:
        with suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            kept.enter_context(path.open("w"))
            # The open file is what is looked for: its name need not stay.
            path.unlink()
        yield


def open_locks(home: Path) -> dict[str, int]:
    """Name of a lock of this state folder -> the process of this user that has it.

    Found by open files, so that a job is known though its state folder was deleted under it, and
    a look needs to touch no lock.
    """
    folder, found = f"{home}/run/", dict[str, int]()
    for process in Path("/proc").glob("[0-9]*"):
        # Others' processes cannot be looked at, and some end meanwhile.
        with suppress(OSError):
            for each in (process / "fd").iterdir():
                target = os.readlink(each)
                if target.startswith(folder):
                    name = target.removeprefix(folder).removesuffix(DELETED)
                    found.setdefault(name, int(process.name))
    return found


def held_locks(home: Path, *, by_others: bool) -> dict[str, int | None]:
    """`open_locks`; with `by_others`, None for locks that no process which is seen here has.

    Another container or machine with this folder has processes of its own. A look at them opens
    each lock for a moment.
    """
    found: dict[str, int | None] = {**open_locks(home)}
    for path in (home / "run").glob("*.lock") if by_others else ():
        with suppress(OSError):
            if path.name not in found and is_locked(path):
                found[path.name] = None
    return found
