"""Spark's temporary folders under MILLRACE_HOME, one per process, removed when it ends.

Shuffle files contain rejected messages unmasked, so the folders of killed jobs are removed too.
Locks show which processes are alive; process ids would not, as containers that share a state folder
each count their own.
"""

from __future__ import annotations

import atexit
import shutil
import tempfile
from pathlib import Path
from typing import IO, Final

from runtime.files import exclusive, takes_lock
from settings import Settings

PREFIX: Final = "process-"
LOCK_NAME: Final = "in-use.lock"
# State folder -> this process's folder there, and the lock that it holds until it ends.
_own: dict[Path, tuple[Path, IO[str]]] = {}


def scratch(settings: Settings, name: str) -> Path:
    """A folder of this process under MILLRACE_HOME, removed when the process ends."""
    parent = settings.millrace_home / "spark"
    if parent not in _own or not _own[parent][0].exists():
        _own[parent] = _new_folder(parent)
        atexit.register(_leave, *_own[parent])
    folder = _own[parent][0] / name
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _new_folder(parent: Path) -> tuple[Path, IO[str]]:
    # One process at a time, so that a new folder is locked before others check it.
    with exclusive(parent / ".lock"):
        for other in parent.glob(f"{PREFIX}*"):
            if not _is_in_use(other):
                shutil.rmtree(other, ignore_errors=True)
        own = Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent))
        lock = (own / LOCK_NAME).open("a")
        takes_lock(lock)
    return own, lock


def _leave(folder: Path, lock: IO[str]) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    lock.close()


def _is_in_use(folder: Path) -> bool:
    try:
        with (folder / LOCK_NAME).open("a") as lock:
            return not takes_lock(lock)
    except OSError:  # another process is removing it
        return False
