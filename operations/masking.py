"""Masks the sensitive fields of raw messages and of stored records, so that they can be shown."""

from __future__ import annotations

import json
import re
from codecs import BOM_UTF8 as BOM
from collections.abc import Iterable, Mapping
from typing import Any

from operations.sql_text import columns_in
from schemas.contract import Contract
from schemas.fields import path_of
from spark_jobs.columns import OF_MESSAGES
from spark_jobs.pipeline import Pipeline
from spark_jobs.targets import Table

MASK = "•••"
LITERAL = re.compile(r'"\\u0000([-+.0-9eE]+)\\u0000"')
NAME = re.compile(r"[A-Za-z_][\w.-]*")
SHOWN_BOM = "<byte order mark>"
UNREADABLE = "<{} bytes that are not a JSON object: not shown>"


def masked_value(value: bytes | None, contract: Contract) -> str:
    """A message's value with every sensitive field masked.

    Fields that the contract does not know are masked too, as they may hold anything, and so are
    their names, unless they look like names: a key may be an address. A byte order mark, which
    makes a message unreadable, is named.
    """
    if value is None:
        return "<no value>"
    mark, text = (SHOWN_BOM, value.removeprefix(BOM)) if value.startswith(BOM) else ("", value)
    try:
        # Of bytes, `loads` would take a mark or UTF-16 silently, for which messages are rejected.
        record = read(text.decode("utf-8", "surrogatepass"))
    except (ValueError, RecursionError):  # deeper nesting than the parser follows
        record = None
    if not isinstance(record, dict):
        return UNREADABLE.format(len(value))
    # Each public field, and whether it is an array.
    public = {
        path_of(name): field.items is not None
        for field in contract.fields
        if field.sensitivity == "public"
        for name in (field.name, *field.other_names)
    }
    named = [(f.name, *f.other_names) for f in contract.fields]
    known = {part for names in named for name in names for part in path_of(name)}
    return mark + written(_masked(record, (), public, known))


def read(text: str) -> Any:
    """JSON with its numbers as they stand there, for `written`; not as the nearest double."""
    return json.loads(text, parse_float=lambda number: f"\0{number}\0")


def written(value: Any, indent: int | None = None) -> str:
    """The JSON of what `read` has read."""
    return LITERAL.sub(r"\1", json.dumps(value, indent=indent, ensure_ascii=False))


def writable_value(value: bytes | None, contract: Contract) -> str:
    """The same for a page or a file: half a surrogate pair stays the escape that it was."""
    return masked_value(value, contract).encode(errors="backslashreplace").decode()


def _masked(
    value: Any, path: tuple[str, ...], public: Mapping[tuple[str, ...], bool], known: set[str]
) -> Any:
    if isinstance(value, list) and public.get(path):
        return [MASK if isinstance(each, dict | list) else each for each in value]
    if not isinstance(value, dict):
        return value if path in public and not isinstance(value, list) else MASK
    # An object with no public field is masked as a whole.
    if not any(field[: len(path)] == path for field in public):
        return MASK
    return {
        name if name in known or NAME.fullmatch(name) else MASK: _masked(
            child, (*path, name), public, known
        )
        for name, child in value.items()
    }


def masked_columns(pipeline: Pipeline, columns: Iterable[str]) -> set[str]:
    """Columns that may hold personal data in clear and that `clear` does not allow.

    What code derives, and not SQL, may hold any.
    """
    derived = pipeline.derived
    is_code = callable(derived) or pipeline.classify_by is not None
    sql = {} if callable(derived) else {**derived}
    sql |= {name: text for table in pipeline.tables for name, text in table.derived.items()}
    hidden = {*personal_sources(pipeline.contract, sql)} - {*pipeline.clear}
    if is_code and hidden:
        known = {*OF_MESSAGES, "hash_key_id", *pipeline.clear, *sql}
        known |= {str(field.column) for field in pipeline.contract.fields}
        hidden |= {*columns} - known
        hidden |= {name for name, text in sql.items() if columns_in(text, dict.fromkeys(hidden))}
    return hidden - {*pipeline.clear}


def hidden_aggregates(pipeline: Pipeline) -> set[str]:
    """Aggregates with values of columns that must not be shown: what groups, lowest, highest."""
    columns = {
        each.name: {d.column for d in each.dimensions if d.unit == "value"}
        | {str(m.column) for m in each.measures.values() if m.kind in ("minimum", "maximum")}
        for each in pipeline.aggregates
    }
    masked = masked_columns(pipeline, set().union(*columns.values()))
    return {name for name, own in columns.items() if not own.isdisjoint(masked)}


def personal_sources(
    contract: Contract, derived: Mapping[str, str], tables: Iterable[Table] = ()
) -> dict[str, str]:
    """Column that holds personal data in clear -> the contract's column that it comes from."""
    found = {
        f.column: f.column for f in contract.fields if f.sensitivity == "personal" and f.column
    }
    expressions = [*derived.items(), *(pair for table in tables for pair in table.derived.items())]
    for name, sql in expressions:
        # Each may use those before it.
        for source in columns_in(sql, found):
            found.setdefault(name, found[source])
    return found
