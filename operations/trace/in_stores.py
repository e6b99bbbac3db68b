"""What the stores have of a record: rows by key, rows in a batch's files, ledger, dead letters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property, partial
from typing import Any

from operations.overview.stores import OpenStores
from operations.trace.batches import Batches, ReadBy
from operations.trace.files import find_in_files
from operations.trace.lookup import look_up, places_of
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
from spark_jobs.targets import FileSet

# Sinks of which rows are looked up here or on the broker, and the one that holds none.
ANSWERING = (CassandraSink, PostgresSink, FilesSink, TopicsSink, MongoAggregates)


class InStores:
    """Asks the stores of one pipeline; keeps the rows that it finds.

    Attributes:
        is_certain: Whether a table that holds every stored record was asked for the id.
    """

    def __init__(self, notes: Notes, stores: OpenStores, pipeline: Pipeline) -> None:
        self._notes, self._stores, self._pipeline = notes, stores, pipeline
        self._settings = stores.settings
        self._topic = pipeline.topic(stores.settings)
        self._rows: dict[str, StoredRow] = {}
        self._files_asked: set[tuple[str, str, int]] = set()
        self._holding: set[tuple[str, int]] = set()
        self.is_certain = False

    @property
    def rows(self) -> tuple[StoredRow, ...]:
        """All that was found."""
        return tuple(self._rows.values())

    def keep(self, row: StoredRow) -> None:
        """Keep a row, once."""
        self._rows.setdefault(repr(row), row)

    @cached_property
    def kinds(self) -> Mapping[type[Sink], list[Sink]]:
        """The sinks that settings name, and those that the last batch was written to."""
        names: set[str] = set()
        self._notes.attempt(
            LEDGER, lambda: names.update(*(last.sinks for last in self._batches.lasts))
        )
        wider = tuple(n for n in SINK_MODULES if n in names or n in self._settings.sinks)
        settings = self._settings.model_copy(update={"sinks": wider})
        return kinds_of([self._pipeline], settings)

    def look_up(self, known: Mapping[str, Any]) -> None:
        """Ask the tables whose keys are known; without an id these are few."""
        has_id = {*self._pipeline.id_columns} <= {*known}
        places = places_of(self._pipeline, self.kinds, self._stores)
        found = look_up(self._pipeline, self._topic, places, known)
        for row in found.rows:
            self.keep(row)
        for name in found.asked:
            self._notes.search(name)
        self.is_certain = self.is_certain or found.is_certain
        for name, why in found.not_asked.items() if has_id else ():
            self._notes.miss(name, why)
        for kind, sinks in self.kinds.items():
            if kind not in ANSWERING:
                self._notes.miss(sinks[0].store, "only Spark reads its rows")

    def read_ledger(self, arrivals: Sequence[Seen]) -> None:
        """Find batches and dead letters of arrivals."""

        def work() -> None:
            database = self._stores.database
            sources = {each.source: each for each in arrivals}
            for each in arrivals:
                each.batches = self._batches.of(each.place)
            for document in database[LETTERS].find({"_id": {"$in": [*sources]}}):
                sources[document["_id"]].letter = document
            self._notes.search(LEDGER)

        if arrivals:
            self._notes.attempt(LEDGER, work)

    def find_in_files(self, read_by: ReadBy, known: Mapping[str, Any]) -> None:
        """Look into the files of a batch, once for each set."""
        entry = read_by.entry
        for file_set in self._pipeline.file_sets if FilesSink in self.kinds else ():
            if (mark := (file_set.name, entry.query_id, entry.batch_id)) in self._files_asked:
                continue
            self._files_asked.add(mark)
            self._notes.attempt(
                f"{FilesSink.store} {file_set.name}",
                partial(self._search_set, file_set, read_by, known),
            )

    def _search_set(self, file_set: FileSet, read_by: ReadBy, known: Mapping[str, Any]) -> None:
        entry, name = read_by.entry, f"{FilesSink.store} {file_set.name}"
        found = find_in_files(self._settings, self._pipeline, file_set, entry, known)
        for row in found.rows:
            self.keep(row)
            self._holding.add((entry.pipeline, entry.batch_id))
        if found.not_searched:
            self._notes.miss(name, found.not_searched)
        else:
            self._notes.search(f"{name}, batch {entry.batch_id}")

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
        found: dict[int, int] = {}
        self._notes.attempt(LEDGER, lambda: found.update(self._batches.ends))
        return found

    def lost_by(self, seen: Seen) -> int | None:
        """The batch with which the loss of an arrival was accepted, if it was passed over."""
        found: list[int | None] = [None]
        if not seen.batches and seen.place[1] < self.confirmed_ends.get(seen.place[0], 0):
            self._notes.attempt(LEDGER, lambda: found.append(self._batches.lost(seen.place)))
        return found[-1]
