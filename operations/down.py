"""`make down`: ends what works on the services, where that is wanted, then the services."""

from __future__ import annotations

import sys

from errors import MillraceError
from local_stack import stack
from operations.at_work import end_cleanly, processes_at_work
from operations.tables import say
from settings import Settings


class Unanswered(MillraceError):
    """A question has to be answered first, and nobody is there to be asked."""

    exit_code = 2


def down(settings: Settings, *, yes: bool) -> int:
    """Stop the services; gives the exit code.

    Raises:
        Unanswered: something works on them, and there is no terminal to ask at.
        MillraceError: the services could not be stopped.
    """
    working = processes_at_work(settings) if settings.stack != "external" else []
    left = [f"{each.name}: {each.note}" for each in stack.left_behind(settings)]
    if (working or left) and not yes:
        listed = "".join(f"  {line}\n" for line in [*map(str, working), *left])
        told = f"These are still at work here, and would be ended first:\n{listed}"
        if not sys.stdin.isatty():
            raise Unanswered(f"{told}`make down YES=1` does so. Nothing was changed.")
        sys.stdout.write(f"{told}Go on? [y/N] ")
        sys.stdout.flush()
        if sys.stdin.readline().strip().lower() not in {"y", "yes"}:
            sys.stdout.write("Nothing was changed.\n")
            return 0
    for each in working:
        say(f"ending {each}")
    end_cleanly(working, settings)
    stack.down(settings, say)
    return 0
