"""Named points at which a job can be made to crash, to prove that a crash there is safe.

Off unless the environment variable `MILLRACE_FAULT` names one: `between-tables`, or
`between-tables:3` for the third time that it is reached. The process and its JVM then end as by
`kill -9`. `make chaos` and the tests use it; docs/guarantees.md says what each point tests.
"""

from __future__ import annotations

import os
import signal
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final, TypeVar

import psutil

from errors import JobError

VARIABLE: Final = "MILLRACE_FAULT"
# In the order in which a micro-batch reaches them.
FAULT_POINTS: Final = (
    "before-cassandra",
    "between-tables",
    "before-files",
    "in-files-publish",
    "between-files-and-snapshots",
    "before-postgres",
    "in-postgres-transaction",
    "before-topics",
    "between-topics-and-confirmation",
    "before-dead-letters",
    "between-dead-letters-and-summaries",
    "between-cassandra-and-mongodb",
    "in-mongodb-bulk",
    "before-ledger",
    "before-commit",
)
Item = TypeVar("Item")
_reached: Counter[str] = Counter()


def check_fault() -> None:
    """Check that `MILLRACE_FAULT`, if set, names a fault point.

    Raises:
        JobError: it does not, so the crash would never happen.
    """
    wanted = os.environ.get(VARIABLE)
    if not wanted:
        return
    name, _, time = wanted.partition(":")
    if name not in FAULT_POINTS or (time and not (time.isdecimal() and int(time))):
        raise JobError(
            f"{VARIABLE} is `{wanted}`; expected one of {', '.join(FAULT_POINTS)}, followed by `:3`"
            " for the third time. Unset it for a normal run."
        )


def fault_point(name: str) -> None:
    """Crash here if `MILLRACE_FAULT` says so; otherwise do nothing."""
    if _is_due(name):
        die(name)


def parts_around_fault(name: str, items: Sequence[Item]) -> Iterator[Sequence[Item]]:
    """All items in one part; if the fault is due, the first half, then crash."""
    if not _is_due(name):
        yield items
        return
    yield items[: (len(items) + 1) // 2]
    die(name)


def die(name: str) -> None:
    """Kill this process and its children, including the JVM, as a power cut would."""
    sys.stderr.write(f"{VARIABLE}: ends at {name}\n")
    sys.stderr.flush()
    for child in psutil.Process().children(recursive=True):
        child.kill()
    os.kill(os.getpid(), signal.SIGKILL)


def _is_due(name: str) -> bool:
    wanted, _, time = os.environ.get(VARIABLE, "").partition(":")
    if wanted != name:
        return False
    _reached[name] += 1
    return _reached[name] == int(time or 1)
