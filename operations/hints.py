"""What to type after `make run`: commands that find something in what was just stored."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from datetime import datetime

from cql.client import close, connect, select_rows
from errors import MillraceError
from operations.pipelines import PIPELINES
from operations.show import DEAD_LETTERS
from runtime import remedies
from settings import Settings
from spark_jobs.sinks.base import Sink
from spark_jobs.sinks.cassandra import CassandraSink
from spark_jobs.sinks.dead_letters import COLLECTION as SUMMARIES
from spark_jobs.sinks.files.sink import FilesSink
from spark_jobs.sinks.mongodb import MongoAggregates, confirmed_database, connect_mongodb
from spark_jobs.sinks.registry import kinds_of

COMMAND_WIDTH, LINE_WIDTH = 52, 80
Hint = tuple[str, str]


def next_steps(settings: Settings) -> str:
    """Commands with what each shows; those whose stores are enabled and hold something."""
    enabled = kinds_of(PIPELINES, settings)
    hints = [
        *(hint for kind, hints in HINTS.items() if kind in enabled for hint in hints(settings)),
        (f"make show WHAT={DEAD_LETTERS}", "what was rejected, why"),
        *_of_dead_letters(settings),
        ("make status", "services, lag, jobs"),
        ("make verify", "proves the numbers"),
        ("make down", "stops, keeps all data"),
    ]
    if settings_of_run := remedies.exported(settings):
        hints.insert(0, (settings_of_run, "what the run had, for these commands"))
    return "Look further:\n" + "\n".join(hint_line(*hint) for hint in hints)


def hint_line(command: str, what: str) -> str:
    """A command with what it shows beside it, or above it where the line would be too long."""
    line = f"  {command:{COMMAND_WIDTH}}  # {what}"
    return line if len(line) <= LINE_WIDTH else f"  # {what}\n  {command}"


def _of_cassandra(settings: Settings) -> Iterator[Hint]:
    # The numbers are proved by now: without an example the other commands are still right.
    with suppress(MillraceError):
        session = connect(settings)
        try:
            billing = {"assigned_team": "Billing"}
            tickets = select_rows(session, "support", "tickets_by_team", billing, limit=1)
            tickets = tickets or select_rows(session, "support", "tickets_by_team", limit=1)
            profiles = select_rows(session, "usersprofilespace", "profiles_by_nationality", limit=1)
        finally:
            close(session)
        for ticket in tickets:
            hour = f"{ticket['created_hour']:%Y-%m-%dT%H}:00:00Z"
            team = shlex.quote(str(ticket["assigned_team"]))
            command = f"make show WHAT=tickets_by_team TEAM={team} HOUR={hour}"
            yield command, "a partition of Cassandra"
            command = f"make show WHAT=support.tickets CLIENT={ticket['client_id']}"
            yield command, "of one client"
        for profile in profiles:
            nationality = shlex.quote(str(profile["nationality"]))
            command = f"make show WHAT=profiles_by_nationality NATIONALITY={nationality}"
            yield command, "profiles of one nationality"
    yield 'make cqlsh CQL="SELECT COUNT(*) FROM support.tickets"', "any CQL; without CQL= a shell"


def _of_mongodb(settings: Settings) -> Iterator[Hint]:
    yield "make show WHAT=mongodb.ticket_metrics", "documents of MongoDB"
    yield 'make mongosh EVAL="db.tickets_by_team.find()"', "without EVAL= a shell"


def _of_files(settings: Settings) -> Iterator[Hint]:
    yield "make show WHAT=files.tickets_by_type", "files of any format"


HINTS: Mapping[type[Sink], Callable[[Settings], Iterator[Hint]]] = {
    CassandraSink: _of_cassandra,
    MongoAggregates: _of_mongodb,
    FilesSink: _of_files,
}


def _of_dead_letters(settings: Settings) -> Iterator[Hint]:
    with connect_mongodb(settings) as client:
        summaries = confirmed_database(client, settings)[SUMMARIES]
        letter = summaries.find_one({"source_topic": settings.tickets_topic}, sort=[("_id", -1)])
    if letter and isinstance(time := letter["source_timestamp"], datetime):
        since = f"{time:%Y-%m-%dT%H}:00:00Z"
        yield f"{remedies.MILLRACE} dead-letters list --since {since}", "since an hour"
