"""Cassandra's tables: as the numbered files declare them, and how existing ones differ.

Existing tables are read from the driver's metadata; nothing is changed.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Final

from cassandra import DriverException
from cassandra.cluster import NoHostAvailable, Session
from cassandra.metadata import TableMetadata

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
                shapes[f"{keyspace}.{name}"] = replace(shape, indexes=shape.indexes | {index})
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


def present(session: Session, names: Collection[str]) -> dict[str, CassandraShape]:
    """The named tables (`keyspace.table`) that exist, as the cluster has them now.

    Raises:
        SinkUnavailable: the cluster did not answer.
    """
    try:
        session.cluster.refresh_schema_metadata(max_schema_agreement_wait=0)
    except (NoHostAvailable, DriverException) as error:
        raise SinkUnavailable(
            f"Cassandra did not list its tables ({type(error).__name__}). `make status` shows"
            " whether it is up."
        ) from error
    return {
        f"{keyspace.name}.{table.name}": _shape(table)
        for keyspace in session.cluster.metadata.keyspaces.values()
        for table in keyspace.tables.values()
        if f"{keyspace.name}.{table.name}" in names
    }


def _shape(table: TableMetadata) -> CassandraShape:
    return CassandraShape(
        {name: column.cql_type for name, column in table.columns.items()},
        (
            *((part.name, "partition_key", "none") for part in table.partition_key),
            *(
                (part.name, "clustering", "desc" if part.is_reversed else "asc")
                for part in table.clustering_key
            ),
        ),
        frozenset(table.indexes),
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
