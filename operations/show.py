"""`make show`: a topic, dead letters, a table or a collection as a readable table.

Raw messages are masked by the contract's sensitivity; stores hold no clear sensitive field.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from cql.client import close, connect, select_rows
from operations.masking import masked_value
from operations.pipelines import PIPELINES, contract_of, read_topic
from operations.tables import print_records
from schemas.contract import Contract
from settings import MillraceError, Settings, dead_letter_topic
from spark_jobs.aggregates import PROFILE_COLLECTIONS, TICKET_COLLECTIONS
from spark_jobs.customers import CUSTOMERS
from spark_jobs.ledger import COLLECTION as LEDGER
from spark_jobs.sinks.dead_letters import COLLECTION as SUMMARIES
from spark_jobs.sinks.file_reading import show_set
from spark_jobs.sinks.mongodb import check_mongodb, confirmed_database, connect_mongodb
from sql import tables as sql_tables

DEAD_LETTERS = "dead-letters"
# Columns by which rows are chosen, and the option that gives each.
OPTIONS = {
    "assigned_team": "TEAM=",
    "created_hour": "HOUR=",
    "client_id": "CLIENT=",
    "nationality": "NATIONALITY=",
}
# Internals of the aggregates: the guard's memory and the sketch.
HIDDEN_FIELDS = ("applied", "clients_sketch")
LABELS = TICKET_COLLECTIONS | PROFILE_COLLECTIONS
Record = dict[str, Any]


@dataclass(frozen=True)
class Selection:
    """What of a table is wanted."""

    where: dict[str, str]
    limit: int

    def refuse_all_but(self, place: str, columns: Collection[str] = ()) -> None:
        """Say that an option does not apply, instead of showing everything or nothing.

        Raises:
            MillraceError: something is chosen by a column that the place does not have.
        """
        useless = [OPTIONS[column] for column in self.where if column not in columns]
        if useless:
            useful = [OPTIONS[column] for column in columns if column in OPTIONS]
            applying = ", ".join(["LIMIT=", "FORMAT=", *useful])
            raise MillraceError(
                f"{', '.join(useless)} does not apply to `{place}`. Leave it out;"
                f" {applying} apply there."
            )


Show = Callable[[Settings, Selection], Iterable[Record]]


def show(
    settings: Settings, what: str, selection: Selection, form: str, columns: Sequence[str] = ()
) -> int:
    """Print what `WHAT` names; gives the exit code.

    Raises:
        MillraceError: the name is unknown (lists the valid ones), or the store is away.
    """
    places = _places(settings)
    name = what if what in places else _full_name(what, places)
    records = list(places[name](settings, selection))
    readable = form in {"table", "vertical"}
    if readable and not records:
        sys.stdout.write(f"{name}: nothing found\n")
        return 0
    print_records(records, form, title=name, columns=columns)
    if readable and len(records) == selection.limit:
        sys.stdout.write(f"The first {selection.limit}; LIMIT= shows more.\n")
    return 0


def _full_name(what: str, places: dict[str, Show]) -> str:
    """The place that a short name means; a table comes before a collection of the same name."""
    found = [name for name in places if name.rpartition(".")[2] == what]
    if found:
        if len(found) > 1:
            sys.stderr.write(f"`{what}` is {found[0]} here; there is also {found[1]}.\n")
        return found[0]
    valid = "\n".join(f"  {name}" for name in places)
    raise MillraceError(f"Nothing is named `{what or 'WHAT='}`. WHAT= takes:\n{valid}")


def _places(settings: Settings) -> dict[str, Show]:
    places: dict[str, Show] = {}
    for pipeline in PIPELINES:
        contract = contract_of(pipeline)
        topic = pipeline.topic(settings)
        places[topic] = _messages_of(topic, contract)
        places[dead_letter_topic(topic)] = _dead_letters_of(topic, contract)
    customers = contract_of(CUSTOMERS)
    for topic in settings.customers_output_topics:
        places[topic] = _messages_of(topic, customers)
    places[DEAD_LETTERS] = _all_dead_letters(settings)
    for pipeline in PIPELINES:
        for table in pipeline.tables:
            places[f"{table.keyspace}.{table.name}"] = _rows_of(table.keyspace, table.name)
    for pipeline in PIPELINES:
        for sql_table in pipeline.sql_tables if "postgres" in settings.sinks else ():
            places[f"postgres.{sql_table.name}"] = _rows_of_sql(sql_table.name)
        sets = [*(s.name for s in pipeline.file_sets), *(s.name for s in pipeline.snapshots)]
        for name in sets if "files" in settings.sinks else ():
            places[f"files.{name}"] = _rows_of_files(name)
    collections = [name for pipeline in PIPELINES for name in pipeline.collections]
    for name in (*collections, LEDGER, SUMMARIES):
        places[f"mongodb.{name}"] = _documents_of(name)
    return places


def _messages_of(topic: str, contract: Contract) -> Show:
    def records(settings: Settings, selection: Selection) -> Iterable[Record]:
        selection.refuse_all_but(topic)
        for message in _last(read_topic(settings, topic, selection.limit), selection.limit):
            yield {
                "partition": message.partition(),
                "offset": message.offset(),
                "timestamp": _time(message.timestamp()[1]),
                "value (masked)": masked_value(message.value(), contract),
            }

    return records


def _dead_letters_of(topic: str, contract: Contract) -> Show:
    def records(settings: Settings, selection: Selection) -> Iterable[Record]:
        selection.refuse_all_but(dead_letter_topic(topic))
        messages = read_topic(settings, dead_letter_topic(topic), selection.limit)
        for message in _last(messages, selection.limit):
            headers = {
                name: (value or b"").decode(errors="replace")
                for name, value in message.headers() or []
            }
            yield {
                "source": f"{headers.get('source_topic')}/{headers.get('source_partition')}"
                f"/{headers.get('source_offset')}",
                "timestamp": _time(int(headers.get("source_timestamp", 0))),
                "reasons": headers.get("reasons"),
                "redrives": headers.get("redrives"),
                "value (masked)": masked_value(message.value(), contract),
            }

    return records


def _all_dead_letters(settings: Settings) -> Show:
    sources = [
        _dead_letters_of(pipeline.topic(settings), contract_of(pipeline)) for pipeline in PIPELINES
    ]

    def records(settings: Settings, selection: Selection) -> Iterable[Record]:
        selection.refuse_all_but(DEAD_LETTERS)
        for source in sources:
            yield from source(settings, selection)

    return records


def _rows_of(keyspace: str, table: str) -> Show:
    def records(settings: Settings, selection: Selection) -> Iterable[Record]:
        session = connect(settings, timeout_seconds=10)
        try:
            return select_rows(session, keyspace, table, selection.where, selection.limit)
        finally:
            close(session)

    return records


def _rows_of_sql(table: str) -> Show:
    def records(settings: Settings, selection: Selection) -> Iterable[Record]:
        columns = [name for name in OPTIONS if name in sql_tables.declared()[table].columns]
        selection.refuse_all_but(f"postgres.{table}", columns)
        return sql_tables.select_rows(settings, table, selection.where, selection.limit)

    return records


def _rows_of_files(name: str) -> Show:
    def records(settings: Settings, selection: Selection) -> Iterable[Record]:
        selection.refuse_all_but(f"files.{name}")
        return show_set(settings, name, selection.limit, PIPELINES)

    return records


def _documents_of(collection: str) -> Show:
    def records(settings: Settings, selection: Selection) -> Iterable[Record]:
        label = LABELS.get(collection)
        selection.refuse_all_but(f"mongodb.{collection}", [label] if label else [])
        with connect_mongodb(settings) as client:
            check_mongodb(client, settings)
            database = confirmed_database(client, settings)
            cursor = database[collection].find(dict(selection.where)).sort("_id", 1)
            return [
                {name: value for name, value in document.items() if name not in HIDDEN_FIELDS}
                for document in cursor.limit(selection.limit)
            ]

    return records


def _last(messages: Iterable[Any], limit: int) -> list[Any]:
    """The newest messages, newest first."""
    return sorted(messages, key=lambda message: message.timestamp()[1], reverse=True)[:limit]


def _time(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)
