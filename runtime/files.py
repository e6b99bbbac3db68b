"""File operations that several parts share: lock, write atomically, read the last lines."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from socket import gethostname
from typing import IO

TAIL_BYTES = 65536


@contextmanager
def exclusive(lock_path: Path) -> Iterator[None]:
    """Hold a lock against other processes and threads; it ends with this process."""
    lock_path.parent.mkdir(parents=True, exist_ok=True)
    with lock_path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def takes_lock(file: IO[str], how: int = fcntl.LOCK_EX) -> bool:
    """Lock an open file while it is open; returns False if another process holds the lock."""
    try:
        # The system releases the lock when the process ends, however it ends.
        fcntl.flock(file, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def is_locked(path: Path) -> bool:
    """Whether a process, here or in another container, has the lock of a file."""
    with path.open() as file:
        return not takes_lock(file, fcntl.LOCK_SH)


@contextmanager
def whole(path: Path, mode: int = 0o644) -> Iterator[IO[bytes]]:
    """A file to write into, which gets its name only once it is complete and on disk."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # Containers that share a folder have the same numbers of processes.
    partial = path.with_name(f".{path.name}.{gethostname()}.{os.getpid()}")
    partial.unlink(missing_ok=True)
    try:
        with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def sync(path: Path) -> None:
    """Have what a file holds, or the names in a folder, written to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_whole(path: Path, content: str | bytes, mode: int = 0o644) -> None:
    """Write a file atomically: it is complete or not there at all."""
    with whole(path, mode) as file:
        file.write(content.encode() if isinstance(content, str) else content)


def last_lines(path: Path, count: int) -> list[str]:
    """The last lines of a text file, without reading all of a large one; none if it is missing."""
    try:
        with path.open("rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - TAIL_BYTES))
            text = file.read().decode("utf-8", errors="replace")
    except FileNotFoundError:
        return []
    return text.splitlines()[-count:]
