"""Checks of tables' columns and keys, in CQL and SQL, against contract and declaration."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Final

from operations.check.fault import CQL, DECLARATION, SQL, Fault, note
from operations.check.folder import Folder
from operations.check.key_checks import key_faults, sql_key_faults
from operations.sql_text import columns_in
from runtime import remedies
from spark_jobs.columns import OF_MESSAGES, is_fillable, spark_type
from spark_jobs.targets import LINEAGE
from sql.declared import server_type

LINEAGE_IN_CQL: Final = dict(
    zip(LINEAGE, ("int", "bigint", "timestamp"), strict=True), hash_key_id="text"
)
LINEAGE_IN_SQL: Final = dict(
    zip(LINEAGE, ("integer", "bigint", "timestamp with time zone"), strict=True),
    hash_key_id="text",
)


def table_faults(folder: Folder) -> Iterator[Fault]:
    """Yield what in the tables does not fit the contract, or would lose or overload rows."""
    for place, shape in folder.cql.items():
        yield from _columns(folder, place, shape.columns, CQL)
        yield from key_faults(folder, place, shape)
    for name, sql_shape in folder.sql.items():
        yield from _columns(folder, name, sql_shape.columns, SQL)
        yield from sql_key_faults(folder, name, sql_shape)
    yield from _two_types(folder)
    yield from _unstored(folder)


def _columns(folder: Folder, place: str, columns: Mapping[str, str], file: str) -> Iterator[Fault]:
    lineage = LINEAGE_IN_CQL if file == CQL else LINEAGE_IN_SQL
    missing = [name for name in LINEAGE if name not in columns]
    if missing and place not in folder.half_read:
        added = ", ".join(f"{name} {lineage[name]}" for name in missing)
        yield Fault(
            file,
            place,
            f"it lacks the lineage of its rows, by which they are proven; add: {added}",
        )
    if folder.contract is None:
        return
    table = folder.table(place)
    own = {*folder.derived, *(table.derived if table else ())}
    for name, kind in columns.items():
        if name in folder.doubtful:
            continue
        wanted = _wanted(folder, name, file)
        if wanted is None and name not in own:
            if not folder.derives_unseen:
                yield _unknown(folder, file, place, name)
        elif wanted is None:
            if not is_fillable(kind):
                yield Fault(file, place, f"`{name}` has the type {kind}, which no record can fill")
        elif not _is_same(kind, wanted, file):
            yield Fault(
                file, place, f"`{name}` is {kind}, but its values are {wanted}; write {wanted}"
            )


def unfilled(folder: Folder, added: Collection[str]) -> Iterator[Fault]:
    """Yield columns of tables that nothing fills, once it is known which ones a function adds."""
    tables = [
        *((CQL, place, shape.columns) for place, shape in folder.cql.items()),
        *((SQL, place, shape.columns) for place, shape in folder.sql.items()),
    ]
    for file, place, columns in tables:
        table = folder.table(place)
        known = {*added, *(table.derived if table else ())}
        for name in columns:
            if _wanted(folder, name, file) is None and name not in known:
                yield _unknown(folder, file, place, name)


def _wanted(folder: Folder, name: str, file: str) -> str | None:
    """The type that a column must have; None if it is derived or unknown."""
    if field := folder.fields.get(name):
        stored = field.stored_as
        return stored.cassandra if file == CQL else server_type(stored.postgresql)
    is_hashed = any(each.sensitivity == "hashed" for each in folder.fields.values())
    if name in LINEAGE or (name == "hash_key_id" and is_hashed):
        return (LINEAGE_IN_CQL if file == CQL else LINEAGE_IN_SQL)[name]
    if name in OF_MESSAGES:
        is_list = OF_MESSAGES[name].startswith("array")
        return {CQL: "list<text>", SQL: "text[]"}[file] if is_list else "text"
    return None


def _is_same(kind: str, wanted: str, file: str) -> bool:
    if file == CQL:
        kind = re.sub(r"frozen<(.*)>", r"\1", kind.replace(" ", ""))
        kind = re.sub(r"\bvarchar\b", "text", kind)
    else:
        kind = re.sub(r"^(?:varchar|character varying)(?=\[|$)", "text", kind)
    return kind == wanted.replace(" ", "") if file == CQL else kind == wanted


def _unknown(folder: Folder, file: str, place: str, name: str) -> Fault:
    fields = folder.contract.fields if folder.contract else ()
    field = next((each for each in fields if each.name == name and not each.column), None)
    if field:
        text = f"nothing fills `{name}`: the field has no column; add `x-column` to the contract"
    else:
        text = f"nothing fills `{name}`: no field of the contract feeds it, and it is not derived."
        text += remedies.nearest(name, {**folder.fields, **folder.derived})
    return Fault(file, place, text)


def _two_types(folder: Folder) -> Iterator[Fault]:
    """Yield derived columns to which two tables give different types."""
    seen: dict[str, tuple[str, str]] = {}
    shapes = (
        *((name, shape.columns) for name, shape in folder.cql.items()),
        *((name, shape.columns) for name, shape in folder.sql.items()),
    )
    for place, columns in shapes:
        for name in columns.keys() & folder.derived.keys():
            kind = spark_type(columns[name])
            first, where = seen.setdefault(name, (kind, place))
            if kind.partition("(")[0] != first.partition("(")[0]:
                yield Fault(
                    DECLARATION,
                    f'derived["{name}"]',
                    f"it is {first} in `{where}` and {kind} in `{place}`; give both one type",
                )


def _unstored(folder: Folder) -> Iterator[Fault]:
    stored = {column for columns in folder.columns_of_tables for column in columns}
    if folder.declaration:
        stored |= {c for each in folder.declaration.file_sets for c in each.columns}
        stored |= {c for each in folder.declaration.topics for c in each.columns}
    for name, field in folder.fields.items():
        used = any(name in columns_in(sql, {name: 0}) for sql in folder.derived.values())
        if name not in stored and not used and not folder.derives_unseen:
            text = f"its column `{name}` is in no table, so it is stored nowhere"
            yield note("contract.schema.json", field.name, text)
    is_hashed = any(each.sensitivity == "hashed" for each in folder.fields.values())
    if is_hashed and stored and "hash_key_id" not in stored:
        text = (
            "no table has `hash_key_id text`, so digests of a former key cannot be distinguished"
            " from new ones; add the column"
        )
        yield note(CQL, "", text)
