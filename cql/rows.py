"""Reads rows of a Cassandra table: by key, or page by page; `cql.scan` reads whole tables."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from cassandra import DriverException, InvalidRequest, Unauthorized
from cassandra.cluster import NoHostAvailable, Session
from cassandra.metadata import TableMetadata
from cassandra.protocol import ProtocolException
from cassandra.query import BoundStatement, PreparedStatement

from cql.access import reason_of
from errors import RequestError, SinkRejected, SinkUnavailable

TIMESTAMP: Final = "timestamp"
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
IDENTIFIER: Final = re.compile(r"[a-z][a-z0-9_]{0,47}\Z")


@dataclass(frozen=True)
class RowPage:
    """Rows, and where the next page begins; None after the last one."""

    rows: Sequence[dict[str, Any]]
    following: str | None = None


def select_rows(
    session: Session,
    keyspace: str,
    table: str,
    where: Mapping[str, object] | None = None,
    limit: int = 20,
) -> list[dict[str, Any]]:
    """Rows of a table whose columns equal `where`; text is converted to the column's type.

    Times are naive and in UTC; a time outside the range of `datetime` is its number of
    milliseconds since 1970, as text.

    Raises:
        RequestError: the table cannot be queried like that, or a value does not fit its column.
    """
    where = where or {}
    check_identifiers(keyspace, table, *where)
    partitions = partitions_of(session, keyspace, table, where)
    if partitions is not None:
        rows = (
            row
            for partition in partitions
            for row in select_rows(session, keyspace, table, partition, limit)
        )
        return list(itertools.islice(rows, limit))
    return [*select_page(session, keyspace, table, where, limit).rows]


def select_page(
    session: Session,
    keyspace: str,
    table: str,
    where: Mapping[str, object],
    size: int,
    page: str | None = None,
) -> RowPage:
    """At most `size` rows whose columns equal `where`; `page` is where an earlier page ended.

    Raises:
        RequestError: the table cannot be queried like that, a value does not fit its column, or
            `page` is not one of this query.
        SinkUnavailable: the cluster did not answer.
    """
    check_identifiers(keyspace, table, *where)
    conditions = " AND ".join(f"{column} = ?" for column in where)
    columns = _columns_of(session, keyspace, table)
    text = f"SELECT {_selected(columns)} FROM {keyspace}.{table}"  # noqa: S608 - checked identifiers
    try:
        statement = session.prepare(f"{text} WHERE {conditions}" if where else text)
        bound, state, rows = _bound(statement, where), _state(page), list[dict[str, Any]]()
        while True:
            bound.fetch_size = size - len(rows)
            found = session.execute(bound, paging_state=state)
            rows += [_as_read(row, columns) for row in found.current_rows]
            state = found.paging_state
            # Cassandra may give fewer rows than there are.
            if not state or len(rows) >= size:
                break
    except (InvalidRequest, Unauthorized, ProtocolException) as error:
        raise RequestError(
            f"Cassandra refused to read {keyspace}.{table} by {', '.join(where) or 'nothing'}:"
            f" {error}. Give all columns of the table's partition key, which cql/ shows."
        ) from error
    except (NoHostAvailable, DriverException) as error:
        raise _unanswered(keyspace, table, error) from error
    return RowPage(rows, state.hex() if state else None)


def first_partitions(
    session: Session, keyspace: str, table: str, most: int
) -> list[dict[str, Any]]:
    """The keys of at most that many partitions, in the cluster's own order; reads no row.

    Raises:
        SinkRejected: there is no such table.
        SinkUnavailable: the cluster did not answer.
    """
    check_identifiers(keyspace, table)
    columns = _columns_of(session, keyspace, table)
    key = {name: columns[name] for name in _partition_key(session, keyspace, table)}
    text = f"SELECT DISTINCT {_selected(key)} FROM {keyspace}.{table} LIMIT {most}"  # noqa: S608 - as above
    try:
        return [_as_read(row, key) for row in session.execute(text)]
    except InvalidRequest as error:
        raise SinkRejected(
            f"Cassandra has no table {keyspace}.{table}. `make up` creates it."
        ) from error
    except (NoHostAvailable, DriverException) as error:
        raise _unanswered(keyspace, table, error) from error


def _bound(statement: PreparedStatement, where: Mapping[str, object]) -> BoundStatement:
    values = [
        _as_type(value, column.type.typename, column.name)
        for value, column in zip(where.values(), statement.column_metadata, strict=False)
    ]
    try:
        return statement.bind(values)
    except (TypeError, ValueError, OverflowError):
        # The driver's messages quote values.
        raise RequestError(
            f"A value given for {', '.join(where)} does not fit its column: it has another type, is"
            " too large, or is no Unicode text."
        ) from None


def _state(page: str | None) -> bytes | None:
    try:
        return bytes.fromhex(page) if page else None
    except ValueError:
        raise RequestError(
            "This is not the page of a table: begin again with the first one."
        ) from None


def _unanswered(keyspace: str, table: str, error: Exception) -> SinkUnavailable:
    return SinkUnavailable(
        f"Cassandra did not answer a read of {keyspace}.{table}: {reason_of(error)}."
        " `make status` shows whether it is up."
    )


def partitions_of(
    session: Session, keyspace: str, table: str, where: Mapping[str, object]
) -> list[dict[str, object]] | None:
    """The matching partitions, highest key first, if `where` has only part of the partition key.

    None if Cassandra can answer `where` itself. It reads the keys of all partitions, which suits
    showing a table but not programs.
    """
    columns = _columns_of(session, keyspace, table)
    types = {name: columns[name] for name in _partition_key(session, keyspace, table)}
    if not where or not set(where) < set(types):
        return None
    wanted = {name: _as_stored(_as_type(value, types[name], name)) for name, value in where.items()}
    statement = f"SELECT DISTINCT {_selected(types)} FROM {keyspace}.{table}"  # noqa: S608
    try:
        found = [{name: row[name] for name in types} for row in session.execute(statement)]
    except (NoHostAvailable, DriverException) as error:
        raise _unanswered(keyspace, table, error) from error
    matching = [p for p in found if all(p[name] == value for name, value in wanted.items())]
    return sorted(matching, key=lambda partition: [partition[name] for name in types], reverse=True)


def table_metadata(session: Session, keyspace: str, table: str) -> TableMetadata | None:
    """What the driver knows of a table; None if it does not know it."""
    found = session.cluster.metadata.keyspaces.get(keyspace)
    return found.tables.get(table) if found else None


def _partition_key(session: Session, keyspace: str, table: str) -> list[str]:
    described = table_metadata(session, keyspace, table)
    key = described.partition_key if described else []
    return [column.name for column in key]


def _columns_of(session: Session, keyspace: str, table: str) -> dict[str, str]:
    """Columns of a table with their types; none if the driver does not know the table."""
    described = table_metadata(session, keyspace, table)
    columns = described.columns if described else {}
    return {name: column.cql_type for name, column in columns.items()}


def _selected(columns: Mapping[str, str]) -> str:
    """The selection, with times as milliseconds: the driver cannot read a year above 9999."""
    return ", ".join(
        f"toUnixTimestamp({name}) AS {name}" if kind == TIMESTAMP else name
        for name, kind in columns.items()
    ) or "*"  # fmt: skip


def _as_stored(value: object) -> object:
    """A value in the form that `_selected` returns."""
    return (value - EPOCH) // timedelta(milliseconds=1) if isinstance(value, datetime) else value


def _as_read(row: dict[str, Any], columns: Mapping[str, str]) -> dict[str, Any]:
    """A row with milliseconds converted back to times."""
    return {
        name: _time(value) if columns.get(name) == TIMESTAMP and value is not None else value
        for name, value in row.items()
    }


def _time(milliseconds: int) -> datetime | str:
    try:
        return (EPOCH + timedelta(milliseconds=milliseconds)).replace(tzinfo=None)
    except OverflowError:
        return str(milliseconds)


def _as_type(value: object, type_name: str, column: str) -> object:
    if not isinstance(value, str):
        return value
    try:
        if type_name == "uuid":
            return UUID(value)
        if type_name == "date":
            return date.fromisoformat(value).isoformat()
        if type_name == TIMESTAMP:
            moment = datetime.fromisoformat(value)
            return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        if type_name in {"boolean", "double", "float", "decimal"}:
            return json.loads(value, parse_float=float if type_name != "decimal" else Decimal)
        return int(value) if type_name in {"int", "bigint"} else value
    except (ValueError, RecursionError):
        raise RequestError(
            f"`{column}` takes a {type_name}, but the given value is not one."
            " Examples: 2026-11-22T14:00:00Z for a timestamp, 7 for an int."
        ) from None


def check_identifiers(*names: str) -> None:
    """Refuse names that cannot be used in a statement without quotes."""
    for name in names:
        if not IDENTIFIER.match(name):
            raise RequestError(
                f"`{name}` is not a keyspace, table or column of Millrace:"
                " their names are lower-case letters, digits and underscores."
            )
