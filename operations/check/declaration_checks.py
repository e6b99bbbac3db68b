"""Checks of `pipeline.py` against the contract and the tables, without Spark."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from operations.check.fault import DECLARATION, Fault, note
from operations.check.folder import Folder
from operations.sql_text import refused_calls
from runtime import remedies
from runtime.config.topic_names import TOPIC_NAME, dead_letter_topic
from schemas.contract import COLUMN_NAME, RESERVED_COLUMNS
from spark_jobs.aggregates import Aggregate, Measure
from spark_jobs.changes import EXACT
from spark_jobs.columns import OF_MESSAGES, spark_type
from spark_jobs.pipeline import Pipeline
from spark_jobs.targets import FileSet, Snapshot

# A name of a folder that every file system and reader of partitioned files takes.
SET_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}", re.ASCII)
WHOLE_NUMBERS: Final = ("int", "bigint", "smallint", "tinyint")
NUMBERS: Final = (*WHOLE_NUMBERS, "float", "double", "decimal")
# A file set's folders have the name of this column, whether or not they are one for each day.
DAY_COLUMN: Final = "day"


def declaration_faults(folder: Folder) -> Iterator[Fault]:
    """Yield what in the declaration cannot work, whatever the tables are."""
    declared = folder.declaration
    if declared is None:
        return
    if declared.name not in ("", folder.name):
        yield _fault("name", "the name of a pipeline is that of its folder; leave it out")
    if not declared.tables:
        yield _fault("tables", "there is no table; records need at least one, of tables.cql")
    yield from _names(declared, folder.name)
    yield from _derived_columns(folder)
    yield from _conditions(declared)
    if folder.contract is None:
        return
    types = known_types(folder)
    for place, columns in named_columns(declared):
        yield from _unknown(place, columns, folder, types)
    for aggregate in declared.aggregates:
        yield from _aggregate(_at("aggregates", aggregate.name), aggregate, types)
    for each in (folder.pipeline() or declared).file_sets:
        yield from _file_set(_at("file_sets", each.name), each, types)
    for snapshot in declared.snapshots:
        yield from _snapshot(_at("snapshots", snapshot.name), snapshot, types)


def _fault(where: str, text: str) -> Fault:
    return Fault(DECLARATION, where, text)


def _at(part: str, name: str) -> str:
    """The place of a part by its name."""
    return f'{part}["{name}"]'


def _at_measure(aggregate: Aggregate, name: str) -> str:
    return f"{_at('aggregates', aggregate.name)}.{_at('measures', name)}"


def known_types(folder: Folder) -> dict[str, str]:
    """Column -> Spark type of all that a record may have, as far as it is known."""
    # An empty text stands for a type that is not known.
    types = {
        name: "" if name in folder.doubtful else each.stored_as.spark
        for name, each in folder.fields.items()
    }
    if any(each.sensitivity == "hashed" for each in folder.fields.values()):
        types["hash_key_id"] = "string"
    types |= OF_MESSAGES
    of_tables = {
        column: spark_type(kind)
        for columns in folder.columns_of_tables
        for column, kind in columns.items()
    }
    types |= {name: of_tables.get(name, "string") for name in folder.derived if name not in types}
    if folder.derives_unseen:
        types = of_tables | types
    return types


def _names(declared: Pipeline, name: str) -> Iterator[Fault]:
    for part, names, form, rule in (
        ("tables", [t.place for t in declared.tables], rf"{COLUMN_NAME}\.{COLUMN_NAME}", _TABLE),
        ("sql_tables", [t.name for t in declared.sql_tables], COLUMN_NAME, _LOWER),
        ("file_sets", [s.name for s in declared.file_sets], SET_NAME.pattern, _WORD),
        ("topics", [t.name for t in declared.topics], TOPIC_NAME.pattern, _TOPIC),
        ("aggregates", [a.name for a in declared.aggregates], "", ""),
    ):
        for each, times in Counter(names).items():
            if times > 1:
                yield _fault(part, f"`{each}` is declared {times} times; leave one of them")
            if form and not re.fullmatch(form, each, re.ASCII):
                yield _fault(part, f"`{each}` {rule}")
    yield from _topics(declared, name)
    for aggregate in declared.aggregates:
        for text in aggregate.faults():
            yield _fault("aggregates", text)


_LOWER: Final = "is not lower-case letters, digits and `_`, 48 characters at most"
_TABLE: Final = f"is not `keyspace.table`, or one of the two {_LOWER}"
_WORD: Final = "is no name of a folder: letters, digits, `_` and `-`, a letter or digit first"
_TOPIC: Final = "is no name of a topic: letters, digits, `.`, `_` and `-`, 237 characters at most"


def _topics(declared: Pipeline, name: str) -> Iterator[Fault]:
    if declared.reads is not None and not TOPIC_NAME.fullmatch(declared.reads):
        yield _fault("reads", f"`{declared.reads}` {_TOPIC}")
    own = {declared.reads or name, dead_letter_topic(declared.reads or name)}
    for each in declared.topics:
        if each.name in own:
            yield _fault("topics", f"`{each.name}` is the pipeline's own input; take another name")


def _derived_columns(folder: Folder) -> Iterator[Fault]:
    for name, sql in folder.derived.items():
        place = _at("derived", name)
        if not re.fullmatch(COLUMN_NAME, name):
            yield _fault(place, f"`{name}` {_LOWER}")
        if name in RESERVED_COLUMNS:
            yield _fault(place, "every message has a column of this name; take another")
        elif name in folder.fields:
            yield _fault(
                place, f"`{folder.fields[name].name}` of the contract feeds this column already"
            )
        for text in refused_calls(sql):
            yield _fault(place, text)


def conditions(declared: Pipeline) -> Iterator[tuple[str, str]]:
    """Yield the place and the text of every condition of a declaration."""
    for name in ("keep", "alert"):
        if text := getattr(declared, name):
            yield name, text
    for part in ("sql_tables", "file_sets", "topics", "aggregates"):
        for target in getattr(declared, part):
            if target.where:
                yield f"{_at(part, target.name)}.where", target.where
    for aggregate in declared.aggregates:
        for name, measure in aggregate.measures.items():
            if measure.where:
                yield _at_measure(aggregate, name), measure.where


def _conditions(declared: Pipeline) -> Iterator[Fault]:
    for place, sql in conditions(declared):
        if not sql.strip():
            yield _fault(place, "is empty; leave it out")
        for text in refused_calls(sql):
            yield _fault(place, text)


def named_columns(declared: Pipeline) -> Iterator[tuple[str, Iterable[str]]]:
    """Yield the place of every list of columns in a declaration, and the columns."""
    for part in ("file_sets", "topics"):
        for target in getattr(declared, part):
            yield f"{_at(part, target.name)}.columns", target.columns
    for each in declared.file_sets:
        yield f"{_at('file_sets', each.name)}.day", [each.day] if each.day else []
    for aggregate in declared.aggregates:
        for dimension in aggregate.dimensions:
            yield f"{_at('aggregates', aggregate.name)}.by", [dimension.column]
        for name, measure in aggregate.measures.items():
            yield _at_measure(aggregate, name), [measure.column] if measure.column else []
    yield "clear", declared.clear


def _unknown(
    place: str, columns: Iterable[str], folder: Folder, types: Mapping[str, str]
) -> Iterator[Fault]:
    for name in columns:
        if name in types:
            continue
        fields = folder.contract.fields if folder.contract else ()
        field = next((each for each in fields if each.name == name), None)
        if field and field.column:
            text = f"`{name}` is a field of the contract; its column is `{field.column}`"
        elif field:
            text = f"`{name}` is a field without a column; give it an `x-column` in the contract"
        else:
            text = f"there is no column `{name}`, neither in the contract nor derived."
            text += remedies.nearest(name, types)
        yield _fault(place, text)


def _aggregate(place: str, aggregate: Aggregate, types: Mapping[str, str]) -> Iterator[Fault]:
    for dimension in aggregate.dimensions:
        kind = types.get(dimension.column)
        if not kind:
            continue
        column = f"`{dimension.column}` is of type {kind}"
        if dimension.unit in ("day", "hour") and kind != "timestamp":
            instead = f'; a date is its own day: `by=("{dimension.column}",)`'
            text = f"`{dimension.unit}` needs a timestamp, and {column}"
            yield _fault(f"{place}.by", text + (instead if kind == "date" else "; take another"))
        if dimension.unit == "band" and not is_number(kind):
            yield _fault(f"{place}.by", f"`band` needs a number, and {column}; take another")
        if kind.startswith("array"):
            yield _fault(f"{place}.by", f"{column}; documents are grouped by single values")
    for name, measure in aggregate.measures.items():
        yield from _measure(_at_measure(aggregate, name), measure, types)


def _measure(place: str, measure: Measure, types: Mapping[str, str]) -> Iterator[Fault]:
    kind = types.get(measure.column or "")
    if not kind:
        return
    column = f"`{measure.column}` is of type {kind}"
    if measure.kind in ("total", "average") and not is_number(kind):
        yield _fault(place, f"`{measure.kind}` needs a number, and {column}; take another column")
    elif kind.startswith("array") or (measure.kind in ("minimum", "maximum") and kind == "boolean"):
        yield _fault(place, f"`{measure.kind}` needs a number, instant, date or text, and {column}")
    digits = re.match(r"decimal\((\d+),", kind)
    if digits and int(digits[1]) > EXACT.prec and measure.kind != "distinct":
        text = f"{column}, but a number in MongoDB has at most {EXACT.prec} digits: one that needs"
        text += " more stops the job; lower `x-precision` if the values allow it"
        yield note(DECLARATION, place, text)


def is_number(spark_type: str) -> bool:
    """Whether a Spark type is one that can be added up."""
    return spark_type.partition("(")[0] in NUMBERS


def _file_set(place: str, file_set: FileSet, types: Mapping[str, str]) -> Iterator[Fault]:
    kind = types.get(file_set.day or "")
    if kind and kind not in ("timestamp", "date"):
        yield _fault(
            f"{place}.day",
            f"`day` needs a timestamp or a date, and `{file_set.day}` is of type {kind}",
        )
    if DAY_COLUMN in {*file_set.columns, *file_set.schema.names}:
        yield _fault(
            f"{place}.columns",
            "`day` is the name of the day's folder: list `columns` without it, or rename it",
        )
    for name, times in Counter(file_set.columns).items():
        if times > 1:
            yield _fault(f"{place}.columns", f"`{name}` is listed {times} times")


def _snapshot(place: str, snapshot: Snapshot, types: Mapping[str, str]) -> Iterator[Fault]:
    by = [each for each in snapshot.aggregate.dimensions if each.field == snapshot.by]
    if snapshot.by and not by:
        yield _fault(f"{place}.by", f"its aggregate is not grouped by `{snapshot.by}`")
    for dimension in by:
        kind = types.get(dimension.column, "")
        if dimension.unit == "value" and kind in ("boolean", *WHOLE_NUMBERS):
            text = f"its groups are texts, and `{dimension.column}` is of type {kind}"
            yield _fault(f"{place}.by", text)
