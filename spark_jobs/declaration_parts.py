"""Whether the parts of a declaration are what they should be, before anything uses them.

Python accepts `tables=(Table("a.b"))`, which is no tuple, and `measures={"n": count}`, which is no
measure; everything that reads a declaration may rely on such slips having been found here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, get_args

from runtime.config.types import MOST_SHARDS
from spark_jobs.aggregates import Aggregate, Dimension, Measure
from spark_jobs.pipeline import Pipeline
from spark_jobs.targets import SHARD, FileSet, Outcome, Snapshot, SqlTable, Table, Topic

PARTS: Final[Mapping[str, type]] = {
    "tables": Table,
    "sql_tables": SqlTable,
    "file_sets": FileSet,
    "snapshots": Snapshot,
    "topics": Topic,
    "aggregates": Aggregate,
    "clear": str,
    "separable": str,
}
# Attributes of parts: texts that must be there, texts that may be, tuples of texts, mappings.
NAMES: Final = ("place", "name")
TEXTS: Final = ("where", "day", "by")
TUPLES: Final = ("columns",)
MAPPINGS: Final = ("derived", "stand_ins")


def misplaced_parts(pipeline: Pipeline) -> list[tuple[str, str]]:
    """Each part that has the wrong type: its place, such as `tables[0].place`, and a sentence."""
    found = [*_of_pipeline(pipeline)]
    for name, kind in PARTS.items():
        parts = getattr(pipeline, name)
        if not isinstance(parts, tuple | list):
            found.append((name, _no_tuple(parts, kind)))
            continue
        for number, part in enumerate(parts):
            place = f"{name}[{number}]"
            if not isinstance(part, kind):
                found.append((place, f"is {_called(part)}; expected {_expected(kind)}"))
            elif isinstance(part, Aggregate):
                found += _of_aggregate(place, part)
            elif not isinstance(part, str):
                found += _of_target(place, part)
    return found


def _of_pipeline(pipeline: Pipeline) -> Iterator[tuple[str, str]]:
    for name in ("keep", "alert", "reads"):
        yield from _text(name, getattr(pipeline, name))
    if not callable(pipeline.derived):
        yield from _mapping("derived", pipeline.derived)
    yield from _shards(pipeline)


def _shards(pipeline: Pipeline) -> Iterator[tuple[str, str]]:
    """A shard that did not follow from the id would be one that readers do not ask."""
    if not isinstance(pipeline.tables, tuple | list):
        return
    tables = [table for table in pipeline.tables if isinstance(table, Table)]
    if not any(_is_count(table.shards) and table.shards > 1 for table in tables):
        return
    given = [("derived", pipeline.derived)]
    given += [(f'tables["{table.place}"].derived', table.derived) for table in tables]
    for place, columns in given:
        if callable(columns):
            yield place, "is a function, and a table has `shards`; write a dictionary of SQL"
        elif isinstance(columns, Mapping) and SHARD in columns:
            yield place, f"has `{SHARD}`, which `shards` gives; leave it out"


def _of_target(place: str, part: Any) -> Iterator[tuple[str, str]]:
    # What it was given; its properties may need more than is known yet.
    given = vars(part)
    for name in NAMES:
        if not isinstance(given.get(name, ""), str):
            yield f"{place}.{name}", "is not a text"
    is_topic = isinstance(part, Topic)
    for name in (*TEXTS, "key") if is_topic else TEXTS:
        yield from _text(f"{place}.{name}", given.get(name))
    for name in TUPLES if is_topic else (*TUPLES, "key"):
        columns = given.get(name, ())
        if isinstance(columns, str):
            yield f"{place}.{name}", _no_tuple(columns, str)
        elif not all(isinstance(each, str) for each in columns):
            yield f"{place}.{name}", "is not a tuple of names"
    for name in MAPPINGS:
        yield from _mapping(f"{place}.{name}", given.get(name, {}))
    shards = given.get("shards", 1)
    if not _is_count(shards) or shards > MOST_SHARDS:
        yield f"{place}.shards", f"is no whole number from 1 to {MOST_SHARDS:,}"
    spread = given.get("spread", {})
    if not isinstance(spread, Mapping) or not all(
        isinstance(name, str) and _is_count(count) for name, count in spread.items()
    ):
        yield f"{place}.spread", 'is no dictionary of whole numbers, such as `{"country": 200}`'
    outcome = given.get("outcome")
    if outcome is not None and outcome not in get_args(Outcome):
        yield f"{place}.outcome", f"is not {' or '.join(get_args(Outcome))}"


def _of_aggregate(place: str, aggregate: Aggregate) -> Iterator[tuple[str, str]]:
    if not isinstance(aggregate.name, str):
        yield f"{place}.name", "is not a text"
    yield from _text(f"{place}.where", aggregate.where)
    if not isinstance(aggregate.by, tuple | list):
        yield f"{place}.by", _no_tuple(aggregate.by, str)
    else:
        for number, each in enumerate(aggregate.by):
            if not isinstance(each, str | Dimension):
                yield f"{place}.by[{number}]", "is neither a column nor `day(…)` or `hour(…)`"
            elif isinstance(each, Dimension) and not isinstance(each.column, str):
                yield f"{place}.by[{number}]", "names no column"
    if not isinstance(aggregate.measures, Mapping):
        yield f"{place}.measures", 'is no dictionary, such as `{"count": count()}`'
        return
    for name, measure in aggregate.measures.items():
        where = f"{place}.measures[{name!r}]"
        if not isinstance(name, str):
            yield where, "the name is not a text"
        if not isinstance(measure, Measure):
            call = f"; write `{measure.__name__}(…)`" if callable(measure) else ""
            yield where, f"is {_called(measure)}, not a measure such as `count()`{call}"
        elif not isinstance(measure.column, str | None) or not isinstance(
            measure.where, str | None
        ):
            yield where, "its column and its `where` are texts"
        elif measure.kind != "count" and not (measure.column or measure.parts):
            yield where, f'`{measure.kind}` needs a column, such as `{measure.kind}("amount")`'


def _text(place: str, value: object) -> Iterator[tuple[str, str]]:
    if value is not None and not isinstance(value, str):
        yield place, f"is {_called(value)}; expected a text"


def _mapping(place: str, value: object) -> Iterator[tuple[str, str]]:
    if not isinstance(value, Mapping):
        yield place, f'is {_called(value)}; expected a dictionary, such as `{{"column": "…"}}`'
    elif not all(isinstance(each, str) for pair in value.items() for each in pair):
        yield place, "has a name or a value that is not a text"


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def _no_tuple(value: object, kind: type) -> str:
    if isinstance(value, str | kind):
        example = '("…",)' if kind is str else f"({kind.__name__}(…),)"
        return f"is a single value; write a tuple, with a comma: `{example}`"
    return f"is {_called(value)}; expected a tuple of {kind.__name__}"


def _called(value: object) -> str:
    return "None" if value is None else f"of type {type(value).__name__}"


def _expected(kind: type) -> str:
    return "a text" if kind is str else f"`{kind.__name__}(…)`"
