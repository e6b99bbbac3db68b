"""Finds one record's way through the platform: by its id, or by where its message is.

Tables are asked by key, files by the batch that wrote them, other topics by that batch's time; the
newest messages of the topic are searched for further arrivals. Everything has a bound, and what was
not searched is said. Spark is not needed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from errors import MillraceError
from operations.masking import MASK, masked_columns, writable_value
from operations.messages_at import Place
from operations.overview.records import place_of
from operations.overview.stores import OpenStores
from operations.trace.ids import columns_of, id_of_text, record_of, text_of_id
from operations.trace.in_stores import InStores
from operations.trace.model import Arrival, BatchOf, Limits, RecordTrace, Trace
from operations.trace.notes import Notes, Seen
from operations.trace.on_broker import MOST_ARRIVALS, OnBroker
from operations.trace.outcome import judge
from operations.trace.redrives import redriven_from, redrives_of
from operations.trace.search import Wanted
from runtime.config.topic_names import dead_letter_topic
from spark_jobs.pipeline import Pipeline
from spark_jobs.sinks.topics import TopicsSink
from spark_jobs.state.instants import instant_or_number
from spark_jobs.targets import PLACE

__all__ = ["Limits", "find"]
COORDINATES: Final = re.compile(r"(?P<topic>.+)/(?P<partition>\d{1,9})/(?P<offset>\d{1,18})")
Columns = dict[str, Any]


def find(
    stores: OpenStores,
    asked: str,
    pipelines: Sequence[Pipeline],
    limits: Limits | None = None,
) -> Trace:
    """The way of a record in each of the pipelines that may have it.

    `asked` is an id, or `topic/partition/offset` of a topic that one of them reads.
    """
    by_topic = {each.topic(stores.settings): each for each in pipelines}
    place = COORDINATES.fullmatch(asked.strip())
    if place and place["topic"] not in by_topic:
        place = None
    chosen = [by_topic[place["topic"]]] if place else pipelines
    found, troubles = list[RecordTrace](), list[str]()
    for pipeline in chosen:
        try:
            finder = _Finder(stores, pipeline, limits or Limits())
            if place:
                found.append(finder.by_place((int(place["partition"]), int(place["offset"]))))
            elif wanted := wanted_id(pipeline, asked):
                found.append(finder.by_id(wanted))
        except MillraceError as error:
            troubles.append(f"{pipeline.name}: {error}")
    shown = MASK if not place and any(map(_hides_id, chosen)) else asked
    return Trace(shown, datetime.now(UTC), tuple(found), tuple(dict.fromkeys(troubles)))


def wanted_id(pipeline: Pipeline, text: str) -> Wanted | None:
    """What to look for; None if an id of the pipeline has another number of parts."""
    columns = id_of_text(pipeline, text)
    if columns is None and len(pipeline.id_columns) > 1:
        return None
    return Wanted(pipeline, text, columns)


def _hides_id(pipeline: Pipeline) -> bool:
    """Whether the contract says that an id must not be shown."""
    ids = pipeline.id_columns
    return not masked_columns(pipeline, ids).isdisjoint(ids)


class _Finder:
    """Looks for one record of a pipeline, within limits."""

    def __init__(self, stores: OpenStores, pipeline: Pipeline, limits: Limits) -> None:
        self._pipeline, self._settings = pipeline, stores.settings
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
        # First the stored one, as only so many are shown.
        for row in self._in_stores.rows:
            if row.source and (place := place_of(row.source)):
                arrivals.setdefault(place, Seen(self._topic, place))
        for place, message in self._broker.search(wanted).items():
            arrivals.setdefault(place, Seen(self._topic, place)).message = message
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
        if more := len(found) - len(arrivals):
            self._notes.miss(f"{more} more arrivals that were found", "not shown")
        self._broker.read(arrivals)
        self._in_stores.read_ledger(arrivals)
        arrivals.sort(key=lambda each: each.order)
        for each in arrivals:
            self._find_rows(each, known)
        stored = self._in_stores.stored_sources(arrivals)
        first = next((each for each in arrivals if each.letter is None), None)
        shown = (self._arrival(each, stored, is_first=each is first) for each in arrivals)
        return RecordTrace(
            self._pipeline.name,
            self._topic,
            MASK if text and _hides_id(self._pipeline) else text,
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
        place = {"kafka_topic": self._topic} | dict(zip(PLACE, seen.place, strict=True))
        known = self._columns(seen) | known | place
        self._in_stores.look_up(known)
        is_forwarded = TopicsSink in self._in_stores.kinds
        names = self._pipeline.forward_topics(self._settings) if is_forwarded else ()
        for read_by in seen.batches:
            self._in_stores.find_in_files(read_by, known)
            for name in names:
                for message in self._broker.copies(name, seen, read_by):
                    self._in_stores.keep_forwarded(message, seen.source)

    def _find_letter(self, seen: Seen) -> None:
        """The bytes of a rejected message that is no longer on its topic."""
        if seen.letter is None or seen.message is not None or seen.copy is not None:
            return
        for read_by in seen.batches[:1]:
            copies = self._broker.copies(dead_letter_topic(self._topic), seen, read_by)
            seen.copy = copies[0] if copies else None

    def _columns(self, seen: Seen) -> Columns:
        message = seen.message or seen.copy
        record = record_of(message.value()) if message else None
        return columns_of(self._pipeline, record) if record is not None else {}

    def _arrival(self, seen: Seen, stored: frozenset[str], *, is_first: bool) -> Arrival | None:
        message = seen.message or seen.copy
        absent = None if message else self._broker.absence(seen.place)
        if absent and not (seen.batches or seen.letter or seen.source in stored):
            self._notes.miss(seen.source, absent)
            return None
        # A duplicate came after an arrival that is stored.
        is_new = (self._in_stores.is_certain and not stored) or (self._broker.has_all and is_first)
        ends, lost_by = self._in_stores.confirmed_ends, self._in_stores.lost_by(seen)
        outcome, why = judge(seen, stored, ends, lost_by, is_new=is_new)
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
            letter=self._broker.letter(seen),
            redrives=redrives_of(message),
            redriven_from=redriven_from(seen.message),
        )
