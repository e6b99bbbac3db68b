"""What the broker has of a record: messages, dead letters, what was forwarded and sent back."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from typing import Any

from operations.messages_at import Place, messages_at
from operations.overview.stores import OpenStores
from operations.pipelines import topic_offsets
from operations.trace.batches import ReadBy
from operations.trace.copies import copies_of
from operations.trace.limits import Limits
from operations.trace.model import Letter
from operations.trace.notes import Notes, Seen
from operations.trace.redrives import Redrives, read_notes, redrives_of, sent_back
from operations.trace.search import MOST_ARRIVALS, Wanted, search
from runtime.config.topic_names import dead_letter_topic


class OnBroker:
    """Reads a topic and those that its job writes to, within limits.

    Attributes:
        has_all: Whether every message that the topic ever had was searched.
    """

    def __init__(self, notes: Notes, stores: OpenStores, topic: str, limits: Limits) -> None:
        self._notes, self._settings = notes, stores.settings
        self._stores = stores
        self._topic, self._most, self._seconds = topic, limits.messages, limits.seconds
        self._name = f"topic {topic}"
        self.has_all = False

    @cached_property
    def offsets(self) -> Mapping[int, Place]:
        """Partition -> first offset and the one after the last; empty without an answer."""
        found: dict[int, Place] = {}

        def ask() -> dict[int, Place]:
            return topic_offsets(self._settings, self._topic)

        self._notes.attempt(self._name, lambda: found.update(self._stores.asked("kafka", ask)))
        return found

    def search(self, wanted: Wanted) -> dict[Place, Any]:
        """The messages with an id among the newest."""
        found: dict[Place, Any] = {}

        def work() -> None:
            result = search(
                self._settings, self._topic, self.offsets, wanted, self._most, self._seconds
            )
            found.update(result.found)
            first = {low for low, _ in self.offsets.values()}
            is_whole = result.is_whole and result.searched is None
            self.has_all = is_whole and first <= {0} and result.matches == len(result.found)
            self._notes.search(f"{result.title} of {self._topic}")
            if not is_whole:
                self._notes.miss(
                    f"other messages of {self._topic}",
                    "a duplicate or rejected arrival may be among them; --search sets how many"
                    " are searched",
                )
            if result.matches > MOST_ARRIVALS:
                self._notes.miss(f"{result.matches - MOST_ARRIVALS} more arrivals", "not shown")

        if self.offsets and self._most:
            self._notes.attempt(self._name, work)
        return found

    def read(self, arrivals: Iterable[Seen]) -> None:
        """Read the messages of arrivals that have none yet."""
        ahead = [each for each in arrivals if each.message is None]

        def work() -> None:
            places = [each.place for each in ahead]
            found = messages_at(self._settings, self._topic, places, self.offsets)
            for each in ahead:
                each.message = found.get(each.place)

        if ahead and self.offsets:
            self._notes.attempt(self._name, work)

    def find_copies(
        self,
        name: str,
        seen: Seen,
        read_by: ReadBy,
        keep: Callable[[Any], None],
    ) -> None:
        """Find what a batch sent to another topic of an arrival."""

        def work() -> None:
            window = read_by.window_ms
            found = window and copies_of(
                self._settings, name, self._topic, seen.place, window, self._most
            )
            if found is None:
                self._notes.miss(f"topic {name}", "too many messages came with the batch's")
                return
            self._notes.search(f"topic {name}, while batch {read_by.entry.batch_id} was written")
            for message in found:
                keep(message)

        if self.offsets:
            self._notes.attempt(f"topic {name}", work)

    def letter(self, seen: Seen) -> Letter | None:
        """An arrival's dead letter, whether it was sent back, and as which message."""
        if seen.letter is None:
            return None
        redrives = redrives_of(seen.message or seen.copy)
        state = self._redrives.state(seen.place, redrives, self._settings.max_redrives)
        sent, found = self._redrives.sent_ms.get(seen.place), list[Any]()
        if sent is not None:
            given = (self._settings, self._topic, self.offsets, seen.source, sent, self._most)
            self._notes.attempt(self._name, lambda: found.append(sent_back(*given)))
        to = next((f"{self._topic}/{m.partition()}/{m.offset()}" for m in found if m), None)
        return Letter(dead_letter_topic(self._topic), seen.reasons, state, to)

    @cached_property
    def _redrives(self) -> Redrives:
        found = [Redrives({}, is_whole=False)]
        if not self.offsets:
            return found[0]
        self._notes.attempt(
            "notes of redrives",
            lambda: found.append(read_notes(self._settings, self._topic, self._most)),
        )
        return found[-1]

    def absence(self, place: Place) -> str:
        """Why a message cannot be shown."""
        partition, offset = place
        if not self.offsets:
            return "the broker did not answer"
        if partition not in self.offsets:
            return f"the topic has no partition {partition}"
        low, high = self.offsets[partition]
        if offset < low:
            return f"expired: the topic begins at offset {low} of partition {partition}"
        if offset >= high:
            return f"the topic ends before offset {high} of partition {partition}"
        return "there is no message at this offset"
