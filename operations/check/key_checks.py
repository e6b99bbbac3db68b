"""Checks of tables' keys: whole ids, values that are always there, partitions of bounded size."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import takewhile
from typing import Final

from cql.declared import CassandraShape
from operations.check.declaration_checks import known_types
from operations.check.fault import CQL, DECLARATION, SQL, Fault
from operations.check.folder import Folder
from operations.check.partitions import known_values
from operations.sql_text import columns_in, handles_nulls
from schemas.fields import FieldContract
from spark_jobs.targets import SHARD, Table
from sql.declared import PostgresShape

EXAMPLE: Final = 16


def key_faults(folder: Folder, place: str, shape: CassandraShape) -> Iterator[Fault]:
    """Yield what in the key of a table of Cassandra would lose or overload rows."""
    key = [name for name, _, _ in shape.key]
    yield from _whole_id(folder, CQL, place, key, shape.columns)
    for name in key:
        if "<" in shape.columns.get(name, "") and not shape.columns[name].startswith("frozen<"):
            yield Fault(CQL, place, f"`{name}` is a collection, which no key can hold")
    if table := folder.table(place):
        yield from _nullable_key(folder, CQL, place, key, table.stand_ins)
        yield from _stand_ins(table, key, shape)
        yield from _shards(folder, table, shape)
        yield from _spread(folder, table, shape)
    yield from _partitions(folder, place, shape)


def sql_key_faults(folder: Folder, place: str, shape: PostgresShape) -> Iterator[Fault]:
    """Yield what in the key of a table of PostgreSQL would lose rows."""
    yield from _whole_id(folder, SQL, place, shape.key, shape.columns)
    yield from _nullable_key(folder, SQL, place, shape.key, {})


def _whole_id(
    folder: Folder,
    file: str,
    place: str,
    key: Sequence[str],
    columns: Mapping[str, str],
) -> Iterator[Fault]:
    absent = [name for name in key if name not in columns]
    for name in absent if place not in folder.half_read else ():
        yield Fault(
            file, place, f"`{name}` is in the primary key, but is no column of the table; add it"
        )
    missing = [name for name in folder.id_columns if name not in key]
    if missing and key:
        names = ", ".join(f"`{name}`" for name in missing)
        yield Fault(
            file,
            place,
            f"{names} of the id {'is' if len(missing) == 1 else 'are'} not in the primary key: two"
            f" records would overwrite each other; add {names} at its end",
        )


def _stand_ins(table: Table, key: Sequence[str], shape: CassandraShape) -> Iterator[Fault]:
    for name in table.stand_ins:
        at = f'tables["{table.place}"].stand_ins'
        if name not in key:
            yield Fault(
                DECLARATION, at, f"`{name}` is not in the key, so it may be null; leave it out"
            )
        elif shape.columns.get(name, "text") != "text":
            yield Fault(
                DECLARATION, at, f"`{name}` is {shape.columns[name]}, and only a text has one"
            )


def _shards(folder: Folder, table: Table, shape: CassandraShape) -> Iterator[Fault]:
    at = f'tables["{table.place}"].shards'
    if table.shards == 1:
        return
    if (SHARD, "partition_key", "none") not in shape.key or shape.columns.get(SHARD) != "int":
        yield Fault(
            CQL,
            table.place,
            f"it has {table.shards} shards by its declaration; add a column `{SHARD} int`, and"
            f" `{SHARD}` to its partition key",
        )
    if SHARD in folder.fields:
        name = folder.fields[SHARD].name
        yield Fault(DECLARATION, at, f"`{name}` of the contract feeds `{SHARD}`; rename its column")
    others = folder.declaration.tables if folder.declaration else ()
    if any(other.shards not in (1, table.shards) for other in others):
        yield Fault(DECLARATION, at, "tables have different numbers of shards; give all the same")


def _spread(folder: Folder, table: Table, shape: CassandraShape) -> Iterator[Fault]:
    partition = {*shape.partition_key}
    for name, count in table.spread.items():
        at = f'tables["{table.place}"].spread'
        if name not in partition:
            text = f"`{name}` is not in the partition key; leave it out"
        elif name == SHARD or known_types(folder).get(name) in ("timestamp", "date"):
            text = f"`{name}` divides records by itself; leave it out"
        elif name in folder.fields and 0 < (most := known_values(folder.fields[name])) < count:
            text = f"`{name}` has {most} values by the contract, not {count}; leave it out"
        else:
            continue
        yield Fault(DECLARATION, at, text)


def _nullable_key(
    folder: Folder, file: str, place: str, key: Sequence[str], stand_ins: Mapping[str, str]
) -> Iterator[Fault]:
    for name in key:
        if name not in stand_ins:
            for source in _null_sources(folder, name):
                yield Fault(file, place, _may_be_null(folder, name, source, file, place))


def _null_sources(folder: Folder, name: str) -> list[str]:
    """The columns of fields of which one is null where this column is null."""
    if name in folder.fields:
        return [name] if folder.why_null(name) else []
    if handles_nulls(sql := folder.derived.get(name, "")):
        return []
    earlier = dict(takewhile(lambda pair: pair[0] != name, folder.derived.items()))
    sources = columns_in(sql, {**folder.fields, **earlier})
    return list(dict.fromkeys(s for each in sources for s in _null_sources(folder, each)))


def _may_be_null(folder: Folder, column: str, source: str, file: str, place: str) -> str:
    if file == CQL and folder.cql[place].columns.get(column) == "text":
        other = f'`Table("{place}", stand_ins={{"{column}": "unknown"}})`'
    elif column in folder.derived:
        other = "`coalesce` in its SQL"
    else:
        other = "take it out of the key"
    is_required = folder.fields[source].required
    remedy = "" if is_required else "make the field required, give it a `default`, or "
    return (
        f"`{column}` is in the key, but the field `{folder.fields[source].name}`"
        f" {folder.why_null(source)}, and a key holds no null; {remedy}{other}"
    )


def _partitions(folder: Folder, place: str, shape: CassandraShape) -> Iterator[Fault]:
    """Yield a fault if a partition gets ever more rows as time passes."""
    partition = [*shape.partition_key]
    if not partition or {*folder.id_columns} <= {*partition}:
        return
    types = known_types(folder)
    if any(_divides(folder, place, name, types) for name in partition):
        return
    names = ", ".join(partition)
    yield Fault(
        CQL,
        place,
        f"a partition holds all records with the same {names}, and grows without bound;"
        f" {_division(folder, place, names)}",
    )


def _divides(folder: Folder, place: str, name: str, types: Mapping[str, str]) -> bool:
    """Whether a column is a stretch of time, or a shard of the ids."""
    table = folder.table(place)
    own = {**folder.derived, **(table.derived if table else {})}
    if types.get(name) in ("timestamp", "date") or name in folder.doubtful:
        return True
    if name in own:
        sources = columns_in(own[name], types)
        of_time = any(types[each] in ("timestamp", "date") for each in sources)
        return of_time or bool({*sources} & {*folder.id_columns, "record_id"})
    return folder.derives_unseen and name not in folder.fields


def _division(folder: Folder, place: str, names: str) -> str:
    if field := _clock(folder):
        column = str(field.column)
        if field.kind == "date":
            return f"divide it by time: PRIMARY KEY (({names}, {column}), …)"
        bucket = f"{column.removesuffix('_at').removesuffix('_time')}_day"
        return (
            f'divide it by time: `derived={{"{bucket}": "to_date({column})"}}`, a column'
            f" `{bucket} date`, and PRIMARY KEY (({names}, {bucket}), …)"
        )
    return (
        f'divide it by a shard: `Table("{place}", shards={EXAMPLE})`, a column `{SHARD} int`, and'
        f" PRIMARY KEY (({names}, {SHARD}), …)"
    )


def _clock(folder: Folder) -> FieldContract | None:
    """The event time, or else another required instant or date that has a column."""
    event_time = folder.contract.event_time if folder.contract else None
    if event_time is not None and event_time.column:
        return event_time
    times = (f for f in folder.fields.values() if f.kind in ("timestamp", "date") and not f.items)
    return next((field for field in times if field.required), None)
