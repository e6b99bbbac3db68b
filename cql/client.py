"""Cassandra's client: connect, create the tables; `cql.rows` and `cql.scan` read them."""

from __future__ import annotations

import logging
import socket
from pathlib import Path
from typing import Final

from cassandra import DriverException, InvalidRequest, Unauthorized
from cassandra.cluster import (
    EXEC_PROFILE_DEFAULT,
    Cluster,
    NoHostAvailable,
    Session,
)
from cassandra.policies import ExponentialReconnectionPolicy
from cassandra.protocol import ConfigurationException, SyntaxException

from cql.access import REQUEST_TIMEOUT_SECONDS, login, profile, tls_context, unreachable
from cql.declared import CQL_FOLDER, TABLE
from cql.division import shards_of, with_shards
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

# The driver logs every attempt and refused statement; the errors raised here say what matters.
DRIVER_LOGGER: Final = logging.getLogger("cassandra")


def connect(
    settings: Settings,
    timeout_seconds: float = CONNECT_TIMEOUT_SECONDS,
    request_seconds: float = REQUEST_TIMEOUT_SECONDS,
) -> Session:
    """Open a session; close it with `close(session)`.

    A request that is not answered within `request_seconds` fails.

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
        execution_profiles={EXEC_PROFILE_DEFAULT: profile(settings, request_seconds)},
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
            if created_keyspace(statement) in session.cluster.metadata.keyspaces:
                continue
            if path.parent == CQL_FOLDER and (found := TABLE.match(statement)):
                statement = with_shards(statement, shards_of(settings, found[2]))
            _execute(session, with_replication(statement, factor, datacenter), origin)


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
