"""Searches the newest messages of a topic for a record's id, within a bound that is reported."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from operations.messages_at import Place, newest_ranges
from operations.pipelines import read_ranges
from operations.trace.ids import record_of, sent_value, value_of
from settings import Settings
from spark_jobs.pipeline import Pipeline
from spark_jobs.state.offset_ranges import width

# Messages with one id that are shown.
MOST_ARRIVALS: Final = 20
# A shorter id would be found in the bytes of many unreadable messages.
SHORTEST_MENTION: Final = 6


@dataclass(frozen=True)
class Wanted:
    """An id: as it was typed, and the columns of records that have it; None if none can."""

    pipeline: Pipeline
    text: str
    columns: Mapping[str, Any] | None

    def is_in(self, value: bytes | None) -> bool:
        """Whether a message has the id; of one that cannot be read, whether it has the text."""
        # Parsing takes far longer than this; an escape may hide the text.
        if not value or (b"\\" not in value and self._needle not in value.lower()):
            return False
        record = record_of(value)
        if record is None:
            return len(self.text) >= SHORTEST_MENTION and self._bytes in value
        if self.columns is not None:
            return bool(self._fields) and all(
                value_of(field, sent_value(record, field)) == self.columns[str(field.column)]
                for field in self._fields
            )
        sent = (sent_value(record, field) for field in self._fields)
        return any(str(each) == self.text for each in sent)

    @cached_property
    def _fields(self) -> list[Any]:
        names = self.pipeline.id_columns
        return [field for field in self.pipeline.contract.fields if field.column in names]

    @cached_property
    def _bytes(self) -> bytes:
        # A terminal may pass what is no Unicode text.
        return self.text.encode(errors="surrogateescape")

    @cached_property
    def _needle(self) -> bytes:
        """Bytes that every message with the id has, in lower case; empty if there are none."""
        if self.columns is None:
            return self._bytes.lower()
        # Numbers, times and enumerations may be written in several ways.
        free = {f.column for f in self._fields if f.kind in {"string", "uuid", "email"}}
        free -= {f.column for f in self._fields if f.values}
        texts = [v for n, v in self.columns.items() if n in free and isinstance(v, str)]
        return max(texts, key=len, default="").encode().lower()


@dataclass(frozen=True)
class Searched:
    """What a search found.

    Attributes:
        found: The messages with the id, at most `MOST_ARRIVALS`.
        matches: How many there are.
        offsets: How many offsets were to be searched.
        is_whole: Whether these are all that the broker has.
        searched: How many messages were searched if the time ended before; else None.
    """

    found: dict[Place, Any]
    matches: int
    offsets: int
    is_whole: bool
    searched: int | None = None

    @property
    def title(self) -> str:
        """What was searched, in words."""
        which = "all" if self.is_whole else "the newest"
        if self.searched is None:
            return f"{which} {self.offsets} offsets"
        return f"{self.searched} messages among {which} {self.offsets} offsets"


def search(
    settings: Settings,
    topic: str,
    offsets: Mapping[int, Place],
    wanted: Wanted,
    most: int,
    seconds: float,
) -> Searched:
    """Search the newest `most` messages of a topic, for so many seconds.

    Raises:
        JobError: the broker stopped answering.
    """
    ranges = newest_ranges(offsets, most)
    found, matches, until = dict[Place, Any](), 0, time.monotonic() + seconds
    for number, message in enumerate(read_ranges(settings, topic, ranges)):
        if time.monotonic() > until:
            return Searched(found, matches, width(ranges), ranges == dict(offsets), number)
        if wanted.is_in(message.value()):
            matches += 1
            if matches <= MOST_ARRIVALS:
                found[message.partition(), message.offset()] = message
    return Searched(found, matches, width(ranges), ranges == dict(offsets))
