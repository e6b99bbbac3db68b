"""Cassandra's client: connect, create the tables, show rows; `cql.scan` reads whole tables."""

from __future__ import annotations

import itertools
import json
import logging
import re
import socket
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from cassandra import DriverException, InvalidRequest, Unauthorized
from cassandra.cluster import (
    EXEC_PROFILE_DEFAULT,
    Cluster,
    NoHostAvailable,
    Session,
)
from cassandra.policies import ExponentialReconnectionPolicy
from cassandra.protocol import ConfigurationException, SyntaxException

from cql.access import login, profile, tls_context, unreachable
from cql.declared import CQL_FOLDER
from cql.statements import created_keyspace, split_statements, with_replication
from errors import SinkRejected, SinkUnavailable
from settings import Settings

# Cassandra 4 and 5 speak version 5; naming it keeps the driver from trying others with a warning.
PROTOCOL_VERSION: Final = 5
CONNECT_TIMEOUT_SECONDS: Final = 10.0
PROBE_TIMEOUT_SECONDS: Final = 2.0
DDL_TIMEOUT_SECONDS: Final = 60.0
GREETING_SECONDS: Final = 3.0
# A frame of version 4, which Cassandra 4 and 5 read: no flags, stream 0, OPTIONS, no body.
OPTIONS_REQUEST: Final = bytes((4, 0, 0, 0, 5, 0, 0, 0, 0))
TIMESTAMP: Final = "timestamp"
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
IDENTIFIER: Final = re.compile(r"[a-z][a-z0-9_]{0,47}\Z")

# The driver logs every attempt and refused statement; the errors raised here say what matters.
DRIVER_LOGGER: Final = logging.getLogger("cassandra")


def connect(settings: Settings, timeout_seconds: float = CONNECT_TIMEOUT_SECONDS) -> Session:
    """Open a session; close it with `close(session)`.

    Raises:
        SinkUnavailable: no node answered in time, or the login was refused.
    """
    DRIVER_LOGGER.setLevel(logging.DEBUG if settings.log_level == "DEBUG" else logging.CRITICAL)
    hosts = [host.strip() for host in settings.cassandra_contact_points.split(",")]
    cluster = Cluster(
        contact_points=hosts,
        port=settings.cassandra_port,
        auth_provider=login(settings),
        ssl_context=tls_context(settings),
        protocol_version=PROTOCOL_VERSION,
        connect_timeout=timeout_seconds,
        control_connection_timeout=timeout_seconds,
        reconnection_policy=ExponentialReconnectionPolicy(base_delay=0.5, max_delay=10),
        execution_profiles={EXEC_PROFILE_DEFAULT: profile(settings)},
    )
    try:
        return cluster.connect()
    except (NoHostAvailable, DriverException, OSError) as error:
        cluster.shutdown()
        raise SinkUnavailable(unreachable(settings, error, timeout_seconds)) from error
    except BaseException:
        cluster.shutdown()
        raise


def close(session: Session) -> None:
    """Close a session and the cluster object behind it, with all their threads."""
    session.cluster.shutdown()


def is_ready(settings: Settings) -> bool:
    """Whether Cassandra answers a SELECT within seconds."""
    try:
        session = connect(settings, PROBE_TIMEOUT_SECONDS)
    except SinkUnavailable:
        return False
    try:
        rows = session.execute("SELECT release_version FROM system.local")
        return rows.one() is not None
    except (NoHostAvailable, DriverException):
        return False
    finally:
        close(session)


def greet(settings: Settings, seconds: float = GREETING_SECONDS) -> None:
    """Ask a node for its protocol's options, which needs no login and no session.

    Raises:
        OSError: no node answered in time.
    """
    context, failure = tls_context(settings), OSError("no contact point")
    for host in settings.cassandra_contact_points.split(","):
        address = (host.strip(), settings.cassandra_port)
        try:
            with (
                socket.create_connection(address, seconds) as plain,
                context.wrap_socket(plain) if context else plain as peer,
            ):
                peer.sendall(OPTIONS_REQUEST)
                if peer.recv(1):
                    return
        except OSError as error:
            failure = error
    raise failure


