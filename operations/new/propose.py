"""What a pipeline stores and counts: tables, file set and aggregates for the fields of a sample."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from operations.new.contract import LONGEST_COLUMN, NamedField
from operations.new.personal import PERSONS
from operations.new.plan import AggregatePlan, Column, Plan, TablePlan
from operations.new.roles import TIME_KINDS, instants
from operations.new.words import IDS, LIKELY_DIMENSIONS, has_any, unique, words_of
from schemas.fields import Contract
from spark_jobs.aggregates import average, distinct, part_fields, total

SHARDS: Final = 16
UNKNOWN: Final = "unknown"
MOST_DIMENSIONS, MOST_MEASURED, MOST_DISTINCT = 4, 3, 2
LONGEST_TABLE: Final = 48
# Rows of a partition from which an hour is better than a day.
MANY_ROWS: Final = 100_000
LEAST_SAMPLE: Final = 1_000
SECONDS_PER_DAY: Final = 86_400
MEASURES: Final = {"average": average, "distinct": distinct, "total": total}
LINEAGE: Final = (
    ("kafka_partition", "int", "int", "where the message was: partition,"),
    ("kafka_offset", "bigint", "bigint", "offset,"),
    ("kafka_timestamp", "timestamp", "timestamptz", "and its timestamp by broker or producer"),
)


@dataclass(frozen=True)
class _Time:
    """When a record happened: a column that is never null, and SQL for it if it is derived."""

    column: str
    kind: str
    sql: str | None = None


def propose(
    name: str, fields: Sequence[NamedField], contract: Contract, topic: str | None = None
) -> Plan:
    """Propose what a pipeline stores and counts.

    Args:
        name: The pipeline's name.
        fields: The fields of its contract.
        contract: The contract itself, which knows the columns' types.
        topic: The topic that it reads, if not the one of its name.
    """
    stored = [each for each in fields if each.column]
    ids = tuple(str(each.column) for each in stored if each.field.is_id)
    time = _time(stored)
    derived = {time.column: time.sql} if time and time.sql else {}
    dimensions = _dimensions(stored)
    tables = _tables(name, ids, stored, dimensions, time)
    for table in tables:
        derived |= table.derived
    return Plan(
        name=name,
        topic=topic,
        columns=_columns(stored, contract, time),
        derived=derived,
        ids=ids,
        tables=tables,
        file_day=time.column if time else None,
        aggregates=_aggregates(name, stored, dimensions, time),
        clear=tuple(str(each.column) for each in stored if each.sensitivity == "personal"),
    )


def _columns(
    fields: Sequence[NamedField], contract: Contract, time: _Time | None
) -> tuple[Column, ...]:
    types = {field.column: field.stored_as for field in contract.fields}
    found = [
        Column(str(f.column), types[f.column].cassandra, types[f.column].postgresql, _comment(f))
        for f in fields
    ]
    if time and time.sql:
        kinds = ("date", "date") if time.kind == "date" else ("timestamp", "timestamptz")
        found.append(Column(time.column, *kinds, "derived in pipeline.py, UTC"))
    if any(each.sensitivity == "hashed" for each in fields):
        found.append(Column("hash_key_id", "text", "text", "which key made the digests"))
    return (*found, *(Column(*each) for each in LINEAGE))


def _comment(each: NamedField) -> str:
    place = ".".join(each.path)
    said = [] if place == each.column else [each.sent_as or place]
    said += ["digest"] if each.sensitivity == "hashed" else []
    # A name as sent may hold anything.
    return "".join(c if c.isprintable() and c not in ";'*" else " " for c in ", ".join(said))


def _time(fields: Sequence[NamedField]) -> _Time | None:
    """The event time, else a text that spells one, else nothing."""
    for each in fields:
        if each.field.is_event_time:
            kind, column = each.guess.kind, str(each.column)
            if each.field.observed.is_always_there:
                return _Time(column, kind)
            return _derived_time(fields, column, kind, column)
    moments = [each for each in fields if each.guess.moment and each.sensitivity == "public"]
    # An instant says more than a day.
    moments.sort(key=lambda each: each.guess.moment[0] == "date")  # type: ignore[index]
    for each in moments:
        kind, sql = each.guess.moment  # type: ignore[misc]
        return _derived_time(fields, str(each.column), kind, sql.format(each.column))
    return None


def _derived_time(fields: Sequence[NamedField], column: str, kind: str, sql: str) -> _Time:
    """A time that falls back on the message's, so that keys and folders are never null."""
    suffix = "day" if kind == "date" else "utc"
    name = unique(f"{column[:40]}_{suffix}", {str(each.column) for each in fields}, LONGEST_COLUMN)
    arrival = "to_date(kafka_timestamp)" if kind == "date" else "kafka_timestamp"
    return _Time(name, kind, f"coalesce({sql}, {arrival})")


def _dimensions(fields: Sequence[NamedField]) -> list[NamedField]:
    """The fields that records are grouped by, the likeliest first."""
    able = [
        each
        for each in fields
        if each.guess.choices > 1
        and each.sensitivity == "public"
        and not _is_of_persons(each)
        and (each.guess.kind == "string" or _is_code(each))
        and (each.guess.kind == "string" or each.field.observed.is_always_there)
    ]

    def order(each: NamedField) -> tuple[bool, bool, int]:
        words = each.field.words
        known = min(
            (LIKELY_DIMENSIONS.index(w) for w in words if w in LIKELY_DIMENSIONS), default=99
        )
        return "enum" not in each.guess.keywords, known == 99, known

    return sorted(able, key=order)[:MOST_DIMENSIONS]


