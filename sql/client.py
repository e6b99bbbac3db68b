"""PostgreSQL's client: connect, create the tables, turn driver errors into the platform's.

It works through a pooler in transaction mode, such as Supabase's: no prepared statements, no state
that outlives a transaction. `POSTGRES_DSN`'s password appears in no error, log or `repr`.
"""

from __future__ import annotations

import codecs
import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, LiteralString

import psycopg
from psycopg.conninfo import conninfo_to_dict
from psycopg.rows import TupleRow
from psycopg.sql import SQL, Composed

from errors import SettingsError, SinkError, SinkRejected, SinkUnavailable
from runtime import remedies
from runtime.config.addresses import LOOPBACK_HOSTS, POSTGRES_PORT
from settings import Settings
from sql.declared import SQL_FOLDER
from sql.watch import watched

Connection = psycopg.Connection[TupleRow]
Query = LiteralString | bytes | SQL | Composed

CONNECT_TIMEOUT_SECONDS: Final = 10
PROBE_TIMEOUT_SECONDS: Final = 2
PATIENCE_SECONDS: Final = 120.0
# One `up` at a time, as two that create the same table would fail.
TABLES_LOCK: Final = 7_140_012
# How long the server lets a transaction run a statement, wait for a lock, or stay idle.
TRANSACTION_LIMITS: Final = (
    "SET LOCAL statement_timeout = '10min'; SET LOCAL lock_timeout = '30s';"
    " SET LOCAL idle_in_transaction_session_timeout = '5min'; SET LOCAL timezone = 'UTC'"
)
# Detects a peer that vanished silently within half a minute.
KEEP_ALIVE: Final = {
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
}
# SQLSTATE classes and codes (PostgreSQL manual, appendix A) for which a retry can help: connection
# lost, conflict between transactions, out of resources, shut down or starting, lock not available,
# statement cancelled, input or output failed, a read-only stand-by, idle for too long.
OUTAGE_STATES: Final = re.compile(
    r"08...|40...|53...|57P0[1-5]|55P03|57014|58...|25006|25P03", re.ASCII
)
# A server that refuses a connection gives the reason only in its message.
REFUSED_LOGIN: Final = re.compile(
    r"authentication|no password supplied|does not exist|pg_hba|SSL|certificate|not found"
    r"|permission denied|not permitted|invalid",
    re.IGNORECASE,
)
UNDEFINED_OBJECT: Final = "42"


@dataclass(frozen=True)
class Login:
    """The server, database and user in `POSTGRES_DSN`."""

    host: str
    port: int
    user: str
    database: str
    password: str | None = field(repr=False)
    sslmode: str | None
    sslrootcert: str | None = None
    options: str | None = None

    @property
    def jdbc_parameters(self) -> dict[str, str]:
        """Further parameters for the JDBC driver, which has libpq's names for them."""
        named = {
            "sslmode": self.sslmode,
            "sslrootcert": self.sslrootcert,
            "options": self.options,
        }
        return {name: value for name, value in named.items() if value is not None}


def login(settings: Settings) -> Login:
    """The parts of `POSTGRES_DSN`; for other machines TLS is required unless it says otherwise.

    Raises:
        SettingsError: libpq cannot read it.
    """
    parts = _parts(settings)
    host = str(parts.get("host", ""))
    sslmode = str(parts["sslmode"]) if "sslmode" in parts else os.environ.get("PGSSLMODE")
    if sslmode is None and host not in LOOPBACK_HOSTS:
        sslmode = "require"
    user = str(parts.get("user", "postgres"))
    password = parts.get("password")
    return Login(
        host=host,
        port=int(parts.get("port") or POSTGRES_PORT),
        user=user,
        database=str(parts.get("dbname", user)),
        password=None if password is None else str(password),
        sslmode=sslmode,
        sslrootcert=parts.get("sslrootcert"),
        options=parts.get("options"),
    )


def connect(settings: Settings, timeout_seconds: int = CONNECT_TIMEOUT_SECONDS) -> Connection:
    """Open a connection; as a context manager it commits, or rolls back on an error, and closes.

    Raises:
        SettingsError: `POSTGRES_DSN` cannot be read.
        SinkUnavailable: the server did not answer in time.
        SinkRejected: the server refused the login or has no such database.
    """
    access = login(settings)
    options = _parts(settings) | KEEP_ALIVE | {"user": access.user, "client_encoding": "utf8"}
    options |= {"connect_timeout": timeout_seconds, "application_name": "millrace"}
    if access.sslmode:
        options["sslmode"] = access.sslmode
    try:
        return psycopg.connect(prepare_threshold=None, **options)
    except psycopg.Error as error:
        raise _unreachable(settings, error, timeout_seconds) from None


