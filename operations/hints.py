"""What to type after `make run`: where the data is, and the commands that show it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from operations.pipelines import PIPELINES
from operations.show import DEAD_LETTERS
from operations.verify.account import Account
from runtime import remedies
from settings import Settings

COMMAND_WIDTH, LINE_WIDTH = 40, 80
Hint = tuple[str, str]


def next_steps(settings: Settings, accounts: Sequence[Account]) -> str:
    """Commands with what each shows; those whose stores are enabled and hold something."""
    hints = [
        *_of_stores(settings, accounts),
        ("make show", "lists everything to look at"),
        ("make verify", "checks again, shows every table"),
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
    """One place in each store, of the pipeline that stored the most records."""
    stored = {account.pipeline: account.counts.stored for account in accounts}
    pipeline = max(PIPELINES, key=lambda each: stored.get(each.name, 0))
    if stored.get(pipeline.name):
        if "cassandra" in settings.sinks and pipeline.tables:
            table = pipeline.tables[0]
            yield f"make show WHAT={table.keyspace}.{table.name}", "records in Cassandra"
        if "mongodb" in settings.sinks and pipeline.collections:
            what = f"MongoDB, database {settings.mongo_database}"
            yield f"make show WHAT=mongodb.{pipeline.collections[0]}", what
        if "files" in settings.sinks and pipeline.file_sets:
            what = f"files in {_short(settings.output_path)}"
            yield f"make show WHAT=files.{pipeline.file_sets[0].name}", what
        if "postgres" in settings.sinks and pipeline.sql_tables:
            yield f"make show WHAT=postgres.{pipeline.sql_tables[0].name}", "rows in PostgreSQL"
    if any(account.counts.dead_lettered for account in accounts):
        yield f"make show WHAT={DEAD_LETTERS}", "rejected messages and why"


def _short(place: str) -> str:
    """A local folder relative to the present one, if it lies below that."""
    path = Path(place)
    return f"./{path.relative_to(Path.cwd())}" if path.is_relative_to(Path.cwd()) else place
