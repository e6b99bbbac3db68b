"""Replaces small files by merged ones, and completes the replacement after a crash.

On this machine a day's folder is exchanged with a new one in one step. The exchange must not be
done twice: the merged files' names, which only the new folder has, show which is in place.
"""

from __future__ import annotations

import ctypes
import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from errors import JobError
from runtime.files import sync
from spark_jobs.session.file_system import STATE, FileSystem, HadoopFiles, LocalFiles
from spark_jobs.state.fault_points import fault_point

# linux/fs.h and fcntl.h
AT_FDCWD = -100
RENAME_EXCHANGE = 2


@dataclass(frozen=True)
class Intent:
    """A merge whose new files are complete and counted.

    Attributes:
        folder: The day's folder.
        staging: Folder that has the new files, in `rows`.
        names: The files that they replace.
        moves: Pairs of staged name and name in the day's folder.
    """

    folder: str
    staging: str
    names: tuple[str, ...]
    moves: tuple[tuple[str, str], ...]

    @classmethod
    def of(cls, folder: str, staging: str, names: Sequence[str], new: Sequence[str]) -> Intent:
        """An intent whose new files have names that no batch uses."""
        stem = f"compacted-{staging.rpartition('/')[2]}"
        moves = tuple((n, f"{stem}-{i:03d}.{n.rpartition('.')[2]}") for i, n in enumerate(new))
        return cls(folder, staging, tuple(names), moves)

    @property
    def new_names(self) -> list[str]:
        """Names of the new files in the day's folder."""
        return [name for _, name in self.moves]

    def save(self, system: FileSystem, pipeline: str) -> None:
        """Store it, so that it is completed even after a crash."""
        system.write(intent_path(pipeline), json.dumps(asdict(self)).encode())


def read_intent(system: FileSystem, pipeline: str) -> Intent | None:
    """The interrupted merge, None if there is none."""
    content = system.read(intent_path(pipeline))
    if content is None:
        return None
    known = json.loads(content)
    moves = tuple((a, b) for a, b in known["moves"])
    return Intent(known["folder"], known["staging"], tuple(known["names"]), moves)


def superseded(system: FileSystem, pipeline: str) -> list[str]:
    """Paths of files whose rows are in others as well, as a merge was interrupted.

    Only on HDFS and S3: the small files once all merged ones are there, otherwise the merged ones.
    """
    intent = None if system.is_local else read_intent(system, pipeline)
    if intent is None:
        return []
    here = {file.path for file in system.files(intent.folder)}
    names = intent.names if {*intent.new_names} <= here else intent.new_names
    return [f"{intent.folder}/{name}" for name in names if name in here]


def finish(system: FileSystem, pipeline: str, intent: Intent) -> None:
    """Complete a merge from wherever it stopped; the caller keeps the job from running."""
    try:
        if isinstance(system, LocalFiles):
            _exchange(system, intent)
        elif isinstance(system, HadoopFiles):
            _replace(system, intent)
    except JobError:
        # This system cannot do it, and nothing was changed.
        _forget(system, pipeline, intent)
        raise
    _forget(system, pipeline, intent)


def _forget(system: FileSystem, pipeline: str, intent: Intent) -> None:
    # In this order: without its staged files an intent could not be completed.
    system.delete(intent_path(pipeline))
    system.delete(intent.staging)


def _exchange(system: LocalFiles, intent: Intent) -> None:
    old = system.root / intent.folder
    new = system.root / intent.staging / "folder"
    if not {*intent.new_names} <= {path.name for path in old.iterdir()}:
        _prepare(system, intent, old, new)
        fault_point("before-compaction-exchange")
        _swap(new, old)
    fault_point("after-compaction-exchange")


def _prepare(system: LocalFiles, intent: Intent, old: Path, new: Path) -> None:
    """Fill the new folder: the merged files, and links to all other current files."""
    system.delete(f"{intent.staging}/folder")
    new.mkdir(parents=True)
    for source, name in intent.moves:
        merged = system.root / intent.staging / "rows" / source
        sync(merged)
        os.link(merged, new / name)
    for path in old.iterdir():
        if path.name not in intent.names:
            os.link(path, new / path.name)
    sync(new)


def _swap(new: Path, old: Path) -> None:
    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if rename is None:
        raise JobError("This system cannot exchange two folders in one step (Linux can).")
    if rename(AT_FDCWD, os.fsencode(new), AT_FDCWD, os.fsencode(old), RENAME_EXCHANGE):
        code = ctypes.get_errno()
        raise JobError(
            f"The file system of `{old}` cannot exchange two folders in one step"
            f" ({os.strerror(code)}). Its small files were not merged."
        )
    sync(old.parent)


def _replace(system: HadoopFiles, intent: Intent) -> None:
    """Put the merged files in place, then delete the small ones; readers may see both."""
    here = {file.path for file in system.files(intent.folder)}
    for source, name in intent.moves:
        if name not in here:
            system.move(f"{intent.staging}/rows/{source}", f"{intent.folder}/{name}")
    fault_point("after-compaction-exchange")
    for name in intent.names:
        system.delete(f"{intent.folder}/{name}")


def intent_path(pipeline: str) -> str:
    """Path of a pipeline's stored intent."""
    return f"{STATE}/{pipeline}-intent.json"
