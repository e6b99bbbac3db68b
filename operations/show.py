"""`make show`: prints a topic, dead letters, a table or a collection as a readable table.

The sensitive fields of raw messages are masked; stores hold none in clear.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from pyspark.sql import SparkSession

from cql.client import close, connect
from cql.shards import select_divided
from errors import MillraceError
from operations.activity import shown
from operations.doctor.place_checks import place_faults
from operations.masking import masked_value
from operations.newest import newest_messages
from operations.spark_session import repair_session
from operations.tables import print_records
from operations.verify.spark_errors import explained_errors
from runtime import remedies
from runtime.config.sink_modules import SINK_MODULES
from runtime.config.topic_names import dead_letter_topic
from schemas.contract import Contract
from settings import Settings
from spark_jobs.aggregates import Aggregate
from spark_jobs.pipeline import Pipeline
from spark_jobs.registry import pipelines_of
from spark_jobs.sinks.base import Sink, StoredTable
from spark_jobs.sinks.cassandra import CassandraSink
from spark_jobs.sinks.dead_letters import COLLECTION as SUMMARIES
from spark_jobs.sinks.files.arrow_files import arrow_files
from spark_jobs.sinks.files.rows import show_set
from spark_jobs.sinks.files.sink import FilesSink
from spark_jobs.sinks.mongodb import (
    MongoAggregates,
    check_mongodb,
    confirmed_database,
    connect_mongodb,
)
from spark_jobs.sinks.postgres import PostgresSink
from spark_jobs.sinks.registry import kinds_of
from spark_jobs.sinks.topics import TopicsSink
from spark_jobs.state.instants import instant_or_number
from spark_jobs.state.ledger import COLLECTION as LEDGER
from spark_jobs.targets import SHARD, SqlTable, Table
from sql.tables import select_rows as select_sql_rows

DEAD_LETTERS = "dead-letters"
# Options with a name of their own -> the column by which each selects; `WHERE=` takes any other.
FILTERS = {
    "team": "assigned_team",
    "hour": "created_hour",
    "client": "client_id",
    "nationality": "nationality",
}
# An internal field of aggregates: the last applied batch.
APPLIED = "applied"
NUMBER = re.compile(r"-?\d{1,19}", re.ASCII)
Record = dict[str, Any]


@dataclass(frozen=True)
class RowFilter:
    """Which rows of a place to show, and how many."""

    where: dict[str, str]
    limit: int

    def refuse_all_but(self, place: str, columns: Collection[str] = ()) -> None:
        """Refuse options that do not apply, rather than show everything or nothing.

        Raises:
            MillraceError: the place cannot be filtered by a given column.
        """
        useless = [option_for(column) for column in self.where if column not in columns]
        if useless:
            useful = named_options(columns) or [option_for(each) for each in [*columns][:1]]
            applying = ", ".join(["LIMIT=", "FORMAT=", *useful])
            raise MillraceError(
                f"{', '.join(useless)} does not apply to `{place}`. Leave it out;"
                f" {applying} apply there."
            )


Show = Callable[[Settings, RowFilter], Iterable[Record]]


@dataclass(frozen=True)
class Place:
    """What can be shown: a description, how to read it, its order, and its sink."""

    what: str
    show: Show
    newest_first: bool = False
    sink: str = ""


def show(
    settings: Settings,
    what: str,
    wanted: RowFilter,
    form: str,
    columns: Sequence[str] = (),
    *,
    excel_safe: bool = False,
) -> int:
    """Print what `WHAT` names, or all names if it is empty; returns the exit code.

    Raises:
        MillraceError: the name is unknown (lists the valid ones), the store is unavailable, or
            `excel_safe` is wanted of another format than CSV.
    """
    if excel_safe and form != "csv":
        raise MillraceError("EXCEL_SAFE= applies to FORMAT=csv. Leave it out, or add FORMAT=csv.")
    places = places_of(settings)
    if not what:
        sys.stdout.write(f"make show WHAT=…, one of:\n{_listed(places)}\n")
        return 0
    name = what if what in places else _full_name(what, places, settings)
    # One more than the limit shows whether there are more.
    one_more = replace(wanted, limit=wanted.limit + 1)
    readable = form in {"table", "vertical"}
    records = list(places[name].show(settings, one_more))
    if readable and not records:
        sys.stdout.write(f"{name}: nothing found{_asked_for(wanted)}.\n")
        return 0
    shown = records[: wanted.limit]
    print_records(shown, form, title=name, columns=columns, excel_safe=excel_safe)
    if readable and len(records) > wanted.limit:
        which = "newest" if places[name].newest_first else "first"
        sys.stdout.write(f"The {which} {wanted.limit}; there are more: LIMIT= shows them.\n")
    return 0


def _asked_for(wanted: RowFilter) -> str:
    chosen = ", ".join(f"{option_for(column)}{value}" for column, value in wanted.where.items())
    return f" for {chosen}" if chosen else ""


def _listed(places: Mapping[str, Place]) -> str:
    width = max(map(len, places))
    return "\n".join(f"  {name:{width}}  {place.what}" for name, place in places.items())


def _full_name(what: str, places: Mapping[str, Place], settings: Settings) -> str:
    """The place with this short name; a table comes before a collection of the same name."""
    found = [name for name in places if name.rpartition(".")[2] == what]
    if found:
        if len(found) > 1:
            sys.stderr.write(f"Showing {found[0]};\nthere is also {found[1]}.\n")
        return found[0]
    everywhere = settings.model_copy(update={"sinks": tuple(SINK_MODULES)})
    if place := places_of(everywhere).get(what):
        sink = place.sink
        command = remedies.show(
            what, settings.model_copy(update={"sinks": (*settings.sinks, sink)})
        )
        raise MillraceError(
            f"`{what}`: {sink} is not in SINKS ({','.join(settings.sinks)}). If records were"
            f" stored there: `{command}`."
        )
    raise MillraceError(
        f"Nothing is named `{what}`.{remedies.nearest(what, places)} WHAT= takes:"
        f"\n{_listed(places)}"
    )


def places_of(settings: Settings) -> dict[str, Place]:
    """Everything that can be shown, by name."""
    places: dict[str, Place] = {}
    letters = {}
    pipelines = pipelines_of(settings)
    for pipeline in pipelines:
        contract, topic = pipeline.contract, pipeline.topic(settings)
        letters[topic] = contract
        rejected = dead_letter_topic(topic)
        places[topic] = _messages_of(topic, contract, f"topic: {pipeline.name} as sent")
        what = f"topic: rejected {pipeline.name}"
        places[rejected] = _dead_letters_of(rejected, {topic: contract}, what)
        for name, forwarded in pipeline.forward_topics(settings).items():
            which = f"{forwarded.outcome or 'stored'} {pipeline.name}, forwarded"
            places[name] = _messages_of(name, contract, f"topic: {which}")
    places[DEAD_LETTERS] = _dead_letters_of(DEAD_LETTERS, letters, "rejected messages")
    enabled = kinds_of(pipelines, settings)
    # The order of sinks matters: a short name means the first place with that name.
    kinds: list[type[Sink]] = [*SHOWN, *(kind for kind in enabled if kind not in SHOWN)]
    for kind in (kind for kind in kinds if kind in enabled):
        own = map(SHOWN[kind], pipelines) if kind in SHOWN else map(_rows_by_spark, enabled[kind])
        for found in own:
            places |= {name: replace(p, sink=kind.name) for name, p in found.items()}
    places[f"mongodb.{LEDGER}"] = _documents_of(LEDGER, "ledger, one document per batch,")
    places[f"mongodb.{SUMMARIES}"] = _documents_of(SUMMARIES, "summaries of dead letters")
    return places


def _messages_of(topic: str, contract: Contract, what: str) -> Place:
    def records(settings: Settings, wanted: RowFilter) -> Iterable[Record]:
        wanted.refuse_all_but(topic)
        for message in newest_messages(settings, [topic], wanted.limit):
            yield {
                "partition": message.partition(),
                "offset": message.offset(),
                "timestamp": instant_or_number(message.timestamp()[1]),
                "value (masked)": masked_value(message.value(), contract),
            }

    return Place(what, records, newest_first=True)


def _dead_letters_of(name: str, contracts: Mapping[str, Contract], what: str) -> Place:
    """The dead letters of these source topics together."""
    by_topic = {dead_letter_topic(source): contract for source, contract in contracts.items()}

    def records(settings: Settings, wanted: RowFilter) -> Iterable[Record]:
        wanted.refuse_all_but(name)
        for message in newest_messages(settings, [*by_topic], wanted.limit):
            headers = {
                name: (value or b"").decode(errors="replace")
                for name, value in message.headers() or []
            }
            yield {
                "source": f"{headers.get('source_topic')}/{headers.get('source_partition')}"
                f"/{headers.get('source_offset')}",
                "timestamp": _time(headers.get("source_timestamp")),
                "reasons": headers.get("reasons"),
                "redrives": headers.get("redrives"),
                "value (masked)": masked_value(message.value(), by_topic[message.topic()]),
            }

    return Place(what, records, newest_first=True)


def _rows_of(table: Table) -> Place:
    name, shape = table.place, table.declared
    by_key = [*shape.partition_key]
    indexed = [c for c in shape.columns if f"{table.name}_{c}" in shape.indexes]
    columns = [*by_key, *indexed]
    shown = [name for name in columns if name != SHARD or table.shards == 1]

    def records(settings: Settings, wanted: RowFilter) -> Iterable[Record]:
        wanted.refuse_all_but(name, columns)
        session = connect(settings, timeout_seconds=10)
        try:
            asked = (table.keyspace, table.name, wanted.where, wanted.limit)
            return select_divided(session, *asked, table.shards)
        finally:
            close(session)

    return Place(f"rows in Cassandra{_by(shown)}", records)


def _rows_of_sql(table: SqlTable) -> Place:
    columns = [*table.declared.columns]

    def records(settings: Settings, wanted: RowFilter) -> Iterable[Record]:
        wanted.refuse_all_but(f"postgres.{table.name}", columns)
        return select_sql_rows(settings, table.name, wanted.where, wanted.limit)

    return Place(f"rows in PostgreSQL{_by(columns)}", records)


@contextmanager
def _spark(settings: Settings) -> Iterator[SparkSession]:
    with (
        shown() as activities,
        repair_session(
            settings, "show", lambda text: None, is_brief=True, activities=activities
        ) as spark,
        activities.doing("show: reads the rows"),
    ):
        yield spark


def _rows_of_files(name: str) -> Place:
    def records(settings: Settings, wanted: RowFilter) -> Iterable[Record]:
        wanted.refuse_all_but(f"files.{name}")
        if faults := list(place_faults(settings)):
            raise MillraceError(f"Files: {'; '.join(fault.text for fault in faults)}.")
        if arrow_files(settings):
            return show_set(settings, name, wanted.limit, pipelines_of(settings))
        with (
            _spark(settings) as spark,
            explained_errors(f"files {name}", FilesSink.unreadable),
        ):
            return show_set(settings, name, wanted.limit, pipelines_of(settings), spark)

    return Place("files", records)


def _rows_by_spark(sink: Sink) -> dict[str, Place]:
    """The tables of any other sink, read as `make verify` reads them."""

    def place(table: StoredTable) -> Place:
        def records(settings: Settings, wanted: RowFilter) -> Iterable[Record]:
            wanted.refuse_all_but(f"{sink.name}.{table.name}")
            with (
                _spark(settings) as spark,
                explained_errors(f"{sink.store} {table.place}", sink.unreadable),
            ):
                rows = table.read(spark).limit(wanted.limit).collect()
            return [row.asDict() for row in rows]

        return Place(f"rows in {sink.store}", records)

    return {f"{sink.name}.{table.name}": place(table) for table in sink.rows()}


def _documents_of(collection: str, what: str, aggregate: Aggregate | None = None) -> Place:
    columns = [d.field for d in aggregate.dimensions] if aggregate else []
    hidden = {APPLIED, *(aggregate.sketches.values() if aggregate else ())}

    def records(settings: Settings, wanted: RowFilter) -> Iterable[Record]:
        wanted.refuse_all_but(f"mongodb.{collection}", columns)
        with connect_mongodb(settings) as client:
            check_mongodb(client, settings)
            database = confirmed_database(client, settings)
            where = {name: {"$in": _as_stored(text)} for name, text in wanted.where.items()}
            cursor = database[collection].find(where).sort("_id", 1)
            return [
                {name: value for name, value in document.items() if name not in hidden}
                for document in cursor.limit(wanted.limit)
            ]

    return Place(f"{what} in MongoDB{_by(columns)}", records)


def _as_stored(text: str) -> list[Any]:
    """The values that a text may stand for in a document: itself, a number, a boolean."""
    try:
        return [text, json.loads(text, parse_int=_integer)]
    except ValueError:
        return [text]


def _integer(digits: str) -> int:
    number = int(digits)
    if not -(2**63) <= number < 2**63:
        raise ValueError("no document holds it")
    return number


def _tables(pipeline: Pipeline) -> dict[str, Place]:
    return {table.place: _rows_of(table) for table in pipeline.tables}


def _sql_tables(pipeline: Pipeline) -> dict[str, Place]:
    return {f"postgres.{t.name}": _rows_of_sql(t) for t in pipeline.sql_tables}


def _file_sets(pipeline: Pipeline) -> dict[str, Place]:
    sets = [*(s.name for s in pipeline.file_sets), *(s.name for s in pipeline.snapshots)]
    return {f"files.{name}": _rows_of_files(name) for name in sets}


def _aggregates(pipeline: Pipeline) -> dict[str, Place]:
    return {f"mongodb.{a.name}": _documents_of(a.name, "aggregate", a) for a in pipeline.aggregates}


SHOWN: Mapping[type[Sink], Callable[[Pipeline], dict[str, Place]]] = {
    CassandraSink: _tables,
    PostgresSink: _sql_tables,
    FilesSink: _file_sets,
    MongoAggregates: _aggregates,
    TopicsSink: lambda pipeline: {},
}


def option_for(column: str) -> str:
    """The option that selects rows by a column."""
    named = (f"{option.upper()}=" for option, each in FILTERS.items() if each == column)
    return next(named, f"WHERE={column}=")


def named_options(columns: Collection[str]) -> list[str]:
    """The options with a name of their own that select by columns."""
    return [f"{option.upper()}=" for option, column in FILTERS.items() if column in columns]


def _by(columns: Collection[str]) -> str:
    """The options that filter a place's records."""
    named = named_options(columns)
    return f"; {' '.join(named)}" if named else ""


def _time(header: str | None) -> datetime | str | None:
    """The time in a header; anything but a number is returned as it is."""
    return instant_or_number(int(header)) if header and NUMBER.fullmatch(header) else header
