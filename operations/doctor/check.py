"""Checks of the environment, run in parallel within seconds: a line each, `ok` or the fix.

A check changes nothing. One that is slow or fails itself gets a line as well.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final
from urllib.parse import unquote

from pydantic import SecretStr

from errors import MillraceError
from settings import Settings
from spark_jobs.sinks.driver_errors import explained

# The longest that a check may take; each check has shorter limits of its own.
CHECK_SECONDS: Final = 10.0
MASK: Final = "•••"
# Our texts hold no secret, but a driver might quote one. A short password such as `kafka` is left
# alone: the word appears in the texts anyway, and masking it would reveal it.
SHORTEST_MASKED: Final = 6
PASSWORD: Final = re.compile(r"://[^/?#]*?:([^/?#]*)@")


class Status(StrEnum):
    """A line's result; `NOT_YET` could not be checked until something else is fixed."""

    OK = "ok"
    FIX = "fix"
    NOT_YET = "--"


@dataclass(frozen=True)
class Line:
    """One printed line.

    `by_itself` says that `make run` or `make up` applies the fix anyway.
    """

    name: str
    status: Status
    text: str
    by_itself: bool = False

    def __str__(self) -> str:
        """The line as it is printed."""
        return f"{self.status:<3}  {self.name:<11}  {self.text}"


@dataclass(frozen=True)
class Fault:
    """Something that is wrong, and what to do about it."""

    text: str
    by_itself: bool = False


Look = Callable[[Settings], Sequence[Line]]


@dataclass(frozen=True)
class Check:
    """A check of one part of the environment; gives a line for each of `names`."""

    names: tuple[str, ...]
    look: Look


def line_of(name: str, faults: Sequence[Fault], when_ok: str) -> Line:
    """The faults in one line, or `when_ok` if there are none."""
    if not faults:
        return Line(name, Status.OK, when_ok)
    by_itself = all(fault.by_itself for fault in faults)
    return Line(name, Status.FIX, "; ".join(fault.text for fault in faults), by_itself)


def not_yet(*names: str, because: str) -> list[Line]:
    """Lines for what could not be checked."""
    return [Line(name, Status.NOT_YET, f"not checked: {because}") for name in names]


def run_checks(
    checks: Sequence[Check], settings: Settings, seconds: float = CHECK_SECONDS
) -> list[Line]:
    """Run all checks in parallel; lines come in the order of the checks, secrets masked."""
    found: dict[int, Sequence[Line]] = {}
    threads = []
    for number, check in enumerate(checks):

        def look(number: int = number, check: Check = check) -> None:
            found[number] = _lines_of(check, settings)

        # Daemon threads: a check that hangs must not keep the command from ending.
        threads.append(threading.Thread(target=look, name=f"check-{number}", daemon=True))
    deadline = time.monotonic() + seconds
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    lines = [
        line
        for number, check in enumerate(checks)
        for line in found.get(number) or _without_answer(check, seconds)
    ]
    secrets = sorted(secrets_of(settings), key=len, reverse=True)
    return [replace(line, text=_masked(line.text, secrets)) for line in lines]


def _lines_of(check: Check, settings: Settings) -> Sequence[Line]:
    first, *others = check.names
    try:
        return check.look(settings)
    except Exception as error:
        known = error if isinstance(error, MillraceError) else explained(error, settings)
        # Of other errors the text may hold anything, so only the type is shown.
        failed = f"this check itself failed ({type(error).__name__}): please report it"
        text = " ".join(str(known or failed).split())
    return [Line(first, Status.FIX, text), *not_yet(*others, because=f"see {first}")]


def _without_answer(check: Check, seconds: float) -> list[Line]:
    first, *others = check.names
    text = f"no answer within {seconds:g} s: check that the service is up and not overloaded"
    return [Line(first, Status.FIX, text), *not_yet(*others, because=f"see {first}")]


def secrets_of(settings: Settings) -> Iterator[str]:
    """Every secret in the settings; of an address the password, both quoted and unquoted."""
    for name in Settings.model_fields:
        value = getattr(settings, name)
        if not isinstance(value, SecretStr):
            continue
        text = value.get_secret_value()
        if "://" not in text:
            yield text
        elif found := PASSWORD.search(text):
            yield from (found[1], unquote(found[1]))


def _masked(text: str, secrets: Sequence[str]) -> str:
    for secret in secrets:
        if len(secret) >= SHORTEST_MASKED:
            text = text.replace(secret, MASK)
    return text
