"""Cassandra's tables as CQL files declare them; read as text, without a cluster."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Final

from cql.statements import created_keyspace, split_statements
from runtime.brackets import parts_between_commas

CQL_FOLDER: Final = Path(__file__).resolve().parent
TABLE: Final = re.compile(
    r"CREATE\s+TABLE\s+(?:IF\s+NOT\s+EXISTS\s+)?(\w+)\.(\w+)\s*\(", re.IGNORECASE
)
COLUMN: Final = re.compile(
    r"(\w+)\s+([a-z]+(?:\s*<.*>)?)(\s+static)?(\s+primary\s+key)?\Z", re.IGNORECASE | re.DOTALL
)
KEY: Final = re.compile(
    r"PRIMARY\s+KEY\s*\(\s*(?:\(([^)]*)\)|(\w+))\s*(?:,([^)]*))?\)\Z", re.IGNORECASE
)
DESCENDING: Final = re.compile(r"(\w+)\s+DESC", re.IGNORECASE)
INDEX: Final = re.compile(
    r"CREATE\s+(?:CUSTOM\s+)?INDEX\s+(?:IF\s+NOT\s+EXISTS\s+)?(\w+)\s+ON\s+(\w+)\.(\w+)",
    re.IGNORECASE,
)

# The column of a partition key that divides what would be one partition.
SHARD: Final = "shard"
# For rows that are written once and not changed; docs/scaling.md says why.
COMPACTION: Final = (
    "compaction = {'class': 'UnifiedCompactionStrategy', 'scaling_parameters': 'T4'}"
)


@dataclass(frozen=True)
class CassandraShape:
    """One table's columns with their types, its key with the order of each part, its indexes.

    `key` holds `(column, kind, order)`; kind and order are values of `system_schema.columns`.
    `shards`: into how many a setting divides it; 1 also if its file declares the column itself.
    """

    columns: Mapping[str, str]
    key: tuple[tuple[str, str, str], ...]
    indexes: frozenset[str] = frozenset()
    origin: str = field(default="", compare=False)
    shards: int = 1

    @property
    def partition_key(self) -> tuple[str, ...]:
        """The columns of the partition key, in their order."""
        return tuple(name for name, kind, _ in self.key if kind == "partition_key")

    @property
    def key_text(self) -> str:
        """The key as text: `((team, hour), created_at DESC, order_id ASC)`."""
        partition = ", ".join(self.partition_key)
        rest = [f"{name} {order.upper()}" for name, kind, order in self.key if kind == "clustering"]
        return f"({', '.join([f'({partition})', *rest])})"

    def divided(self, shards: int) -> CassandraShape:
        """The table as `cql.division` creates it with this number of shards."""
        names = len(self.partition_key)
        key = (*self.key[:names], (SHARD, "partition_key", "none"), *self.key[names:])
        return replace(self, columns={**self.columns, SHARD: "int"}, key=key, shards=shards)


@cache
def declared() -> dict[str, CassandraShape]:
    """Every table in the numbered files of this folder, by `keyspace.table`."""
    shapes: dict[str, CassandraShape] = {}
    for path in sorted(CQL_FOLDER.glob("[0-9]*.cql")):
        shapes |= shapes_of(path.read_text(encoding="utf-8"), f"cql/{path.name}")
    return shapes


def shapes_of(script: str, origin: str) -> dict[str, CassandraShape]:
    """Every table that a CQL script creates, with its indexes, by `keyspace.table`."""
    shapes: dict[str, CassandraShape] = {}
    for statement in split_statements(script):
        if found := TABLE.match(statement):
            keyspace, name = found.groups()
            body = statement[found.end() :]
            columns, key = _columns_and_key(body, {*DESCENDING.findall(statement)})
            shape = CassandraShape(columns, key, origin=origin)
            shapes[f"{keyspace}.{name}".lower()] = shape
        elif found := INDEX.match(statement):
            index, keyspace, name = (each.lower() for each in found.groups())
            if indexed := shapes.get(f"{keyspace}.{name}"):
                own = replace(indexed, indexes=indexed.indexes | {index})
                shapes[f"{keyspace}.{name}"] = own
    return shapes


def keyspaces_of(script: str) -> list[str]:
    """The keyspaces that a CQL script creates."""
    return [name for s in split_statements(script) if (name := created_keyspace(s))]


def _columns_and_key(
    body: str, descending: set[str]
) -> tuple[dict[str, str], tuple[tuple[str, str, str], ...]]:
    columns: dict[str, str] = {}
    partition: list[str] = []
    rest: list[str] = []
    for part in parts_between_commas(body):
        if found := KEY.match(part):
            composite, single, clustering = found.groups()
            partition, rest = _names(composite or single), _names(clustering or "")
        elif found := COLUMN.match(part):
            name = found[1].lower()
            columns[name] = re.sub(r"\s+", "", found[2]).lower().replace(",", ", ")
            partition = [name] if found[4] else partition
    falling = {name.lower() for name in descending}
    return columns, (
        *((name, "partition_key", "none") for name in partition),
        *((name, "clustering", "desc" if name in falling else "asc") for name in rest),
    )


def _names(text: str) -> list[str]:
    return [name.strip().lower() for name in text.split(",") if name.strip()]
