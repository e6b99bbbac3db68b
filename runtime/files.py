"""Small things that several parts of the stack do with files: lock, write whole, read the end."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

TAIL_BYTES = 65536


@contextmanager
def exclusive(lock_path: Path) -> Iterator[None]:
    """Hold a lock that other processes and threads respect; it ends with this process."""
    lock_path.parent.mkdir(parents=True, exist_ok=True)
    with lock_path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def takes_lock(file: IO[str]) -> bool:
    """Take a lock on an open file, for as long as it is open, unless somebody else has it."""
    try:
        # The system lets go of it when the process ends, however it ends.
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextmanager
def whole(path: Path, mode: int = 0o644) -> Iterator[IO[bytes]]:
    """A file to write into, which is on the disk and has its name only once it is complete."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}")
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
    """Write a file that is either there as a whole or not at all."""
    with whole(path, mode) as file:
        file.write(content.encode() if isinstance(content, str) else content)


def last_lines(path: Path, count: int) -> list[str]:
    """The last lines of a text file, without reading a large one whole; none if it is not there."""
    try:
        with path.open("rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - TAIL_BYTES))
            text = file.read().decode("utf-8", errors="replace")
    except FileNotFoundError:
        return []
    return text.splitlines()[-count:]
