"""`make down`: ends what uses the services, if the user agrees, and then stops the services."""

from __future__ import annotations

import sys

from errors import MillraceError
from local_stack import stack
from operations.activity import shown
from operations.at_work import end_cleanly, processes_at_work
from settings import Settings


class Unanswered(MillraceError):
    """A question must be answered first, but there is no terminal to ask on."""

    exit_code = 2


def down(settings: Settings, *, yes: bool) -> int:
    """Stop the services; returns the exit code.

    Raises:
        Unanswered: something uses them, and there is no terminal to ask on.
        MillraceError: the services could not be stopped.
    """
    working = processes_at_work(settings) if settings.stack != "external" else []
    left = [f"{each.name}: {each.note}" for each in stack.left_behind(settings)]
    if (working or left) and not yes:
        listed = "".join(f"  {line}\n" for line in [*map(str, working), *left])
        question = f"These are still running and would be ended first:\n{listed}"
        if not sys.stdin.isatty():
            raise Unanswered(f"{question}`make down YES=1` ends them. Nothing was changed.")
        sys.stdout.write(f"{question}Go on? [y/N] ")
        sys.stdout.flush()
        if sys.stdin.readline().strip().lower() not in {"y", "yes"}:
            sys.stdout.write("Nothing was changed.\n")
            return 0
    with shown() as activities:
        for each in working:
            activities.say(f"ending {each}")
        if working:
            with activities.doing("down: waits for what used the services"):
                end_cleanly(working, settings)
        with activities.doing("down: stops the services"):
            stack.down(settings, activities.say)
    return 0
