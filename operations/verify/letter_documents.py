"""Compares the summaries of dead letters in MongoDB with the rejected messages, one by one.

Both come in the order of `_id`, so that only one of each is in memory.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any, Final

from pymongo.collection import Collection
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from operations.verify.differences import MOST_NAMED
from operations.verify.letter_messages import difference
from spark_jobs.state.instants import instant_or_number
from spark_jobs.state.ledger import Document
from spark_jobs.state.offset_ranges import Ranges

NUMBER: Final = re.compile(r"-?\d{1,19}", re.ASCII)
LONGEST_ID: Final = 100
Fields = dict[str, Any]


@dataclass
class Noted:
    """What differs: how many documents, and the first of them as text."""

    total: int = 0
    first: list[str] = field(default_factory=list)

    def add(self, text: str) -> None:
        """Note one more."""
        self.total += 1
        if self.total <= MOST_NAMED:
            self.first.append(text)

    def faults(self, place: str) -> list[str]:
        """As text, and how many more there are."""
        rest = self.total - len(self.first)
        more = [f"{place}: … and {rest} more"] if rest else []
        return [f"{place}: {text}" for text in self.first] + more


@dataclass(frozen=True)
class Judged:
    """What of a topic can be judged: offsets of confirmed batches, and those of known messages.

    `confirmed` has every partition of the topic.
    """

    topic: str
    confirmed: Ranges
    known: Ranges

    @cached_property
    def _own(self) -> re.Pattern[str]:
        own = rf"{re.escape(self.topic)}/(0|[1-9]\d{{0,9}})/(0|[1-9]\d{{0,18}})"
        return re.compile(own, re.ASCII)

    def coordinates(self, name: object) -> tuple[int, int] | None:
        """Partition and offset in an id; None if it names no message of the topic."""
        found = self._own.fullmatch(name) if isinstance(name, str) else None
        place = (int(found[1]), int(found[2])) if found else None
        return place if place and place[0] in self.confirmed else None


def read_documents(collection: Collection[Document], topic: str) -> Iterator[Document]:
    """The documents with the topic's ids or its name as `source_topic`, in the order of `_id`."""
    # `0` follows `/`.
    of_topic = {"_id": {"$gte": f"{topic}/", "$lt": f"{topic}0"}}
    query = {"$or": [of_topic, {"source_topic": topic}]}
    return iter(collection.find(query).sort("_id", 1).hint("_id_"))


def expected_documents(rejected: DataFrame, topic: str) -> Iterator[Fields]:
    """The document that each rejected message must have, in the order of `_id`."""
    name = F.concat_ws("/", F.lit(topic), "kafka_partition", "kafka_offset").alias("name")
    rows = rejected.select(name, "reasons", "kafka_timestamp_ms").orderBy("name")
    for row in rows.toLocalIterator():
        yield {
            "_id": row.name,
            "source_topic": topic,
            "reasons": [*row.reasons],
            "source_timestamp": instant_or_number(row.kafka_timestamp_ms),
        }


def compare_documents(
    judged: Judged,
    documents: Iterator[Document],
    expected: Iterator[Fields],
    count: Callable[[int, int], None],
) -> tuple[Noted, int]:
    """What differs, and the number of documents that name no message of the topic.

    Args:
        judged: What can be judged; where no message is known, only the form is.
        documents: As `read_documents` gives them.
        expected: As `expected_documents` gives them, of the known messages.
        count: Is given the coordinates of every other document.
    """
    noted, foreign = Noted(), 0
    for document, wanted in _paired(documents, expected):
        if document is None:
            noted.add(difference(_shown(wanted["_id"]), (), is_missing=True))
            continue
        name = document["_id"]
        if (place := judged.coordinates(name)) is None:
            foreign += 1
            text = f"{_shown(name)} is there, but names no message of {judged.topic}"
            noted.add(f"{text}: no job wrote it")
            continue
        count(*place)
        is_known = _is_inside(*place, judged.known)
        if not is_known and not _is_inside(*place, judged.confirmed):
            continue
        is_extra = is_known and not wanted
        columns = () if is_extra else _unlike(document, judged.topic, wanted)
        if is_extra or columns:
            noted.add(difference(_shown(name), columns, is_extra=is_extra))
    return noted, foreign


def _paired(documents: Iterator[Document], expected: Iterator[Fields]) -> Iterator[tuple[Any, Any]]:
    """A document and what it must be, by `_id`; None where one of the two is missing."""
    document, wanted = next(documents, None), next(expected, None)
    while document is not None or wanted is not None:
        name = None if document is None else document["_id"]
        if wanted is None or (document is not None and not isinstance(name, str)):
            yield document, None
            document = next(documents, None)
        elif document is None or wanted["_id"] < name:
            yield None, wanted
            wanted = next(expected, None)
        elif name < wanted["_id"]:
            yield document, None
            document = next(documents, None)
        else:
            yield document, wanted
            document, wanted = next(documents, None), next(expected, None)


def _unlike(document: Document, topic: str, wanted: Fields | None) -> list[str]:
    """The fields that differ, are missing or are too many; by form alone if nothing is wanted."""
    if wanted is not None:
        names = {*document, *wanted}
        return sorted(n for n in names if not _is_same(document.get(n), wanted.get(n)))
    time, reasons = document.get("source_timestamp"), document.get("reasons")
    is_list = isinstance(reasons, list) and all(isinstance(r, str) and r for r in reasons)
    is_time = isinstance(time, datetime) or (isinstance(time, str) and NUMBER.fullmatch(time))
    formed = {
        "_id": True,
        "source_topic": document.get("source_topic") == topic,
        "reasons": is_list and bool(reasons),
        "source_timestamp": bool(is_time),
    }
    return [n for n in sorted({*document} | {*formed}) if not formed.get(n)]


def _is_same(found: Any, wanted: Any) -> bool:
    """Whether two values are equal, in type too."""
    if isinstance(found, list) and isinstance(wanted, list):
        return len(found) == len(wanted) and all(map(_is_same, found, wanted))
    return type(found) is type(wanted) and bool(found == wanted)


def _is_inside(partition: int, offset: int, ranges: Ranges) -> bool:
    start, end = ranges.get(partition, (0, 0))
    return start <= offset < end


def _shown(name: object) -> str:
    """An `_id` in messages; one that no job writes may be anything."""
    text = name if isinstance(name, str) else f"{type(name).__name__} {name}"
    plain = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
    return f"`{plain[:LONGEST_ID]}…`" if len(plain) > LONGEST_ID else f"`{plain}`"
