"""One job at a time for each pipeline: two on one checkpoint would break it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from errors import JobError
from runtime.files import takes_lock
from runtime.presence import held_locks, open_locks
from settings import Settings
from spark_jobs.pipeline import Pipeline

NoteUi = Callable[[str | None], None]


@contextmanager
def locked(pipelines: Sequence[Pipeline], settings: Settings) -> Iterator[NoteUi]:
    """Hold each pipeline's lock: two jobs on one checkpoint would break it.

    Yields a function that notes the address of the Spark UI, for `make status`.

    Raises:
        JobError: other processes hold locks; names each with its process.
    """
    with ExitStack() as held:
        holders = open_locks(settings.millrace_home)
        files, refused = [], []
        for pipeline in pipelines:
            path = lock_path(pipeline, settings)
            path.parent.mkdir(parents=True, exist_ok=True)
            file = held.enter_context(path.open("a+"))
            pid = holders.get(path.name)
            if pid is None and not takes_lock(file):
                pid = _noted(file).get("pid", "unknown")
            files.append(file)
            if pid is not None:
                refused.append((pipeline.name, pid))
        if refused:
            raise JobError(_already_running(refused))

        def note(ui: str | None) -> None:
            for file in files:
                file.truncate(0)
                file.write(json.dumps({"pid": os.getpid(), "ui": ui}))
                file.flush()

        note(None)
        yield note


def refuse_running(pipelines: Sequence[Pipeline], settings: Settings) -> None:
    """Refuse at once, before anything that takes time, if jobs of these pipelines run here.

    Raises:
        JobError: names each with its process.
    """
    holders = open_locks(settings.millrace_home)
    paths = {pipeline.name: lock_path(pipeline, settings).name for pipeline in pipelines}
    if refused := [(name, holders[path]) for name, path in paths.items() if path in holders]:
        raise JobError(_already_running(refused))


def _already_running(refused: Sequence[tuple[str, int | str]]) -> str:
    lines = "".join(
        f"\nA job of pipeline {name} is already running on this state folder: process {pid}."
        for name, pid in refused
    )
    pids = " ".join(dict.fromkeys(str(pid) for _, pid in refused))
    return (
        f"{lines.lstrip()}\nWait until it ends; or stop it with Ctrl-C in its terminal or"
        f" `kill {pids}`; or set another MILLRACE_HOME. Nothing was started and nothing was sent."
    )


def held_job_locks(settings: Settings) -> dict[str, int | None]:
    """Name of a lock -> the process that has it, None if that is in another container."""
    return held_locks(settings.millrace_home, by_others=settings.stack == "external")


def running_job(pipeline: Pipeline, settings: Settings) -> dict[str, Any] | None:
    """Process id (`pid`) and Spark UI address (`ui`) of the pipeline's job, None if none runs.

    The process id is None if the job is in another container.
    """
    path, held = lock_path(pipeline, settings), held_job_locks(settings)
    if path.name not in held:
        return None
    pid = held[path.name]
    with suppress(FileNotFoundError), path.open() as file:
        return {"pid": pid, "ui": _noted(file).get("ui")}
    return {"pid": pid, "ui": None}


def _noted(file: IO[str]) -> dict[str, Any]:
    """What a lock's holder wrote into it; empty while it is being written."""
    file.seek(0)
    try:
        return dict(json.loads(file.read()))
    except ValueError:
        return {}


def lock_path(pipeline: Pipeline, settings: Settings) -> Path:
    """The file that a pipeline's job keeps locked while it runs."""
    return settings.millrace_home / "run" / f"job-{pipeline.name}.lock"
