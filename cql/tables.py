"""Cassandra's tables: as the numbered files declare them, and how existing ones differ.

Existing tables are read from `system_schema`; nothing is changed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Final

from cassandra import DriverException
from cassandra.cluster import NoHostAvailable, Session

from cql.client import CQL_FOLDER
from cql.statements import split_statements
from errors import SinkUnavailable
from runtime import remedies

KEYSPACE: Final = re.compile(r"CREATE KEYSPACE IF NOT EXISTS (\w+)")
TABLE: Final = re.compile(r"CREATE TABLE IF NOT EXISTS (\w+)\.(\w+) \((.*)\n\)(.*)", re.DOTALL)
COLUMN: Final = re.compile(r"^ +([a-z_]+) +([a-z]+),", re.MULTILINE)
KEY: Final = re.compile(r"PRIMARY KEY \((?:\(([^)]*)\)|(\w+))(?:, ([^)]*))?\)")
DESCENDING: Final = re.compile(r"(\w+) DESC")
INDEX: Final = re.compile(r"CREATE INDEX IF NOT EXISTS (\w+) ON (\w+)\.(\w+)")
# Keyspace -> the pipeline that its tables belong to.
PIPELINES: Final = {"support": "tickets", "usersprofilespace": "profiles"}
KEY_KINDS: Final = ("partition_key", "clustering")


@dataclass(frozen=True)
class CassandraShape:
    """One table's columns with their types, its key with the order of each part, its indexes.

    `key` holds `(column, kind, order)`; kind and order are values of `system_schema.columns`.
    """

    columns: Mapping[str, str]
    key: tuple[tuple[str, str, str], ...]
    indexes: frozenset[str] = frozenset()
    origin: str = field(default="", compare=False)

    @property
    def key_text(self) -> str:
        """The key as text: `((team, hour), created_at DESC, ticket_id ASC)`."""
        partition = ", ".join(name for name, kind, _ in self.key if kind == "partition_key")
        rest = [f"{name} {order.upper()}" for name, kind, order in self.key if kind == "clustering"]
        return f"({', '.join([f'({partition})', *rest])})"


@dataclass(frozen=True)
class Difference:
    """A difference from the declaration; `is_absent` if `make up` would create what is missing."""

    text: str
    is_absent: bool = False


@cache
def declared() -> dict[str, CassandraShape]:
    """Every table in the numbered files, by `keyspace.table`."""
    shapes: dict[str, CassandraShape] = {}
    for path in sorted(CQL_FOLDER.glob("[0-9]*.cql")):
        for statement in split_statements(path.read_text(encoding="utf-8")):
            if found := TABLE.match(statement):
                keyspace, name, body, options = found.groups()
                key = _key(body, set(DESCENDING.findall(options)))
                columns = dict(COLUMN.findall(body))
                shapes[f"{keyspace}.{name}"] = CassandraShape(columns, key, origin=path.name)
            elif found := INDEX.match(statement):
                index, keyspace, name = found.groups()
                shape = shapes[f"{keyspace}.{name}"]
                indexes = shape.indexes | {index}
                shapes[f"{keyspace}.{name}"] = CassandraShape(
                    shape.columns, shape.key, indexes, shape.origin
                )
    return shapes


def keyspaces() -> list[str]:
    """The keyspaces in the numbered files."""
    files = sorted(CQL_FOLDER.glob("[0-9]*.cql"))
    return [name for path in files for name in KEYSPACE.findall(path.read_text(encoding="utf-8"))]


def _key(body: str, descending: set[str]) -> tuple[tuple[str, str, str], ...]:
    composite, single, clustering = KEY.search(body).groups()  # type: ignore[union-attr]
    partition = [part.strip() for part in (composite or single).split(",")]
    rest = [part.strip() for part in (clustering or "").split(",") if part.strip()]
    return (
        *((name, "partition_key", "none") for name in partition),
        *((name, "clustering", "desc" if name in descending else "asc") for name in rest),
    )


def present(session: Session, names: Mapping[str, CassandraShape]) -> dict[str, CassandraShape]:
    """The named tables that exist, as `system_schema` describes them.

    Raises:
        SinkUnavailable: the cluster did not answer.
    """
    wanted = sorted({name.partition(".")[0] for name in names})
    try:
        columns = [row for each in wanted for row in _rows(session, "columns", each)]
        indexes = [row for each in wanted for row in _rows(session, "indexes", each)]
    except (NoHostAvailable, DriverException) as error:
        raise SinkUnavailable(
            f"Cassandra did not list its tables ({type(error).__name__}). `make status` shows"
            " whether it is up."
        ) from error
    by_table: dict[str, list[dict[str, Any]]] = {}
    for row in columns:
        by_table.setdefault(f"{row['keyspace_name']}.{row['table_name']}", []).append(row)
    return {
        name: _shape(
            rows,
            {
                index["index_name"]
                for index in indexes
                if f"{index['keyspace_name']}.{index['table_name']}" == name
            },
        )
        for name, rows in by_table.items()
        if name in names
    }


def _rows(session: Session, table: str, keyspace: str) -> list[dict[str, Any]]:
    query = f"SELECT * FROM system_schema.{table} WHERE keyspace_name = %s"  # noqa: S608
    return list(session.execute(query, (keyspace,)))


def _shape(rows: list[dict[str, Any]], indexes: set[str]) -> CassandraShape:
    parts = sorted(
        (row for row in rows if row["kind"] in KEY_KINDS),
        key=lambda row: (KEY_KINDS.index(row["kind"]), row["position"]),
    )
    return CassandraShape(
        {row["column_name"]: row["type"] for row in rows},
        tuple((row["column_name"], row["kind"], row["clustering_order"]) for row in parts),
        frozenset(indexes),
    )


def differences(
    wanted: Mapping[str, CassandraShape], found: Mapping[str, CassandraShape]
) -> Iterator[Difference]:
    """Differences that keep records from being written or found; extra columns do no harm.

    Missing columns can be added, but a different type or key needs the table created again.
    """
    if absent := [name for name in wanted if name not in found]:
        yield Difference(f"no table {', '.join(absent)}: `make up` creates what is missing", True)
    for name, shape in wanted.items():
        if there := found.get(name):
            yield from _differences(name, shape, there)


def _differences(name: str, wanted: CassandraShape, there: CassandraShape) -> Iterator[Difference]:
    missing = {c: kind for c, kind in wanted.columns.items() if c not in there.columns}
    if wanted.key != there.key:
        yield Difference(
            f"the key of {name} is {there.key_text}, {_file(wanted)} says {wanted.key_text}:"
            f" {_create_again(name)}"
        )
    elif missing:
        added = ", ".join(f"{column} {kind}" for column, kind in missing.items())
        yield Difference(
            f"{name} has no column {', '.join(missing)}, which {_file(wanted)} has:"
            f" `{remedies.cqlsh(f'ALTER TABLE {name} ADD ({added})')}`"
        )
    for column, kind in wanted.columns.items():
        if (other := there.columns.get(column, kind)) != kind:
            yield Difference(
                f"{name}.{column} is {other}, {_file(wanted)} says {kind}: {_create_again(name)}"
            )
    if absent := wanted.indexes - there.indexes:
        yield Difference(f"no index {', '.join(sorted(absent))}: `make up` creates it", True)


def _file(shape: CassandraShape) -> str:
    return f"cql/{shape.origin}"


def _create_again(name: str) -> str:
    keyspace = name.partition(".")[0]
    drop = remedies.cqlsh(f"DROP TABLE {name}")
    reset = remedies.reset(PIPELINES.get(keyspace, keyspace))
    return f"`{drop} && {reset}` creates it again, and the next job fills it"
