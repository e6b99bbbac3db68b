"""What to type after `make run`: where the data is, and the commands that show it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from operations.show import DEAD_LETTERS, places_of
from operations.verify.account import Account
from runtime import remedies
from settings import Settings
from spark_jobs.registry import pipelines_of

COMMAND_WIDTH, LINE_WIDTH = 44, 80
Hint = tuple[str, str]


def next_steps(settings: Settings, accounts: Sequence[Account]) -> str:
    """Commands with what each shows; those whose stores are enabled and hold something."""
    hints = [
        *_of_stores(settings, accounts),
        ("make show", "lists everything to look at"),
        ("make verify", "checks again, shows all tables"),
        ("make status", "services, lag, rows, jobs"),
        ("make down", "stops the services, keeps data"),
    ]
    if settings_of_run := remedies.exported(settings):
        hints.insert(0, (settings_of_run, "first, so that these commands use the run's settings"))
    return "Look at the data:\n" + "\n".join(hint_line(*hint) for hint in hints)


def hint_line(command: str, what: str) -> str:
    """A command and what it shows; the comment goes above where the line would be too long."""
    line = f"  {command:{COMMAND_WIDTH}}  # {what}"
    return line if len(line) <= LINE_WIDTH else f"  # {what}\n  {command}"


def _of_stores(settings: Settings, accounts: Sequence[Account]) -> Iterator[Hint]:
    """One place in each sink, of the pipeline that stored the most records."""
    stored = {account.pipeline: account.counts.stored for account in accounts}
    pipeline = max(pipelines_of(settings), key=lambda each: stored.get(each.name, 0))
    own = {*pipeline.collections, *(table.name for table in pipeline.tables)}
    own |= {table.name for table in pipeline.sql_tables} | {s.name for s in pipeline.file_sets}
    first: dict[str, Hint] = {}
    for name, place in places_of(settings).items():
        if place.sink and name.rpartition(".")[2] in own and stored.get(pipeline.name):
            hint = f"make show WHAT={name}", place.what.partition(";")[0]
            first.setdefault(place.sink, hint)
    yield from first.values()
    if any(account.counts.dead_lettered for account in accounts):
        yield f"make show WHAT={DEAD_LETTERS}", "rejected messages and why"
