"""What a service's log says about its end."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from runtime.files import last_lines

LINES_SHOWN: Final = 20
LINES_SEARCHED: Final = 500
MOST_ERRORS: Final = 5
START: Final = re.compile(r"--- \S+ started \d{4}-")
# How servers mark what is serious; `"s":"F"` is MongoDB's.
SERIOUS: Final = re.compile(
    r'\b(ERROR|FATAL|PANIC|SEVERE|CRITICAL)\b|"s": ?"[EF]"|^\S*(Error|Exception)\b|OutOfMemory'
    r"|\bfatal\b|No space left|cannot allocate|Killed",
)
STAMP: Final = re.compile(r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)")
# What is older than this has not ended the service.
AT_THE_END: Final = timedelta(minutes=1)


def log_excerpt(path: Path) -> str:
    """The last lines of a log and its path, to end a message with."""
    lines = last_lines(path, LINES_SHOWN) or ["(nothing)"]
    return f"Last lines of {path}:\n" + "\n".join(f"  {line}" for line in lines)


def why_it_ended(path: Path) -> str:
    """The serious lines at the end of a log, none of earlier times; or that there are none."""
    if not (found := _last_errors(last_lines(path, LINES_SEARCHED))):
        return f"Its log has no error at the end: it was killed, or the machine stopped ({path})."
    return f"Its log ends with ({path}):\n" + "\n".join(f"  {line}" for line in found)


def _last_errors(lines: list[str]) -> list[str]:
    begin = max((n for n, line in enumerate(lines) if START.match(line)), default=-1)
    stamp: datetime | None = None
    stamped: list[tuple[datetime | None, str]] = []
    for line in lines[begin + 1 :]:
        if found := STAMP.search(line):
            stamp = datetime.fromisoformat(f"{found[1]}T{found[2]}")
        stamped.append((stamp, line))
    return [
        line
        for moment, line in stamped
        if SERIOUS.search(line) and (moment is None or stamp is None or stamp - moment < AT_THE_END)
    ][-MOST_ERRORS:]
