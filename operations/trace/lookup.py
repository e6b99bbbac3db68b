"""Looks up the rows of one record by key: in Cassandra and PostgreSQL, without reading a table.

A table is asked once every column of its key is known: from the id, from the message, from a row
that was found before, or derived from these.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from cql.rows import select_page
from errors import MillraceError
from operations.masking import masked_columns
from operations.overview.records import masked_row
from operations.overview.stores import OpenStores
from operations.trace.derive import NotComputable, evaluated
from operations.trace.ids import comparable, same_id
from operations.trace.model import StoredRow
from spark_jobs.pipeline import Pipeline
from spark_jobs.sinks.base import Sink
from spark_jobs.sinks.cassandra import CassandraSink
from spark_jobs.sinks.postgres import PostgresSink
from spark_jobs.targets import EVERYTHING, PLACE, SqlTable, Table
from sql.tables import select_rows

# Rows of a partition among which the record is looked for if not all of its key is known.
MOST_ROWS: Final = 1000
Row = dict[str, Any]


@dataclass(frozen=True)
class Place:
    """A table, and how it is asked.

    Attributes:
        key: The columns without which it cannot be asked.
        types: Type of each of its columns.
        ask: Gives its rows that have these values.
        is_complete: Whether it holds every stored record.
    """

    store: str
    name: str
    key: tuple[str, ...]
    types: Mapping[str, str]
    ask: Callable[[Mapping[str, Any]], Iterable[Row]]
    derived: Mapping[str, str] = field(default_factory=dict)
    stand_ins: Mapping[str, str] = field(default_factory=dict)
    is_complete: bool = False

    @property
    def title(self) -> str:
        """Its name with that of its store."""
        return f"{self.store} {self.name}"


@dataclass
class Lookup:
    """What was found.

    Attributes:
        not_asked: Place -> why it was not asked.
        is_certain: Whether a table that holds every stored record was asked for the id.
    """

    rows: list[StoredRow] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    not_asked: dict[str, str] = field(default_factory=dict)
    is_certain: bool = False


def places_of(
    pipeline: Pipeline, kinds: Mapping[type[Sink], object], stores: OpenStores
) -> list[Place]:
    """The tables of a pipeline that answer by key, in the sinks of these kinds."""
    found: list[Place] = []
    if CassandraSink in kinds:
        found += [_in_cassandra(pipeline, table, stores) for table in pipeline.tables]
    if PostgresSink in kinds:
        found += [_in_postgresql(table, stores) for table in pipeline.sql_tables]
    return found


def _in_cassandra(pipeline: Pipeline, table: Table, stores: OpenStores) -> Place:
    shape = table.declared
    partition = [name for name, kind, _ in shape.key if kind == "partition_key"]
    clustering = [name for name, kind, _ in shape.key if kind != "partition_key"]

    def ask(known: Mapping[str, Any]) -> Iterable[Row]:
        where = {name: known[name] for name in partition}
        for name in clustering:
            if known.get(name) is None:
                break
            where[name] = known[name]
        page = select_page(stores.session, table.keyspace, table.name, where, MOST_ROWS)
        return page.rows

    derived = {} if callable(pipeline.derived) else {**pipeline.derived}
    return Place(
        CassandraSink.store,
        table.place,
        tuple(partition),
        shape.columns,
        ask,
        derived | dict(table.derived),
        table.stand_ins,
        is_complete=True,
    )


def _in_postgresql(table: SqlTable, stores: OpenStores) -> Place:
    def ask(known: Mapping[str, Any]) -> Iterable[Row]:
        where = {name: known[name] for name in table.key}
        return select_rows(stores.settings, table.name, where, MOST_ROWS)

    return Place(
        PostgresSink.store,
        table.name,
        table.key,
        table.declared.columns,
        ask,
        is_complete=table.takes == EVERYTHING,
    )


def look_up(
    pipeline: Pipeline, topic: str, places: Iterable[Place], known: Mapping[str, Any]
) -> Lookup:
    """The rows of a record of which these columns are known; the arrival's coordinates may be."""
    found, values, ahead = Lookup(), dict(known), list(places)
    while ahead:
        progress = False
        for place in list(ahead):
            completed = _completed(place, values, has_row=bool(found.rows))
            if isinstance(completed, str):
                found.not_asked[place.title] = completed
                continue
            ahead.remove(place)
            progress = True
            found.not_asked.pop(place.title, None)
            _ask(pipeline, topic, place, completed, values, found)
        if not progress:
            break
    if found.is_certain and not found.rows:
        # The others would hold the same record.
        for place in (each for each in ahead if each.is_complete):
            found.not_asked.pop(place.title, None)
    return found


def _ask(
    pipeline: Pipeline,
    topic: str,
    place: Place,
    completed: Mapping[str, Any],
    values: dict[str, Any],
    found: Lookup,
) -> None:
    """Ask one table; what its row says is known from then on."""
    try:
        rows = [row for row in place.ask(completed) if _is_wanted(pipeline, place, row, values)]
    except MillraceError as error:
        found.not_asked[place.title] = str(error)
        return
    found.asked.append(place.title)
    has_id = {*pipeline.id_columns} <= {*values}
    found.is_certain = found.is_certain or (place.is_complete and has_id)
    hidden = masked_columns(pipeline, place.types)
    for row in rows:
        source = f"{topic}/{row[PLACE[0]]}/{row[PLACE[1]]}" if {*PLACE} <= {*row} else None
        found.rows.append(StoredRow(place.store, place.name, masked_row(row, hidden), source))
        values |= {name: comparable(value) for name, value in row.items() if value is not None}


def _is_wanted(
    pipeline: Pipeline, place: Place, row: Mapping[str, Any], values: Mapping[str, Any]
) -> bool:
    if {*PLACE} <= {*place.key}:  # of an alert, whose message identifies it
        return all(row[name] == values[name] for name in PLACE)
    return same_id(pipeline, row, values)


def _completed(place: Place, values: Mapping[str, Any], *, has_row: bool) -> Row | str:
    """The known values with the whole key of a table, or what is missing of it, in words."""
    # A column that no row has a value for is null in the record.
    completed = {**(place.stand_ins if has_row else {}), **values}
    wanted = {name for name in place.key if completed.get(name) is None}
    for name, text in place.derived.items() if wanted else ():
        if completed.get(name) is None:
            try:
                completed[name] = evaluated(text, completed, place.types.get(name, "text"))
            except NotComputable:
                if name in wanted:
                    return f"its key has `{name}`, which is computed from what is not known here"
    missing = [name for name in place.key if completed.get(name) is None]
    if missing:
        return f"its key has {', '.join(f'`{name}`' for name in missing)}, which is not known"
    return completed
