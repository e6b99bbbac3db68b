"""How many bytes a row takes in Cassandra's files, before compression.

The layout is that of Cassandra's format `big` and `bti` (UnfilteredSerializer, Cell.Serializer): a
row is flags, the clustering columns, two sizes, its write time, and a cell for each value.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from cql.declared import CassandraShape

# Types whose values have no length of their own.
FIXED: Final[Mapping[str, int]] = {
    "boolean": 1,
    "int": 4,
    "float": 4,
    "bigint": 8,
    "double": 8,
    "timestamp": 8,
    "uuid": 16,
    "timeuuid": 16,
}
# Types of few bytes that are stored with their length.
SHORT: Final[Mapping[str, int]] = {"tinyint": 1, "smallint": 2, "date": 4, "inet": 16}
COLLECTION: Final = re.compile(r"(frozen<)?(?:list|set)<(.*?)>+")
FLAGS = 1
# The write time is kept as microseconds after the earliest of a file: six bytes hold 50 days.
WRITE_TIME = 6
# An element that is a cell of its own has a time-based UUID, with its length, and flags.
ELEMENT = FLAGS + 1 + 16
# What the deletion that comes before the elements takes: its time, and when it was made.
REPLACED = WRITE_TIME + 3
# Length of the key, mark that nothing is deleted, mark of the end.
PARTITION = 2 + 12 + 1


@dataclass(frozen=True)
class Width:
    """Bytes of a column's value.

    Attributes:
        bytes: On average, of rows that have one; of a list, of one element.
        share: Which share of rows has one.
        elements: How many elements a list has on average.
    """

    bytes: float
    share: float = 1.0
    elements: float = 1.0


@dataclass(frozen=True)
class RowSize:
    """Average bytes of a row, and of what a partition has once."""

    row: float
    partition: float

    def of(self, rows: float) -> float:
        """Bytes of a partition with so many rows."""
        return self.partition + rows * self.row


def is_fixed(kind: str) -> bool:
    """Whether a type alone says how many bytes a value has."""
    return kind in FIXED or kind in SHORT


def row_size(shape: CassandraShape, widths: Mapping[str, Width]) -> RowSize:
    """The size of a table's rows; `widths` has each column whose type leaves its size open."""
    parts = {kind: [n for n, k, _ in shape.key if k == kind] for _, kind, _ in shape.key}
    partition, clustering = parts.get("partition_key", []), parts.get("clustering", [])
    values = [name for name in shape.columns if name not in {*partition, *clustering}]

    def value(name: str) -> float:
        return _value(shape.columns[name], widths.get(name, Width(0)).bytes)

    keys = sum(_plain(shape.columns[n], widths.get(n, Width(0)).bytes) for n in partition)
    # Several columns have each a length and an end mark.
    keys += 3 * len(partition) if len(partition) > 1 else 0
    body = WRITE_TIME + sum(_cell(shape.columns[n], widths.get(n, Width(0))) for n in values)
    if any(widths.get(name, Width(0)).share < 1 for name in values):
        # Which columns are absent, a bit for each.
        body += 1 + len(values) // 7
    head = FLAGS + (1 if clustering else 0) + sum(map(value, clustering))
    # The size of the row before it; a partition's first row has none.
    before = _number(head + body) if clustering else 1
    return RowSize(head + _number(body) + before + body, PARTITION + keys)


def _cell(kind: str, width: Width) -> float:
    collection = COLLECTION.fullmatch(kind)
    if collection is None:
        return width.share * (FLAGS + _value(kind, width.bytes))
    elements = width.elements * _value(collection[2], width.bytes)
    if collection[1]:
        whole = 4 + elements + 3 * width.elements
        return width.share * (FLAGS + _number(whole) + whole)
    return width.share * (REPLACED + 1 + width.elements * ELEMENT + elements)


def _value(kind: str, width: float) -> float:
    plain = _plain(kind, width)
    return plain if kind in FIXED else _number(plain) + plain


def _plain(kind: str, width: float) -> float:
    return FIXED.get(kind) or SHORT.get(kind) or width


def _number(value: float) -> int:
    """Bytes of a number that is stored in as few as it needs, seven bits in each."""
    return max(1, -(-int(value).bit_length() // 7))
