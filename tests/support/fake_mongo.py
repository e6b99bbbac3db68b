"""A database in memory that answers the few queries of `overview` and `trace`, as MongoDB would."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from operator import itemgetter
from typing import Any

from pymongo.errors import PyMongoError

Document = dict[str, Any]
COMPARED = {
    "$gte": lambda a, b: a >= b,
    "$gt": lambda a, b: a > b,
    "$lt": lambda a, b: a < b,
    "$lte": lambda a, b: a <= b,
    "$in": lambda a, b: a in b,
    "$ne": lambda a, b: a != b,
}


def matches(value: Any, wanted: Any) -> bool:
    """Whether a value meets a condition, as far as these queries go."""
    if not isinstance(wanted, Mapping):
        return bool(value == wanted or (isinstance(value, list) and wanted in value))
    for name, operand in wanted.items():
        if name == "$elemMatch":
            if not any(fits(each, operand) for each in value or []):
                return False
        elif value is None or not COMPARED[name](value, operand):
            return False
    return True


def fits(document: Mapping[str, Any], query: Mapping[str, Any]) -> bool:
    return all(matches(document.get(name), wanted) for name, wanted in query.items())


class Cursor:
    """Documents that are sorted and cut before they are read."""

    def __init__(self, documents: list[Document]) -> None:
        self._documents = documents

    def sort(self, key: Any, order: int = 1) -> Cursor:
        for name, way in reversed(key if isinstance(key, list) else [(key, order)]):
            self._documents.sort(key=itemgetter(name), reverse=way < 0)
        return self

    def limit(self, number: int) -> Cursor:
        self._documents = self._documents[:number]
        return self

    def max_time_ms(self, _: int) -> Cursor:
        return self

    def __iter__(self) -> Iterator[Document]:
        return iter([dict(each) for each in self._documents])


class Collection:
    """Documents in the order in which they were put."""

    def __init__(self) -> None:
        self.documents: list[Document] = []
        self.fault: PyMongoError | None = None

    def find(self, query: Mapping[str, Any] | None = None, _: Any = None) -> Cursor:
        if self.fault:
            raise self.fault
        return Cursor([each for each in self.documents if fits(each, query or {})])

    def find_one(
        self, query: Mapping[str, Any] | None = None, _: Any = None, sort: Any = None
    ) -> Document | None:
        cursor = self.find(query)
        return next(iter(cursor.sort(sort) if sort else cursor), None)


class Database(defaultdict[str, Collection]):
    """Collections by name."""

    def __init__(self, **collections: list[Document]) -> None:
        super().__init__(Collection)
        for name, documents in collections.items():
            self[name].documents = documents
