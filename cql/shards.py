"""Reads the rows of a key that a table divides among shards, as if they were in one partition."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import islice
from typing import Any
from uuid import UUID

from cassandra.cluster import Session

from cql.declared import SHARD
from cql.division import noted_shards
from cql.rows import (
    EPOCH,
    TIMESTAMP,
    RowPage,
    partitions_of,
    select_page,
    select_rows,
    table_metadata,
)
from errors import RequestError


def select_divided(
    session: Session,
    keyspace: str,
    table: str,
    where: Mapping[str, object],
    limit: int,
    shards: int,
) -> list[dict[str, Any]]:
    """`cql.rows.select_rows` of a table with shards, as if each key had one partition.

    Rows of a key come in the table's order, whatever their shard.

    Raises:
        RequestError: as `select_rows`.
        SinkUnavailable: the cluster did not answer.
    """
    key, clustering = _keys_of(session, keyspace, table)
    shards = stored_shards(session, keyspace, table, shards)
    if shards == 1 or SHARD in where:
        return select_rows(session, keyspace, table, where, limit)
    keys: list[Mapping[str, object]] = [where]
    if not {*key} - {SHARD} <= {*where}:
        found = partitions_of(session, keyspace, table, where)
        if found is None:
            return select_rows(session, keyspace, table, where, limit)
        keys = []
        for partition in found:
            whole = {name: value for name, value in partition.items() if name != SHARD}
            if whole not in keys:
                keys.append(whole)

    def rows_of(whole: Mapping[str, object]) -> list[dict[str, Any]]:
        asked = ({**whole, SHARD: shard} for shard in range(shards))
        rows = [row for w in asked for row in select_page(session, keyspace, table, w, limit).rows]
        for name, kind, is_falling in reversed(clustering):
            rows.sort(key=lambda row: _sortable(row[name], kind), reverse=is_falling)
        return rows

    return [*islice((row for whole in keys for row in rows_of(whole)), limit)]


def stored_shards(session: Session, keyspace: str, table: str, shards: int) -> int:
    """Into how many shards a table was divided when it was made, whatever the settings say now."""
    described = table_metadata(session, keyspace, table)
    if described is None:
        return shards
    if SHARD not in {column.name for column in described.partition_key}:
        return 1
    noted = noted_shards(table, described.options.get("comment", ""))
    return noted if noted > 1 else shards


def page_of_shards(
    session: Session,
    keyspace: str,
    table: str,
    where: Mapping[str, object],
    size: int,
    shards: int,
    page: str | None = None,
) -> RowPage:
    """`cql.rows.select_page` of a table that may have shards: one shard after the other.

    A table without shards, and a shard that `where` names, are one partition. `shards` is the
    number that the settings say, and `where` has its shard by that number; if the table notes
    another one, all of its shards are asked. `page` names the shard as well.
    """
    stored = stored_shards(session, keyspace, table, shards)
    if stored != shards:
        where = {name: value for name, value in where.items() if name != SHARD}
    if stored == 1 or SHARD in where:
        return select_page(session, keyspace, table, where, size, page)
    number, _, state = (page or "0").partition(".")
    if not (re.fullmatch(r"[0-9]{1,5}", number) and int(number) < stored):
        raise RequestError("This is not the page of a table: begin again with the first one.")
    shard, rows = int(number), list[dict[str, Any]]()
    while True:
        asked = {**where, SHARD: shard}
        found = select_page(session, keyspace, table, asked, size - len(rows), state or None)
        rows += found.rows
        if found.following:
            return RowPage(rows, f"{shard}.{found.following}")
        shard, state = shard + 1, ""
        if shard == stored:
            return RowPage(rows)
        if len(rows) >= size:
            return RowPage(rows, str(shard))


def _keys_of(
    session: Session, keyspace: str, table: str
) -> tuple[Sequence[str], list[tuple[str, str, bool]]]:
    """The partition key, and of each clustering column name, type and whether it falls."""
    described = table_metadata(session, keyspace, table)
    if described is None:
        return (), []
    return (
        [column.name for column in described.partition_key],
        [(each.name, each.cql_type, each.is_reversed) for each in described.clustering_key],
    )


def _sortable(value: Any, kind: str) -> Any:
    """A value that compares as in Cassandra; times beyond 9999 are numbers as text."""
    if isinstance(value, UUID):
        # Those with a time are in its order.
        return value.version or 0, value.time if value.version == 1 else 0, value.bytes
    if kind != TIMESTAMP:
        return value
    if isinstance(value, datetime):
        return (value - EPOCH.replace(tzinfo=None)).total_seconds() * 1000
    return float(value)
