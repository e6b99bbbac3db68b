"""What the broker has of a record: messages, dead letters, what was forwarded and sent back."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Any, Final

from errors import MillraceError
from operations.dead_letters.reader import PARKED, REDRIVEN, WAITING
from operations.messages_at import Place, messages_at, newest_ranges, ranges_between
from operations.overview.stores import OpenStores
from operations.pipelines import read_ranges, topic_offsets
from operations.trace.batches import ReadBy
from operations.trace.model import Letter, Limits
from operations.trace.notes import Notes, Seen
from operations.trace.redrives import read_notes, redrives_of, sent_back
from operations.trace.search import Wanted
from runtime.config.topic_names import dead_letter_topic
from spark_jobs.state.offset_ranges import width

# Messages with one id that are shown.
MOST_ARRIVALS: Final = 20


class OnBroker:
    """Reads a topic and those that its job writes to, within limits.

    Attributes:
        has_all: Whether every message that the topic ever had was searched.
    """

    def __init__(self, notes: Notes, stores: OpenStores, topic: str, limits: Limits) -> None:
        self._notes, self._settings, self._stores = notes, stores.settings, stores
        self._topic, self._most, self._seconds = topic, limits.messages, limits.seconds
        self._name = f"topic {topic}"
        self.has_all = False

    @cached_property
    def offsets(self) -> Mapping[int, Place]:
        """Partition -> first offset and the one after the last; empty without an answer."""

        def ask() -> Mapping[int, Place]:
            given = self._settings, self._topic
            return self._stores.asked("kafka", lambda: topic_offsets(*given))

        return self._notes.attempt(self._name, ask) or {}

    def search(self, wanted: Wanted) -> dict[Place, Any]:
        """The messages with an id among the newest; at most `MOST_ARRIVALS`."""
        found: dict[Place, Any] = {}
        if self.offsets and self._most:
            self._notes.attempt(self._name, lambda: self._search(wanted, found))
        return found

    def _search(self, wanted: Wanted, found: dict[Place, Any]) -> None:
        ranges, until = newest_ranges(self.offsets, self._most), time.monotonic() + self._seconds
        matches, searched, is_whole = 0, "", ranges == self.offsets
        which = f"{'all' if is_whole else 'the newest'} {width(ranges)} offsets of {self._topic}"
        for number, message in enumerate(read_ranges(self._settings, self._topic, ranges)):
            if time.monotonic() > until:
                searched, is_whole = f"{number} messages among ", False
                break
            if wanted.is_in(message.value()):
                matches += 1
                if matches <= MOST_ARRIVALS:
                    found[message.partition(), message.offset()] = message
        first = {low for low, _ in self.offsets.values()}
        self.has_all = is_whole and first <= {0} and matches == len(found)
        self._notes.search(f"{searched}{which}")
        if not is_whole:
            self._notes.miss(
                f"other messages of {self._topic}",
                "a duplicate or rejected arrival may be among them; --search sets how many are"
                " searched",
            )
        if matches > MOST_ARRIVALS:
            self._notes.miss(f"{matches - MOST_ARRIVALS} more arrivals", "not shown")

    def read(self, arrivals: Iterable[Seen]) -> None:
        """Read the messages of arrivals that have none yet."""
        ahead = {each.place: each for each in arrivals if each.message is None}
        given = self._settings, self._topic, [*ahead], self.offsets
        if ahead and self.offsets:
            found = self._notes.attempt(self._name, lambda: messages_at(*given)) or {}
            for place, message in found.items():
                ahead[place].message = message

    def copies(self, name: str, seen: Seen, read_by: ReadBy) -> list[Any]:
        """What a batch sent to another topic of an arrival."""
        place = f"topic {name}"
        numbers = zip(("source_partition", "source_offset"), map(str, seen.place), strict=True)
        wanted = {(key, text.encode()) for key, text in (("source_topic", self._topic), *numbers)}

        def work() -> list[Any]:
            window = read_by.window_ms
            offsets = topic_offsets(self._settings, name)
            ranges = window and ranges_between(self._settings, name, *window, offsets)
            if ranges is None or width(ranges) > self._most:
                raise MillraceError("too many messages came with the batch's")
            self._notes.search(f"{place}, while batch {read_by.entry.batch_id} was written")
            messages = read_ranges(self._settings, name, ranges)
            return [each for each in messages if wanted <= {*(each.headers() or [])}]

        return (self._notes.attempt(place, work) if self.offsets else None) or []

    def letter(self, seen: Seen) -> Letter | None:
        """An arrival's dead letter, whether it was sent back, and as which message."""
        if seen.letter is None:
            return None
        sent, is_whole = self._redrives
        state, to = WAITING if is_whole else None, None
        if seen.place in sent:
            state = REDRIVEN
            given = self._settings, self._topic, self.offsets, seen.source, sent[seen.place]
            to = self._notes.attempt(self._name, lambda: sent_back(*given, self._most))
        elif redrives_of(seen.message or seen.copy) >= self._settings.max_redrives:
            state = PARKED
        where = f"{self._topic}/{to.partition()}/{to.offset()}" if to else None
        return Letter(dead_letter_topic(self._topic), seen.reasons, state, where)

    @cached_property
    def _redrives(self) -> tuple[dict[Place, int], bool]:
        if not self.offsets:
            return {}, False
        given = self._settings, self._topic, self._most
        return self._notes.attempt("notes of redrives", lambda: read_notes(*given)) or ({}, False)

    def absence(self, place: Place) -> str:
        """Why a message cannot be shown."""
        partition, offset = place
        if not self.offsets:
            return "the topic could not be read"
        if partition not in self.offsets:
            return f"the topic has no partition {partition}"
        low, high = self.offsets[partition]
        if offset < low:
            return f"expired: the topic begins at offset {low} of partition {partition}"
        if offset >= high:
            return f"the topic ends before offset {high} of partition {partition}"
        return "there is no message at this offset"