def apply_tables(session: Session, settings: Settings, *others: Path) -> None:
    """Create missing keyspaces, tables and indexes from this folder's files, and from others.

    An existing keyspace is not created again, as some services let no user create one.

    Raises:
        SinkUnavailable: the connection to the cluster was lost.
        SinkRejected: the cluster refused a statement.
    """
    factor, datacenter = settings.cassandra_replication_factor, settings.cassandra_local_datacenter
    for path in (*sorted(CQL_FOLDER.glob("[0-9]*.cql")), *others):
        origin = f"{path.parent.name}/{path.name}"
        for statement in split_statements(path.read_text(encoding="utf-8-sig")):
            if created_keyspace(statement) not in session.cluster.metadata.keyspaces:
                _execute(session, with_replication(statement, factor, datacenter), origin)


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
        SinkRejected: the table cannot be queried like that, or a value does not fit its column.
    """
    where = where or {}
    check_identifiers(keyspace, table, *where)
    partitions = _partitions_of(session, keyspace, table, where)
    if partitions is not None:
        rows = (
            row
            for partition in partitions
            for row in select_rows(session, keyspace, table, partition, limit)
        )
        return list(itertools.islice(rows, limit))
    conditions = " AND ".join(f"{column} = ?" for column in where)
    columns = _columns_of(session, keyspace, table)
    text = f"SELECT {_selected(columns)} FROM {keyspace}.{table}"  # noqa: S608 - checked identifiers
    text += f" WHERE {conditions} LIMIT ?" if where else " LIMIT ?"
    try:
        statement = session.prepare(text)
        values = [
            _as_type(value, column.type.typename, column.name)
            for value, column in zip(where.values(), statement.column_metadata, strict=False)
        ]
        return [_as_read(row, columns) for row in session.execute(statement, [*values, limit])]
    except (InvalidRequest, Unauthorized) as error:
        raise SinkRejected(
            f"Cassandra refused to read {keyspace}.{table} by {', '.join(where) or 'nothing'}:"
            f" {error}. Give all columns of the table's partition key, which cql/ shows."
        ) from error
    except (NoHostAvailable, DriverException) as error:
        raise _unanswered(keyspace, table, error) from error


def _unanswered(keyspace: str, table: str, error: Exception) -> SinkUnavailable:
    return SinkUnavailable(
        f"Cassandra did not answer a read of {keyspace}.{table}: {error}."
        " `make status` shows whether it is up."
    )


def _partitions_of(
    session: Session, keyspace: str, table: str, where: Mapping[str, object]
) -> list[dict[str, object]] | None:
    """The matching partitions, highest key first, if `where` has only part of the partition key.

    None if Cassandra can answer `where` itself. It reads the keys of all partitions, which suits
    showing a table but not programs.
    """
    metadata = session.cluster.metadata.keyspaces.get(keyspace)
    key = metadata.tables[table].partition_key if _has(metadata, table) else []
    types = {column.name: column.cql_type for column in key}
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


def _columns_of(session: Session, keyspace: str, table: str) -> dict[str, str]:
    """Columns of a table with their types; none if the driver does not know the table."""
    metadata = session.cluster.metadata.keyspaces.get(keyspace)
    columns = metadata.tables[table].columns if _has(metadata, table) else {}
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


def _has(metadata: Any, table: str) -> bool:
    return metadata is not None and table in metadata.tables


def _execute(session: Session, statement: str, origin: str) -> None:
    try:
        session.execute(statement, timeout=DDL_TIMEOUT_SECONDS)
    except (InvalidRequest, Unauthorized, SyntaxException, ConfigurationException) as error:
        raise SinkRejected(
            f"Cassandra refused `{statement.splitlines()[0]}` from {origin}: {error}."
            " The tables need Cassandra 5.0 and a user who may create keyspaces."
        ) from error
    except (NoHostAvailable, DriverException) as error:
        raise SinkUnavailable(
            f"Cassandra did not finish a statement from {origin}: {error}."
            " It is safe to run the command again."
        ) from error


def _as_type(value: object, type_name: str, column: str) -> object:
    if not isinstance(value, str):
        return value
    try:
        if type_name == "uuid":
            return UUID(value)
        if type_name == TIMESTAMP:
            moment = datetime.fromisoformat(value)
            return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        if type_name in {"boolean", "double", "float", "decimal"}:
            return json.loads(value, parse_float=float if type_name != "decimal" else Decimal)
        return int(value) if type_name in {"int", "bigint"} else value
    except ValueError:
        raise SinkRejected(
            f"`{column}` takes a {type_name}, but the given value is not one."
            " Examples: 2026-11-22T14:00:00Z for a timestamp, 7 for an int."
        ) from None


def check_identifiers(*names: str) -> None:
    """Refuse names that cannot be used in a statement without quotes.

    Raises:
        SinkRejected: one of them is not a plain identifier.
    """
    for name in names:
        if not IDENTIFIER.match(name):
            raise SinkRejected(
                f"`{name}` is not a keyspace, table or column of Millrace:"
                " their names are lower-case letters, digits and underscores."
            )
