"""Checks of the environment: lines that say `ok` or the fix, found side by side in seconds.

A check looks and changes nothing. It may be slow or fail itself; that becomes a line as well.
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

# The longest that a check may take; the longest that it should, the checks see to themselves.
CHECK_SECONDS: Final = 10.0
MASK: Final = "•••"
# No text is made with a secret; this is for what a driver might quote. A word as short as `kafka`
# stands in texts anyway, and its absence would tell it.
SHORTEST_MASKED: Final = 6
PASSWORD: Final = re.compile(r"://[^/?#]*?:([^/?#]*)@")


class Status(StrEnum):
    """How a line stands; `NOT_YET` is what nobody can see before something else is mended."""

    OK = "ok"
    FIX = "fix"
    NOT_YET = "--"


@dataclass(frozen=True)
class Line:
    """One line for people.

    `by_itself` says that `make run` (and `make up`, where it is theirs) does the fix anyway.
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
    """Something that is not as it should be, and what to do."""

    text: str
    by_itself: bool = False


Look = Callable[[Settings], Sequence[Line]]


@dataclass(frozen=True)
class Check:
    """One look at one part of the environment, which gives a line for each of `names`."""

    names: tuple[str, ...]
    look: Look


def line_of(name: str, faults: Sequence[Fault], when_ok: str) -> Line:
    """The faults in one line, or `when_ok` where there are none."""
    if not faults:
        return Line(name, Status.OK, when_ok)
    by_itself = all(fault.by_itself for fault in faults)
    return Line(name, Status.FIX, "; ".join(fault.text for fault in faults), by_itself)


def not_yet(*names: str, because: str) -> list[Line]:
    """Lines of what cannot be seen."""
    return [Line(name, Status.NOT_YET, f"not looked at: {because}") for name in names]


def run_checks(
    checks: Sequence[Check], settings: Settings, seconds: float = CHECK_SECONDS
) -> list[Line]:
    """Run all checks side by side; lines in the order of the checks, none of them with a secret."""
    found: dict[int, Sequence[Line]] = {}
    threads = []
    for number, check in enumerate(checks):

        def look(number: int = number, check: Check = check) -> None:
            found[number] = _lines_of(check, settings)

        # Daemons, as one that hangs must not keep the command from ending.
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
    except MillraceError as error:
        text = " ".join(str(error).split())
    except Exception as error:
        # Its text may hold anything.
        text = f"this check failed itself ({type(error).__name__}): please report it"
    return [Line(first, Status.FIX, text), *not_yet(*others, because=f"see {first}")]


def _without_answer(check: Check, seconds: float) -> list[Line]:
    first, *others = check.names
    text = f"no answer within {seconds:g} s: see that what it names is up and not overloaded"
    return [Line(first, Status.FIX, text), *not_yet(*others, because=f"see {first}")]


def secrets_of(settings: Settings) -> Iterator[str]:
    """Every secret that settings hold; of an address the password, as written and as meant."""
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