@dataclass(frozen=True)
class Transaction:
    """One open transaction: query `cursor`; call `alive` during work without server answers."""

    cursor: psycopg.Cursor[TupleRow]
    alive: Callable[[], None]

    def execute(self, query: Query, values: Sequence[object] = ()) -> psycopg.Cursor[TupleRow]:
        """Run a statement; values replace its `%s`."""
        # Without values the text may contain several statements.
        answer = self.cursor.execute(query, values or None)
        self.alive()
        return answer


@contextmanager
def transaction(
    settings: Settings, action: str, patience_seconds: float = PATIENCE_SECONDS
) -> Iterator[Transaction]:
    """One transaction with time limits: all of it takes effect or nothing.

    Args:
        settings: The database's address.
        action: What it does, for errors: `take batch 7`.
        patience_seconds: How long it may be silent before the connection is closed.

    Raises:
        SinkError: the server did not confirm the commit.
    """
    with connect(settings) as connection, watched(connection, patience_seconds) as watch:
        try:
            with connection.cursor() as cursor:
                work = Transaction(cursor, watch.alive)
                work.execute(TRANSACTION_LIMITS)
                yield work
            connection.commit()
        except psycopg.Error as error:
            raise store_error(action, error) from None


def is_ready(settings: Settings) -> bool:
    """Whether PostgreSQL answers a query within seconds."""
    try:
        with connect(settings, PROBE_TIMEOUT_SECONDS) as connection:
            return connection.execute("SELECT 1").fetchone() == (1,)
    except (SinkError, psycopg.Error):
        return False


def apply_tables(settings: Settings, *others: Path) -> None:
    """Create missing tables from the numbered files in this folder, and from other files.

    Raises:
        SinkError: the database is down, or refused a file.
    """
    for path in (*sorted(SQL_FOLDER.glob("[0-9]*.sql")), *others):
        with transaction(settings, f"apply {path.parent.name}/{path.name}") as work:
            work.execute("SELECT pg_advisory_xact_lock(%s)", [TABLES_LOCK])
            # Some editors begin a file with a mark, which is no SQL.
            work.execute(path.read_bytes().removeprefix(codecs.BOM_UTF8))


def store_error(action: str, error: psycopg.Error) -> SinkError:
    """The platform's error for one of the driver's.

    It has only the server's first line without anything in quotes, which may be a record's value;
    names of missing tables and columns are kept.
    """
    state = error.sqlstate
    text = (error.diag.message_primary or str(error)).splitlines()[:1]
    cause = text[0] if text else type(error).__name__
    if not (state or "").startswith(UNDEFINED_OBJECT):
        cause = re.sub(r"'[^']*'|\"[^\"]*\"", "…", cause)[:300]
    reason = f"{cause.rstrip('.')} ({state or type(error).__name__})"
    lost = state is None and isinstance(error, psycopg.OperationalError | psycopg.InterfaceError)
    if lost or OUTAGE_STATES.fullmatch(state or ""):
        return SinkUnavailable(
            f"PostgreSQL did not {action}: {reason}. Nothing is lost: the transaction is rolled"
            " back and the batch is repeated. Check that PostgreSQL is up (`make status`,"
            " `make logs SERVICE=postgres`)."
        )
    return SinkRejected(
        f"PostgreSQL refused to {action}: {reason}. Nothing is lost: the transaction is rolled back"
        " and the batch is repeated at the next start. Compare the tables with `sql/` (`make up`"
        " creates what is missing), and check the user's rights."
    )


def _parts(settings: Settings) -> dict[str, Any]:
    try:
        return dict(conninfo_to_dict(settings.postgres_dsn.get_secret_value()))
    except psycopg.Error:
        # libpq's message may quote the address, including the password.
        raise SettingsError(
            "POSTGRES_DSN: not a readable address; expected"
            " `postgresql://user:password@host:5432/database?sslmode=require`, with `@`, `:`, `/`"
            " of a password as %40, %3A, %2F."
        ) from None


def _unreachable(settings: Settings, error: psycopg.Error, timeout_seconds: int) -> SinkError:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    # Each of the driver's lines begins with the address; keep what follows.
    reasons = [re.sub(r".*failed: (?=\S)", "", line) for line in lines]
    reason = re.sub(r"\"[^\"]*\"", "…", "; ".join(dict.fromkeys(reasons)))[:300].rstrip(".")
    place = f"`{settings.postgres_address}`"
    if REFUSED_LOGIN.search(reason):
        return SinkRejected(
            f"PostgreSQL at {place} refused the connection: {reason}. Correct `POSTGRES_DSN`: user,"
            " password, database, and `sslmode` (`require` if the host is not this machine, unless"
            " the address says otherwise)."
        )
    up = remedies.up(settings, "postgres")
    start = "Start it," if settings.stack == "external" else f"Start it with `{up}`,"
    return SinkUnavailable(
        f"Cannot reach PostgreSQL at {place} within {timeout_seconds} s: {reason}. {start} or"
        " correct `POSTGRES_DSN`; then run the command again."
    )
