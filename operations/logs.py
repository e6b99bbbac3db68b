"""`make logs`: follows the log of a service, a producer or a job."""

from __future__ import annotations

import glob
import os
import sys
import time
from pathlib import Path
from typing import IO

from errors import MillraceError
from runtime import remedies
from runtime.config.pipeline_folders import BUILT_IN, pipeline_folders
from settings import Settings

LINES_BEFORE = 50
POLL_SECONDS = 0.3
SERVICES = ("kafka", "cassandra", "mongodb", "postgres")
ELSEWHERE = {
    "docker": "the log of `{0}` is in its container: `docker compose -f docker/compose.yaml logs"
    " --follow {0}` shows it.",
    "external": "Millrace does not run `{0}`, so its log is elsewhere. `make doctor` says whether"
    " it answers.",
}


def follow(settings: Settings, service: str | None) -> int:
    """Print a log's last lines and follow it until Ctrl-C.

    Raises:
        MillraceError: there is no such log; lists those that there are.
    """
    if service is None and (known := _known(settings)):
        sys.stdout.write(f"make logs SERVICE=…, one of: {', '.join(known)}\n")
        return 0
    path = log_path(settings, service)
    sys.stdout.write(f"==> {path} (Ctrl-C ends)\n")
    newest = LINES_BEFORE
    while path.exists():
        with path.open(errors="replace") as log:
            sys.stdout.writelines(log.readlines()[-newest:])
            while _is_same(path, log):
                sys.stdout.flush()
                if text := log.read():
                    sys.stdout.write(text)
                else:
                    time.sleep(POLL_SECONDS)
            # What was written last before another file got the name.
            sys.stdout.write(log.read())
        newest = sys.maxsize
        # While a log is rotated, its name is gone for a moment.
        time.sleep(POLL_SECONDS)
    return 0


def _is_same(path: Path, log: IO[str]) -> bool:
    """Whether a path still names the open file, and nothing emptied it."""
    try:
        now = path.stat()
    except FileNotFoundError:
        return False
    # Not `log.tell()`, which is no number of bytes after half a character.
    read = os.lseek(log.fileno(), 0, os.SEEK_CUR)
    return os.path.samestat(now, os.fstat(log.fileno())) and now.st_size >= read


def log_path(settings: Settings, service: str | None) -> Path:
    """The log that users mean by a name, of several the one that was written last.

    Raises:
        MillraceError: there is no such log; lists those that there are.
    """
    folder = settings.millrace_home / "logs"
    patterns = {name: "jobs.log" for name in _pipelines(settings)} | {"spark": "spark-*.log"}
    pattern = patterns.get(service or "", f"{glob.escape(service or '')}.log")
    found = [path for path in folder.glob(pattern) if path.is_file()]
    if service and found:
        return max(found, key=lambda path: path.stat().st_mtime)
    if service in SERVICES and settings.stack != "embedded":
        raise MillraceError(f"STACK={settings.stack}: {ELSEWHERE[settings.stack].format(service)}")
    if not (known := _known(settings)):
        raise MillraceError(f"There is no log in `{folder}`: nothing has run yet.")
    meant = remedies.nearest(service or "", [*known, *patterns])
    raise MillraceError(
        f"There is no log of `{service}` in `{folder}`.{meant} SERVICE= takes: {', '.join(known)}."
    )


def _pipelines(settings: Settings) -> tuple[str, ...]:
    return (*BUILT_IN, *pipeline_folders(settings.pipelines_path))


def _known(settings: Settings) -> list[str]:
    """Names of the logs that there are, that of all jobs first."""
    names = sorted(path.stem for path in (settings.millrace_home / "logs").glob("*.log"))
    return sorted(names, key=lambda name: name != "jobs")
