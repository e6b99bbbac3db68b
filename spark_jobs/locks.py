"""One job at a time for each pipeline: two on one checkpoint would break it."""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Any

from settings import JobError, Settings
from spark_jobs.pipeline import Pipeline

POLL_SECONDS = 0.1
# `make status` looks at a lock by holding it for a moment.
LOCK_PATIENCE_SECONDS = 2


@contextmanager
def locked(
    pipelines: Sequence[Pipeline], settings: Settings, ui: str | None = None
) -> Iterator[None]:
    """Hold each pipeline's lock: two jobs on one checkpoint would break it.

    Raises:
        JobError: someone else holds one.
    """
    with ExitStack() as held:
        for pipeline in pipelines:
            path = lock_path(pipeline, settings)
            path.parent.mkdir(parents=True, exist_ok=True)
            file = held.enter_context(path.open("a"))
            if not _takes_lock(file):
                raise JobError(
                    f"A job of pipeline {pipeline.name} is running already on this state folder."
                    " `make status` shows it; stop it first, or set another MILLRACE_HOME."
                )
            file.truncate(0)
            file.write(json.dumps({"pid": os.getpid(), "ui": ui}))
            file.flush()
        yield


def _takes_lock(file: IO[str]) -> bool:
    deadline = time.monotonic() + LOCK_PATIENCE_SECONDS
    while True:
        try:
            # The system lets go of it when the process ends, however it ends.
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                return False
            time.sleep(POLL_SECONDS)
        else:
            return True


def running_job(pipeline: Pipeline, settings: Settings) -> dict[str, Any] | None:
    """Process id (`pid`) and Spark UI address (`ui`) of the pipeline's job, None if none runs."""
    path = lock_path(pipeline, settings)
    if not path.exists():
        return None
    with path.open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            text = file.read()
            return dict(json.loads(text)) if text else {"pid": None, "ui": None}
    return None


def lock_path(pipeline: Pipeline, settings: Settings) -> Path:
    """The file that a pipeline's job holds locked while it runs."""
    return settings.millrace_home / "run" / f"job-{pipeline.name}.lock"
