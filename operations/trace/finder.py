"""Finds the arrivals of one record in one pipeline, and the rows that hold it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from operations.masking import MASK, masked_columns, writable_value
from operations.messages_at import Place
from operations.overview.records import place_of
from operations.overview.stores import OpenStores
from operations.trace.copies import forwarded_row
from operations.trace.ids import columns_of, record_of, text_of_id
from operations.trace.in_stores import InStores
from operations.trace.limits import Limits
from operations.trace.model import Arrival, BatchOf, RecordTrace
from operations.trace.notes import Notes, Seen
from operations.trace.on_broker import OnBroker
from operations.trace.outcome import Known, judge
from operations.trace.redrives import redriven_from, redrives_of
from operations.trace.search import MOST_ARRIVALS, Wanted
from runtime.config.topic_names import dead_letter_topic
from spark_jobs.pipeline import Pipeline
from spark_jobs.sinks.topics import TopicsSink
from spark_jobs.state.instants import instant_or_number
from spark_jobs.targets import PLACE

Columns = dict[str, Any]


class Finder:
    """Looks for one record of a pipeline, within limits."""

    def __init__(self, stores: OpenStores, pipeline: Pipeline, limits: Limits) -> None:
        self._pipeline, self._stores = pipeline, stores
        self._topic = pipeline.topic(stores.settings)
        self._notes = Notes(stores.settings)
        self._broker = OnBroker(self._notes, stores, self._topic, limits)
        self._in_stores = InStores(self._notes, stores, pipeline)

    def by_id(self, wanted: Wanted, seen: Iterable[Seen] = ()) -> RecordTrace:
        """The record with this id; `seen` are arrivals that are known already."""
        known = dict(wanted.columns or {})
        if known:
            self._in_stores.look_up(known)
        else:
            self._notes.miss("stores", f"no record of {self._pipeline.name} can have this id")
        arrivals = {each.place: each for each in seen}
        for place, message in self._broker.search(wanted).items():
            arrivals.setdefault(place, Seen(self._topic, place)).message = message
        for row in self._in_stores.rows:
            if row.source and (found := place_of(row.source)):
                arrivals.setdefault(found, Seen(self._topic, found))
        return self._trace([*arrivals.values()], known, text_of_id(self._pipeline, known))

    def by_place(self, place: Place) -> RecordTrace:
        """The record whose message is at this partition and offset."""
        seen = Seen(self._topic, place)
        self._broker.read([seen])
        if seen.message is None:
            # A dead letter has the bytes of a message that expired.
            self._in_stores.read_ledger([seen])
            self._find_letter(seen)
        columns = self._columns(seen)
        text = text_of_id(self._pipeline, columns)
        if text is not None:
            own = {name: columns[name] for name in self._pipeline.id_columns}
            return self.by_id(Wanted(self._pipeline, text, own), [seen])
        return self._trace([seen], {}, None)

    def _trace(self, found: Sequence[Seen], known: Columns, text: str | None) -> RecordTrace:
        arrivals = list(found[:MOST_ARRIVALS])
        self._broker.read(arrivals)
        self._in_stores.read_ledger(arrivals)
        arrivals.sort(key=lambda each: each.order)
        for each in arrivals:
            coordinates = {"kafka_topic": self._topic} | dict(zip(PLACE, each.place, strict=True))
            self._find_rows(each, self._columns(each) | known | coordinates)
        stored = self._in_stores.stored_sources(arrivals)
        first = next((each for each in arrivals if each.letter is None), None)
        shown = (self._arrival(each, stored, is_first=each is first) for each in arrivals)
        hidden = masked_columns(self._pipeline, self._pipeline.id_columns)
        is_hidden = not hidden.isdisjoint(self._pipeline.id_columns)
        return RecordTrace(
            self._pipeline.name,
            self._topic,
            MASK if is_hidden and text else text,
            tuple(each for each in shown if each is not None),
            self._in_stores.rows,
            tuple(self._notes.searched),
            tuple(f"{place}: {why}" for place, why in self._notes.missed.items()),
        )

    def _find_rows(self, seen: Seen, known: Columns) -> None:
        """Rows of an arrival: by key, in its batch's files, and forwarded with it."""
        if seen.letter is not None:
            self._find_letter(seen)
            return
        self._in_stores.look_up(known)
        for read_by in seen.batches:
            self._in_stores.find_in_files(read_by, known)
            names = self._pipeline.forward_topics(self._stores.settings)
            for name in names if TopicsSink in self._in_stores.kinds else ():
                self._broker.find_copies(
                    name,
                    seen,
                    read_by,
                    lambda message: self._in_stores.keep(
                        forwarded_row(self._pipeline, message, seen.source)
                    ),
                )

    def _find_letter(self, seen: Seen) -> None:
        """The bytes of a rejected message that is no longer on its topic."""
        if seen.letter is None or seen.message is not None or seen.copy is not None:
            return

        def keep(message: Any) -> None:
            seen.copy = seen.copy or message

        for read_by in seen.batches[:1]:
            name = dead_letter_topic(self._topic)
            self._broker.find_copies(name, seen, read_by, keep)

    def _columns(self, seen: Seen) -> Columns:
        message = seen.message or seen.copy
        record = record_of(message.value()) if message else None
        return columns_of(self._pipeline, record) if record is not None else {}

    def _arrival(self, seen: Seen, stored: frozenset[str], *, is_first: bool) -> Arrival | None:
        message = seen.message or seen.copy
        is_known = message or seen.batches or seen.letter or seen.source in stored
        absent = None if message else self._broker.absence(seen.place)
        if not is_known and absent:
            self._notes.miss(seen.source, absent)
            return None
        letter = self._broker.letter(seen)
        outcome, why = judge(self._known(seen, stored, is_first=is_first))
        return Arrival(
            source=seen.source,
            timestamp=instant_or_number(seen.message.timestamp()[1]) if seen.message else None,
            outcome=outcome,
            why=why,
            reasons=seen.reasons,
            value=writable_value(message.value(), self._pipeline.contract) if message else None,
            absent=absent,
            batches=tuple(
                BatchOf(r.entry.pipeline, r.entry.batch_id, r.confirmed_at, r.entry.sinks)
                for r in seen.batches
            ),
            letter=letter,
            redrives=redrives_of(message) if message else 0,
            redriven_from=redriven_from(seen.message) if seen.message else None,
        )

    def _known(self, seen: Seen, stored: frozenset[str], *, is_first: bool) -> Known:
        ends = self._in_stores.confirmed_ends
        # A duplicate came after an arrival that is stored.
        is_new = (self._in_stores.is_certain and not stored) or (self._broker.has_all and is_first)
        return Known(
            source=seen.source,
            offset=seen.place[1],
            stored=stored,
            is_new=is_new,
            reasons=seen.reasons,
            is_rejected=seen.letter is not None,
            counts=tuple(each.entry.counts for each in seen.batches),
            confirmed_end=ends.get(seen.place[0], 0),
            lost_by=self._in_stores.lost_by(seen),
            has_ledger=bool(ends),
        )