def _is_of_persons(each: NamedField) -> bool:
    """Whether there is a value for each person or user: too many to have a document each."""
    words, path = each.field.words, each.field.observed.path
    around = [word for name in path for word in words_of(name)]
    return has_any(words, PERSONS) or (has_any(words, IDS) and has_any(around, PERSONS))


def _is_code(each: NamedField) -> bool:
    return has_any(each.field.words, IDS | {*LIKELY_DIMENSIONS})


def _tables(
    name: str,
    ids: tuple[str, ...],
    fields: Sequence[NamedField],
    dimensions: Sequence[NamedField],
    time: _Time | None,
) -> tuple[TablePlan, ...]:
    first = TablePlan(name, f"One row per record, by {', '.join(ids)}", ids)
    device = [e for e in fields if e.field.is_id and e.guess.kind not in TIME_KINDS]
    # What is measured again and again is looked up by itself, a day at a time.
    by = device[0] if len(ids) > 1 and device else next(iter(dimensions), None)
    if time is None and by is None:
        return (first,)
    own: list[Column] = []
    derived: dict[str, str] = {}
    bucket: list[str] = []
    if time:
        day = _bucket(time, fields, by, own, derived)
        bucket.append(day)
    has_shards = time is None or by is None
    if has_shards:
        own.append(Column("shard", "int", "int", f"0 to {SHARDS - 1}: keeps partitions small"))
        bucket.append("shard")
    partition = tuple([str(by.column)] if by else []) + tuple(bucket)
    falling = time.column if time and time.kind == "timestamp" else None
    rest = [column for column in (falling, *ids) if column and column not in partition]
    is_absent = by is not None and not by.field.observed.is_always_there
    what = str(by.column) if by else "day"
    order = ", newest first" if falling else ""
    return (
        first,
        TablePlan(
            name=f"{name}_by_{what}"[:LONGEST_TABLE],
            comment=f"The same records by {', '.join(partition)}{order}",
            partition=partition,
            clustering=tuple(dict.fromkeys(rest)),
            falling=falling,
            own=tuple(own),
            derived=derived,
            stand_ins={str(by.column): UNKNOWN} if by and is_absent else {},
            shards=SHARDS if has_shards else 1,
        ),
    )


def _bucket(
    time: _Time,
    fields: Sequence[NamedField],
    by: NamedField | None,
    own: list[Column],
    derived: dict[str, str],
) -> str:
    """The column that bounds a partition in time; adds it to those of the table."""
    if time.kind == "date":
        return time.column
    if _is_dense(time, fields, by):
        own.append(Column("event_hour", "timestamp", "timestamptz", f"UTC hour of {time.column}"))
        derived["event_hour"] = f"date_trunc('HOUR', {time.column})"
        return "event_hour"
    own.append(Column("event_day", "date", "date", f"UTC day of {time.column}"))
    derived["event_day"] = f"to_date({time.column})"
    return "event_day"


def _is_dense(time: _Time, fields: Sequence[NamedField], by: NamedField | None) -> bool:
    event = next((each for each in fields if each.column == time.column), None)
    if event is None or len(event.field.observed.values) < LEAST_SAMPLE:
        return False
    times = instants(event.field)
    days = max((max(times) - min(times)).total_seconds(), 1) / SECONDS_PER_DAY
    return len(times) / days / max(by.guess.choices if by else SHARDS, 1) > MANY_ROWS


def _aggregates(
    name: str,
    fields: Sequence[NamedField],
    dimensions: Sequence[NamedField],
    time: _Time | None,
) -> tuple[AggregatePlan, ...]:
    days: tuple[str, ...] = ()
    if time:
        days = (f'"{time.column}"',) if time.kind == "date" else (f'day("{time.column}")',)
    # Names of fields in documents, each of which has one meaning.
    taken = {time.column} if time else set()
    measures = _measures(fields, taken)
    found = [
        AggregatePlan(f"{name}_by_{each.column}", (*days, f'"{each.column}"'), _short(measures))
        for each in dimensions
        if each.column not in taken
    ]
    return (AggregatePlan(f"{name}_metrics", days, measures), *found)


def _short(measures: dict[str, str]) -> dict[str, str]:
    """The count, and what adds up: an estimate for each group costs more than it says."""
    return {n: m for n, m in measures.items() if not m.startswith("distinct")}


def _measures(fields: Sequence[NamedField], taken: set[str]) -> dict[str, str]:
    """Measures as Python source; adds their names, and those of their parts, to those taken."""
    measured = [e for e in fields if e.guess.adds_up and e.sensitivity == "public"]
    measured = [e for e in measured if not e.guess.is_array and not e.field.is_id]
    measured.sort(key=lambda each: each.guess.kind != "decimal")
    found = {"count": "count()"}
    wanted = [(str(each.guess.adds_up), each.column) for each in measured[:MOST_MEASURED]]
    others = [e for e in fields if e.field.words[-1:] in (["id"], ["uuid"], ["guid"])]
    others = [e for e in others if not e.field.is_id and not e.guess.is_array]
    others = [e for e in others if e.sensitivity != "personal"]
    wanted += [("distinct", each.column) for each in others[:MOST_DISTINCT]]
    for how, column in wanted:
        name = f"{how}_{column}"
        own = {name, *part_fields(name, MEASURES[how](str(column)))}
        if own.isdisjoint(taken):
            taken |= own
            found[name] = f'{how}("{column}")'
    return found
