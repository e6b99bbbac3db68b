"""Checks of tables' columns and keys, in CQL and SQL, against contract and declaration."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Final

from cql.declared import CassandraShape
from operations.check.declaration_checks import known_types
from operations.check.fault import CQL, DECLARATION, SQL, Fault, note
from operations.check.folder import Folder
from operations.check.sql_text import columns_in, handles_nulls
from runtime import remedies
from schemas.fields import FieldContract
from spark_jobs.columns import OF_MESSAGES, spark_type
from spark_jobs.targets import LINEAGE, Table
from sql.declared import server_type

# Types that a derived column may have, as Spark calls them.
DERIVED_TYPES: Final = re.compile(
    r"(?:array<)?(?:string|boolean|tinyint|smallint|int|bigint|float|double|date|timestamp"
    r"|decimal\(\d+,\d+\))>?"
)
LINEAGE_IN_CQL: Final = dict(
    zip(LINEAGE, ("int", "bigint", "timestamp"), strict=True), hash_key_id="text"
)
LINEAGE_IN_SQL: Final = dict(
    zip(LINEAGE, ("integer", "bigint", "timestamp with time zone"), strict=True),
    hash_key_id="text",
)
SHARD: Final = "pmod(crc32({id}), 16)"


def table_faults(folder: Folder) -> Iterator[Fault]:
    """Yield what in the tables does not fit the contract, or would lose or overload rows."""
    if folder.contract is None or folder.declaration is None:
        return
    for table in folder.declaration.tables:
        if shape := folder.cql.get(table.place):
            yield from _columns(folder, table.place, shape.columns, CQL, table)
            yield from _key(folder, table, shape)
            yield from _partitions(folder, table, shape)
    for sql_table in folder.declaration.sql_tables:
        if sql_shape := folder.sql.get(sql_table.name):
            yield from _columns(folder, sql_table.name, sql_shape.columns, SQL)
            yield from _whole_id(
                folder, SQL, sql_table.name, sql_shape.key, sql_shape.columns, "primary key"
            )
            yield from _nullable_key(folder, SQL, sql_table.name, sql_shape.key, {})
    yield from _two_types(folder)
    yield from _unstored(folder)


def _columns(
    folder: Folder,
    place: str,
    columns: Mapping[str, str],
    file: str,
    table: Table | None = None,
) -> Iterator[Fault]:
    lineage = LINEAGE_IN_CQL if file == CQL else LINEAGE_IN_SQL
    if missing := [name for name in LINEAGE if name not in columns]:
        added = ", ".join(f"{name} {lineage[name]}" for name in missing)
        yield Fault(
            file,
            place,
            f"it lacks the lineage of its rows, by which they are proven; add: {added}",
        )
    own = {*folder.derived, *(table.derived if table else ())}
    for name, kind in columns.items():
        wanted = _wanted(folder, name, file)
        if wanted is None and name not in own:
            if not folder.derives_by_function:
                yield _unknown(folder, file, place, name)
        elif wanted is None:
            if not DERIVED_TYPES.fullmatch(spark_type(kind)):
                yield Fault(file, place, f"`{name}` has the type {kind}, which no record can fill")
        elif not _is_same(kind, wanted, file):
            yield Fault(
                file, place, f"`{name}` is {kind}, but its values are {wanted}; write {wanted}"
            )


def unfilled(folder: Folder, added: Collection[str]) -> Iterator[Fault]:
    """Yield columns of tables that nothing fills, once it is known which ones a function adds."""
    if folder.declaration is None:
        return
    tables = [
        *((CQL, t.place, folder.cql.get(t.place), t.derived) for t in folder.declaration.tables),
        *((SQL, t.name, folder.sql.get(t.name), {}) for t in folder.declaration.sql_tables),
    ]
    for file, place, shape, derived in tables:
        for name in shape.columns if shape else ():
            if _wanted(folder, name, file) is None and name not in {*added, *derived}:
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


def _whole_id(
    folder: Folder,
    file: str,
    place: str,
    key: Sequence[str],
    columns: Mapping[str, str],
    what: str,
) -> Iterator[Fault]:
    absent = [name for name in key if name not in columns]
    for name in absent:
        yield Fault(
            file, place, f"`{name}` is in the {what}, but is no column of the table; add it"
        )
    if missing := [name for name in folder.id_columns if name not in key]:
        names = ", ".join(f"`{name}`" for name in missing)
        yield Fault(
            file,
            place,
            f"{names} of the id {'is' if len(missing) == 1 else 'are'} not in the {what}: two"
            f" records would overwrite each other; add {names} at its end",
        )


def _key(folder: Folder, table: Table, shape: CassandraShape) -> Iterator[Fault]:
    key = [name for name, _, _ in shape.key]
    yield from _whole_id(folder, CQL, table.place, key, shape.columns, "primary key")
    yield from _nullable_key(folder, CQL, table.place, key, table.stand_ins)
    for name in key:
        if "<" in shape.columns.get(name, "") and not shape.columns[name].startswith("frozen<"):
            yield Fault(CQL, table.place, f"`{name}` is a collection, which no key can hold")
    for name in table.stand_ins:
        if name not in key:
            yield Fault(
                DECLARATION, "tables", f"`{table.place}`: `{name}` of `stand_ins` is in no key"
            )


def _nullable_key(
    folder: Folder, file: str, place: str, key: Sequence[str], stand_ins: Mapping[str, str]
) -> Iterator[Fault]:
    optional = {
        name for name, each in folder.fields.items() if not each.required and each.default is None
    }
    for name in key:
        if name in stand_ins:
            continue
        if name in optional:
            yield Fault(file, place, _may_be_absent(name, folder.fields[name].name, file, place))
        elif name in folder.derived and not handles_nulls(folder.derived[name]):
            sources = columns_in(folder.derived[name], folder.fields)
            for source in sources:
                if source in optional:
                    text = _may_be_absent(name, folder.fields[source].name, file, place)
                    yield Fault(file, place, text)


def _may_be_absent(column: str, field: str, file: str, place: str) -> str:
    if file == CQL:
        other = f'`Table("{place}", stand_ins={{"{column}": "unknown"}})`'
    else:
        other = "take it out of the key"
    return (
        f"`{column}` is in the key, but the field `{field}` may be absent, and a key holds no null;"
        f" make the field required, give it a `default`, or {other}"
    )


def _partitions(folder: Folder, table: Table, shape: CassandraShape) -> Iterator[Fault]:
    """Yield a fault if a partition gets ever more rows as time passes."""
    partition = [name for name, kind, _ in shape.key if kind == "partition_key"]
    if not partition or {*folder.id_columns} <= {*partition}:
        return
    types = known_types(folder)
    if any(_divides(folder, table, name, types) for name in partition):
        return
    names = ", ".join(partition)
    yield Fault(
        CQL,
        table.place,
        f"a partition holds all records with the same {names}, and grows without bound;"
        f" {_division(folder, names)}",
    )


def _divides(folder: Folder, table: Table, name: str, types: Mapping[str, str]) -> bool:
    """Whether a column is a stretch of time, or a shard of the ids."""
    own = {**folder.derived, **table.derived}
    if types.get(name) in ("timestamp", "date"):
        return True
    if name in own:
        sources = columns_in(own[name], types)
        of_time = any(types[each] in ("timestamp", "date") for each in sources)
        return of_time or bool({*sources} & {*folder.id_columns, "record_id"})
    # What a function derives cannot be seen from here.
    return folder.derives_by_function and name not in folder.fields


def _division(folder: Folder, names: str) -> str:
    if field := _clock(folder):
        column = str(field.column)
        if field.kind == "date":
            return f"divide it by time: PRIMARY KEY (({names}, {column}), …)"
        bucket = f"{column.removesuffix('_at').removesuffix('_time')}_day"
        return (
            f'divide it by time: `derived={{"{bucket}": "to_date({column})"}}`, a column'
            f" `{bucket} date`, and PRIMARY KEY (({names}, {bucket}), …)"
        )
    sql = SHARD.format(id=next(iter(folder.id_columns), "record_id"))
    return (
        f'divide it by a shard: `derived={{"shard": "{sql}"}}`, a column `shard int`, and'
        f" PRIMARY KEY (({names}, shard), …)"
    )


def _clock(folder: Folder) -> FieldContract | None:
    """The event time, or else another required instant or date that has a column."""
    event_time = folder.contract.event_time if folder.contract else None
    if event_time is not None and event_time.column:
        return event_time
    times = (f for f in folder.fields.values() if f.kind in ("timestamp", "date") and not f.items)
    return next((field for field in times if field.required), None)


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
                    f"derived[{name!r}]",
                    f"it is {first} in `{where}` and {kind} in `{place}`; give both one type",
                )


def _unstored(folder: Folder) -> Iterator[Fault]:
    stored = {column for columns in folder.columns_of_tables for column in columns}
    if folder.declaration:
        stored |= {c for each in folder.declaration.file_sets for c in each.columns}
        stored |= {c for each in folder.declaration.topics for c in each.columns}
    for name, field in folder.fields.items():
        used = any(name in columns_in(sql, {name: 0}) for sql in folder.derived.values())
        if name not in stored and not used and not folder.derives_by_function:
            text = f"its column `{name}` is in no table, so it is stored nowhere"
            yield note("contract.schema.json", field.name, text)
    is_hashed = any(each.sensitivity == "hashed" for each in folder.fields.values())
    if is_hashed and "hash_key_id" not in stored:
        text = (
            "no table has `hash_key_id text`, so digests of a former key cannot be distinguished"
            " from new ones; add the column"
        )
        yield note(CQL, "", text)
