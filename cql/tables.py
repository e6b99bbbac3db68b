"""Cassandra's tables: how existing ones differ from the declared ones.

Existing tables are read from the driver's metadata; nothing is changed.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from cassandra import DriverException
from cassandra.cluster import NoHostAvailable, Session
from cassandra.metadata import TableMetadata

from cql.declared import CassandraShape
from cql.division import noted_shards, setting_of
from errors import SinkUnavailable
from runtime import remedies
from settings import Settings, load_settings


@dataclass(frozen=True)
class Difference:
    """A difference from the declaration; `is_absent` if `make up` would create what is missing."""

    text: str
    is_absent: bool = False


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
        shards=noted_shards(table.name, table.options.get("comment", "")),
    )


def differences(
    wanted: Mapping[str, CassandraShape], found: Mapping[str, CassandraShape], pipeline: str
) -> Iterator[Difference]:
    """Differences that keep records from being written or found; extra columns do no harm.

    Missing columns can be added, but a different type or key needs the table created again.
    The messages name the pipeline that fills the tables.
    """
    if absent := [name for name in wanted if name not in found]:
        yield Difference(f"no table {', '.join(absent)}: `make up` creates what is missing", True)
    for name, shape in wanted.items():
        if there := found.get(name):
            yield from _differences(name, shape, there, pipeline)


def _differences(
    name: str, wanted: CassandraShape, there: CassandraShape, pipeline: str
) -> Iterator[Difference]:
    missing = {c: kind for c, kind in wanted.columns.items() if c not in there.columns}
    if divided := shard_difference(name, wanted, there, pipeline):
        yield Difference(divided)
    elif wanted.key != there.key:
        yield Difference(
            f"the key of {name} is {there.key_text}, {wanted.origin} says {wanted.key_text}:"
            f" {_create_again(name, pipeline)}"
        )
    elif missing:
        added = ", ".join(f"{column} {kind}" for column, kind in missing.items())
        yield Difference(
            f"{name} has no column {', '.join(missing)}, which {wanted.origin} has:"
            f" `{remedies.cqlsh(f'ALTER TABLE {name} ADD ({added})')}`"
        )
    for column, kind in wanted.columns.items():
        if (other := there.columns.get(column, kind)) != kind:
            yield Difference(
                f"{name}.{column} is {other}, {wanted.origin} says {kind}:"
                f" {_create_again(name, pipeline)}"
            )
    if absent := wanted.indexes - there.indexes:
        yield Difference(f"no index {', '.join(sorted(absent))}: `make up` creates it", True)


def shard_difference(
    name: str,
    wanted: CassandraShape,
    there: CassandraShape,
    pipeline: str,
    settings: Settings | None = None,
) -> str | None:
    """What to do if a table was made with another number of shards; settings as in `remedies`."""
    if wanted.shards == there.shards:
        return None
    settings = settings or load_settings()
    setting = setting_of(name.rpartition(".")[2])
    topic = settings.topic_of(pipeline) or pipeline
    return (
        f"{name} was made with {setting}={there.shards}, which now is {wanted.shards}, and its rows"
        f" are divided by that: set {setting}={there.shards} again, or"
        f" `{remedies.table_again(name, topic, settings)}` makes it again from the topic's messages"
    )


def _create_again(name: str, pipeline: str) -> str:
    drop = remedies.cqlsh(f"DROP TABLE {name}")
    return f"`{drop} && {remedies.reset(pipeline)}` creates it again, and the next job fills it"
