"""Records how far a customer file was sent, so that the next start continues there.

It is updated as the broker confirms. If the producer dies, unconfirmed rows and at most
`SAVE_SECONDS` of confirmed ones, about `LARGEST_QUEUE` rows in all, are sent again. An id that is
sent twice counts once; an incomplete row that is sent twice becomes two alerts.
"""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Final

from producers.csv_source import CsvSource, SourceError
from runtime import remedies
from runtime.files import write_whole

SAVE_SECONDS: Final = 0.2
# Rows that may be on their way at once.
LARGEST_QUEUE: Final = 1000


@dataclass(frozen=True)
class Place:
    """Where a file continues: everything before is on the topic, or was reported as skipped.

    `position` is in bytes of the text; 0 is before the header. `topic_identity` is another one for
    a topic that was deleted and created again; empty if it is not known.
    """

    source: str
    topic: str
    version: str
    topic_identity: str = ""
    position: int = 0
    line: int = 1
    delivered: int = 0
    skipped: int = 0
    complete: bool = False


class ProgressFile:
    """The recorded progress of one source and topic."""

    def __init__(self, home: Path, source: CsvSource, topic: str, topic_identity: str) -> None:
        self._start = Place(source.name, topic, source.version, topic_identity)
        name = sha256(f"{source.name}\n{topic}".encode()).hexdigest()[:16]
        self.path = home / "producers" / f"customers-{name}.json"
        self.is_of_another_topic = False

    def read(self, *, from_start: bool) -> Place:
        """Where to begin; at the start for a topic that has none of the rows sent before.

        Raises:
            SourceError: the file was changed since, or the record cannot be read.
        """
        if from_start or not self.path.exists():
            return self._start
        try:
            place = Place(**json.loads(self.path.read_text(encoding="utf-8")))
        except (ValueError, TypeError, OSError) as error:
            raise SourceError(
                f"Cannot read `{self.path}`, which says how far the file was sent:"
                f" {type(error).__name__}. `{remedies.again('--from-start')}` sends the whole file"
                " again."
            ) from error
        known = {place.topic_identity, self._start.topic_identity} - {""}
        self.is_of_another_topic = len(known) > 1
        if self.is_of_another_topic:
            return self._start
        if place.version != self._start.version:
            raise SourceError(
                f"`{place.source}` was changed since {place.delivered} of its rows were sent, up to"
                f" line {place.line - 1}. `{remedies.again('--from-start')}` sends the whole file,"
                " as it is now (an id that comes twice counts once); or restore the file."
            )
        return replace(place, topic_identity="".join(known))

    def write(self, place: Place) -> None:
        """Replace the record atomically."""
        write_whole(self.path, json.dumps(asdict(place), indent=1))


class Watermark:
    """Advances the recorded progress over rows that are settled without a gap."""

    def __init__(
        self, file: ProgressFile, place: Place, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.place = place
        self._file, self._clock, self._saved_at = file, clock, clock()
        # A message's number, or the number of consecutive skipped rows; the position after them.
        self._waiting = deque[tuple[int, bool, int, int]]()
        self._confirmed: set[int] = set()

    def sent(self, number: int, next_position: int, next_line: int) -> None:
        """Note that a row was sent as message `number`, and where the file continues after it."""
        self._waiting.append((number, True, next_position, next_line))

    def skipped(self, next_position: int, next_line: int) -> None:
        """Note that a row was reported as skipped."""
        run = 1
        if self._waiting and not self._waiting[-1][1]:
            run += self._waiting.pop()[0]
        self._waiting.append((run, False, next_position, next_line))

    def confirmed(self, number: int) -> None:
        """Note that the broker has message `number`."""
        self._confirmed.add(number)
        if self._clock() - self._saved_at >= SAVE_SECONDS:
            self.save()

    def save(self, *, at_end: bool = False) -> None:
        """Write the record; at the file's end, mark it complete if no message is unconfirmed."""
        position, line = self.place.position, self.place.line
        delivered, skipped = self.place.delivered, self.place.skipped
        while self._waiting and self._is_settled(*self._waiting[0][:2]):
            number, is_message, position, line = self._waiting.popleft()
            if is_message:
                delivered += 1
                self._confirmed.discard(number)
            else:
                skipped += number
        self.place = replace(
            self.place, position=position, line=line, delivered=delivered, skipped=skipped,
            complete=at_end and not self._waiting,
        )  # fmt: skip
        self._file.write(self.place)
        self._saved_at = self._clock()

    def _is_settled(self, number: int, is_message: bool) -> bool:
        return not is_message or number in self._confirmed
