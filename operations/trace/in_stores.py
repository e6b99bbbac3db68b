"""What the stores have of a record: rows by key, rows in a batch's files, ledger, dead letters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property, partial
from typing import Any

from errors import MillraceError
from operations.overview.stores import OpenStores
from operations.trace.batches import Batches, ReadBy
from operations.trace.files import find_in_files
from operations.trace.ids import comparable, is_record, record_of
from operations.trace.lookup import KeyedTable, stored_row, tables_of
from operations.trace.model import StoredRow
from operations.trace.notes import LEDGER, Notes, Seen
from runtime.config.sink_modules import SINK_MODULES
from spark_jobs.pipeline import Pipeline
from spark_jobs.sinks.base import Sink
from spark_jobs.sinks.cassandra import CassandraSink
from spark_jobs.sinks.dead_letters import COLLECTION as LETTERS
from spark_jobs.sinks.files.sink import FilesSink
from spark_jobs.sinks.mongodb import MongoAggregates
from spark_jobs.sinks.postgres import PostgresSink
from spark_jobs.sinks.registry import kinds_of
from spark_jobs.sinks.topics import TopicsSink
from spark_jobs.targets import PLACE

# Sinks of which rows are looked up here or on the broker, and the one that holds none.
ANSWERING = (CassandraSink, PostgresSink, FilesSink, TopicsSink, MongoAggregates)


class InStores:
    """Asks the stores of one pipeline; keeps the rows that it finds."""

    def __init__(self, notes: Notes, stores: OpenStores, pipeline: Pipeline) -> None:
        self._notes, self._stores, self._pipeline = notes, stores, pipeline
        self._settings = stores.settings
        self._topic = pipeline.topic(stores.settings)
        self._rows: dict[str, StoredRow] = {}
        self._files_asked: set[tuple[str, str, int, tuple[Any, ...]]] = set()
        self._holding: set[tuple[str, int]] = set()
        # Whether a table that holds every stored record was asked for the id.
        self.is_certain = False

    @property
    def rows(self) -> tuple[StoredRow, ...]:
        """All that was found."""
        return tuple(self._rows.values())

    def _keep(self, row: StoredRow) -> None:
        """Keep a row, once."""
        self._rows.setdefault(repr(row), row)

    @cached_property
    def _tables(self) -> list[KeyedTable]:
        return tables_of(self._pipeline, self.kinds, self._stores)

    @cached_property
    def kinds(self) -> Mapping[type[Sink], list[Sink]]:
        """The sinks that settings name, and those that the last batch was written to."""
        lasts = self._notes.attempt(LEDGER, lambda: self._batches.lasts) or []
        names = {*self._settings.sinks}.union(*(last.sinks for last in lasts))
        wider = tuple(name for name in SINK_MODULES if name in names)
        return kinds_of([self._pipeline], self._settings.model_copy(update={"sinks": wider}))

    def keep_forwarded(self, message: Any, source: str) -> None:
        """Keep a forwarded record as a row."""
        place = f"{message.topic()}/{message.partition()}/{message.offset()}"
        row = record_of(message.value(), float) or {}
        self._keep(stored_row(self._pipeline, TopicsSink.store, place, row, source))

    def look_up(self, known: Mapping[str, Any]) -> None:
        """Ask the tables whose keys are known; what their rows say is known from then on.

        The coordinates of a message stay as given: another one may have left the row.
        """
        ids = {*self._pipeline.id_columns}
        values, missed = dict(known), dict[str, str]()
        ahead, has_row, is_certain = self._tables, False, False
        while True:
            waiting = []
            for table in ahead:
                completed = table.completed(values, has_row=has_row)
                if isinstance(completed, str):
                    missed[table.title] = completed
                    waiting.append(table)
                    continue
                missed.pop(table.title, None)
                try:
                    rows = self._ask(table, completed, values)
                except MillraceError as error:
                    missed[table.title] = str(error)
                    continue
                self._notes.search(table.title)
                is_certain |= table.is_complete and ids <= {*values}
                for row in rows:
                    has_row = True
                    new = {n: comparable(v) for n, v in row.items() if n not in PLACE}
                    values |= {name: value for name, value in new.items() if value is not None}
            if len(waiting) == len(ahead):
                break
            ahead = waiting
        self.is_certain = self.is_certain or is_certain
        # Of an id that never came no table has a row. Of a message that came each may have one,
        # also where the first table has lost its row.
        came = {*PLACE} <= {*known}
        absent = {t.title for t in ahead if t.is_complete and is_certain and not (has_row or came)}
        for name, why in missed.items() if ids <= {*known} else ():
            if name not in absent:
                self._notes.miss(name, why)
        for kind, sinks in self.kinds.items():
            if kind not in ANSWERING:
                self._notes.miss(sinks[0].store, "only Spark reads its rows")

    def _ask(
        self, table: KeyedTable, completed: Mapping[str, Any], values: Mapping[str, Any]
    ) -> list[dict[str, Any]]:
        """The rows of the record in a table, which are kept."""
        # An alert is identified by its message.
        by_place = {*PLACE} <= {*table.key}
        found = [
            row
            for row in table.ask(completed)
            if is_record(self._pipeline, row, values, by_place=by_place)
        ]
        for row in found:
            is_named = {*PLACE} <= {*row}
            place = f"{self._topic}/{row[PLACE[0]]}/{row[PLACE[1]]}" if is_named else None
            self._keep(stored_row(self._pipeline, table.store, table.name, row, place))
        return found

    def read_ledger(self, arrivals: Sequence[Seen]) -> None:
        """Find batches and dead letters of arrivals."""

        def work() -> None:
            sources = {each.source: each for each in arrivals}
            for each in arrivals:
                each.batches = self._batches.of(each.place)
            for document in self._stores.database[LETTERS].find({"_id": {"$in": [*sources]}}):
                sources[document["_id"]].letter = document
            self._notes.search(LEDGER)

        if arrivals:
            self._notes.attempt(LEDGER, work)

    def find_in_files(self, read_by: ReadBy, known: Mapping[str, Any]) -> None:
        """Look into the files of a batch, once for each row that a set may have."""
        entry = read_by.entry
        for file_set in self._pipeline.file_sets if FilesSink in self.kinds else ():
            # A set that has each message's place has a row for each arrival.
            names = {*PLACE} & {*file_set.schema.names}
            of_message = tuple(known.get(name) for name in PLACE if name in names)
            mark = (file_set.name, entry.query_id, entry.batch_id, of_message)
            if mark in self._files_asked:
                continue
            self._files_asked.add(mark)
            place = f"{FilesSink.store} {file_set.name}"
            given = self._settings, self._pipeline, file_set, entry, known
            found = self._notes.attempt(place, partial(find_in_files, *given))
            if found is not None:
                self._notes.search(f"{place}, batch {entry.batch_id}")
            for row in found or ():
                self._keep(row)
                self._holding.add((entry.pipeline, entry.batch_id))

    def stored_sources(self, arrivals: Sequence[Seen]) -> frozenset[str]:
        """Arrivals of which rows were found.

        A row in a file may not name its message: it is the first arrival of its batch, and
        `arrivals` are in that order.
        """
        named = {row.source for row in self._rows.values() if row.source}
        for each in arrivals if not named else ():
            marks = {(one.entry.pipeline, one.entry.batch_id) for one in each.batches}
            if each.letter is None and marks & self._holding:
                return frozenset({each.source})
        return frozenset(named)

    @cached_property
    def _batches(self) -> Batches:
        return Batches(self._stores.database, self._pipeline)

    @cached_property
    def confirmed_ends(self) -> Mapping[int, int]:
        """Partition -> the offset up to which the pipeline has read."""
        return self._notes.attempt(LEDGER, lambda: self._batches.ends) or {}

    def lost_by(self, seen: Seen) -> int | None:
        """The batch with which the loss of an arrival was accepted, if it was passed over."""
        if seen.batches or seen.place[1] >= self.confirmed_ends.get(seen.place[0], 0):
            return None
        return self._notes.attempt(LEDGER, lambda: self._batches.lost(seen.place))
