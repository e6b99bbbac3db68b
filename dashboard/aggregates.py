"""Reads aggregates as charts: a measure over values, or over time.

MongoDB sorts and adds up, so that a collection may be large; what is read is what is drawn.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from pymongo.collection import Collection
from pymongo.database import Database

from dashboard.source import Bar, Chart, Number, Unit
from spark_jobs.aggregates import UNKNOWN, Aggregate, Dimension
from spark_jobs.sinks.mongodb import from_bson
from spark_jobs.state.ledger import Document

# More bars are no picture any more.
MOST_BARS: Final = 12
# More lines cannot be followed.
MOST_LINES: Final = 5
# Days or hours that are shown, up to the newest.
TIMES: Final = {"day": 60, "hour": 72}
FORMATS: Final = {"day": "%Y-%m-%d", "hour": "%Y-%m-%dT%H"}
ADDED: Final = frozenset({"count", "total"})
# How a measure of several documents follows from theirs; the other kinds do not follow.
MERGED: Final = {"count": "$sum", "total": "$sum", "minimum": "$min", "maximum": "$max"}


def read_chart(database: Database[Document], aggregate: Aggregate, measure: str) -> Chart:
    """A measure of an aggregate, from its collection."""
    collection = database[aggregate.name]
    time = next((d for d in aggregate.dimensions if d.unit in FORMATS), None)
    if not aggregate.dimensions:
        return _figures(collection, aggregate, measure, {})
    if time is None:
        return _bars(collection, aggregate, measure)
    return _lines(collection, aggregate, measure, time)


def _figures(
    collection: Collection[Document],
    aggregate: Aggregate,
    measure: str,
    wanted: Document,
    **when: Any,
) -> Chart:
    found = from_bson(collection.find_one(wanted) or {})
    figures = {name: found[name] for name in aggregate.measures if name in found}
    return Chart(aggregate.name, measure, "figures", figures=figures, **when)


def _bars(collection: Collection[Document], aggregate: Aggregate, measure: str) -> Chart:
    fields = [d.field for d in aggregate.dimensions]
    found = collection.find({}, {name: 1 for name in (*fields, measure)})
    bars = [
        Bar(_label(document, fields), from_bson(document).get(measure))
        for document in found.sort([(measure, -1), ("_id", 1)]).limit(MOST_BARS)
    ]
    return Chart(
        aggregate.name,
        measure,
        "bars",
        bars=tuple(bars),
        total=_sum(collection, {}, measure) if _adds_up(aggregate, measure) else None,
        groups=collection.estimated_document_count() if len(bars) == MOST_BARS else len(bars),
    )


def _lines(
    collection: Collection[Document], aggregate: Aggregate, measure: str, time: Dimension
) -> Chart:
    unit: Unit = "hour" if time.unit == "hour" else "day"
    times = _times(collection, time.field, unit)
    if not times:
        return Chart(aggregate.name, measure, "lines", unit=unit)
    fields = [d.field for d in aggregate.dimensions if d is not time]
    if len(times) == 1 and not fields:
        # One point is no line: all measures of the day say more.
        when = {"unit": unit, "times": tuple(times)}
        return _figures(collection, aggregate, measure, {time.field: times[0]}, **when)
    during = {time.field: {"$gte": times[0], "$lte": times[-1]}}
    largest, groups = _largest(collection, during, fields, aggregate, measure)
    chosen = during | ({"$or": [key for key, _ in largest[:MOST_LINES]]} if fields else {})
    place = {name: number for number, name in enumerate(times)}
    lines: dict[str, list[Any]] = {}
    for document in collection.find(chosen, {n: 1 for n in (time.field, *fields, measure)}):
        line = lines.setdefault(_label(document, fields) or measure, [None] * len(times))
        if document[time.field] in place:
            line[place[document[time.field]]] = from_bson(document).get(measure)
    order = [_label(key, fields) or measure for key, _ in largest[:MOST_LINES]]
    has_bars = fields and aggregate.measures[measure].kind in MERGED
    bars = tuple(Bar(_label(key, fields), value) for key, value in largest) if has_bars else ()
    return Chart(
        aggregate.name,
        measure,
        "lines",
        bars=bars,
        total=_sum(collection, during, measure) if _adds_up(aggregate, measure) else None,
        groups=groups,
        unit=unit,
        times=tuple(times),
        lines={name: tuple(lines[name]) for name in order if name in lines},
    )


def _times(collection: Collection[Document], field: str, unit: str) -> list[str]:
    """The days or hours from the oldest that is shown to the newest, without a gap."""
    newest = collection.find_one({field: {"$ne": UNKNOWN}}, {field: 1}, sort=[(field, -1)])
    if newest is None:
        return []
    form, most = FORMATS[unit], TIMES[unit]
    try:
        end = datetime.strptime(newest[field], form).replace(tzinfo=UTC)
    except (TypeError, ValueError):
        return []  # something else wrote the document
    step = timedelta(**{f"{unit}s": 1})
    start = (end - step * (most - 1)).strftime(form)
    wanted = {field: {"$gte": start}}
    oldest = collection.find_one(wanted, {field: 1}, sort=[(field, 1)]) or newest
    first = datetime.strptime(oldest[field], form).replace(tzinfo=UTC)
    return [(first + step * n).strftime(form) for n in range((end - first) // step + 1)]


def _largest(
    collection: Collection[Document],
    during: Document,
    fields: Sequence[str],
    aggregate: Aggregate,
    measure: str,
) -> tuple[list[tuple[Document, Any]], int]:
    """The values with the largest measure in a time, with it, and how many values there are."""
    if not fields:
        return [({}, None)], 0
    merged = MERGED.get(aggregate.measures[measure].kind)
    # Values whose measure does not follow from that of the documents are ranked by their records.
    count = f"${aggregate.record_count}" if aggregate.record_count else 1
    by = {merged: f"${measure}"} if merged else {"$sum": count}
    key = {name: f"${name}" for name in fields}
    grouped: list[Document] = [{"$match": during}, {"$group": {"_id": key, "value": by}}]
    top: list[Document] = [{"$sort": {"value": -1, "_id": 1}}, {"$limit": MOST_BARS}]
    found = [
        (document["_id"], from_bson(document)["value"])
        for document in collection.aggregate([*grouped, *top])
    ]
    if len(found) < MOST_BARS:
        return found, len(found)
    counted = next(iter(collection.aggregate([*grouped, {"$count": "groups"}])), {"groups": 0})
    return found, counted["groups"]


def _sum(collection: Collection[Document], during: Document, measure: str) -> Number:
    group = {"$group": {"_id": None, "total": {"$sum": f"${measure}"}}}
    found = next(iter(collection.aggregate([{"$match": during}, group])), {"total": 0})
    total: Number = from_bson(found)["total"]
    return total


def _adds_up(aggregate: Aggregate, measure: str) -> bool:
    return aggregate.measures[measure].kind in ADDED


def _label(document: Mapping[str, Any], fields: Sequence[str]) -> str:
    return " · ".join(str(document.get(name, UNKNOWN)) for name in fields)
