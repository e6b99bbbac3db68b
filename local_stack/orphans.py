"""Finds servers of this state folder that still run after their record or data was deleted.

Each server has `MILLRACE_SERVICE` in its environment: the user who started it and its data folder.
So servers of another checkout, state folder or user are never mistaken for this one's.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import psutil

MARK: Final = "MILLRACE_SERVICE"


def mark(data_path: Path) -> dict[str, str]:
    """The environment variable that identifies a server on this data folder."""
    return {MARK: f"{os.getuid()}:{data_path}"}


def servers_on(folder: Path) -> dict[Path, psutil.Process]:
    """Data folder -> the running server that this user started on it, for all below `folder`."""
    beginning = f"{os.getuid()}:{folder}/"
    found: dict[int, tuple[Path, psutil.Process]] = {}
    for process in psutil.process_iter():
        try:
            marked = process.environ().get(MARK, "")
            path = Path(marked.partition(":")[2])
            # A server whose folder was moved no longer belongs to the folder of that name.
            if marked.startswith(beginning) and Path(process.cwd()).is_relative_to(path):
                found[process.pid] = path, process
        except (psutil.Error, OSError):
            continue
    # Children inherit the variable; only the parents count.
    return {path: process for path, process in found.values() if process.ppid() not in found}


def lost_its_folder(process: psutil.Process, data_path: Path) -> bool:
    """Whether a server's data folder, or everything in it, was deleted while it ran."""
    try:
        if not any(data_path.iterdir()):
            return True
        return os.stat(f"/proc/{process.pid}/cwd").st_nlink == 0
    except FileNotFoundError:
        return not data_path.exists()
    except OSError:
        return False
