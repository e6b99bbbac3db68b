"""Reads whole tables in parts that are small enough not to time out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from cassandra import DriverException
from cassandra.cluster import NoHostAvailable, Session
from cassandra.concurrent import execute_concurrent_with_args

from cql.rows import TIMESTAMP, check_identifiers
from errors import SinkRejected, SinkUnavailable

COUNT_SLICES: Final = 32


def count_rows(session: Session, keyspace: str, table: str) -> int:
    """Exact number of rows, counted in slices of the token ring so that no query times out.

    Raises:
        SinkRejected: there is no such table.
        SinkUnavailable: the cluster did not answer.
    """
    key = ", ".join(f'"{column.name}"' for column in _table(session, keyspace, table).partition_key)
    try:
        statement = session.prepare(
            f"SELECT count(*) AS rows FROM {keyspace}.{table}"  # noqa: S608 - checked identifiers
            f" WHERE token({key}) >= ? AND token({key}) <= ?"
        )
        slices = token_slices(COUNT_SLICES)
        outcomes = execute_concurrent_with_args(session, statement, slices, concurrency=4)
        return sum(int(outcome.result_or_exc.one()["rows"]) for outcome in outcomes)
    except (NoHostAvailable, DriverException) as error:
        raise _unfinished("counting", keyspace, table, error) from error


def keys_of_times_beyond(
    session: Session, keyspace: str, table: str, most_ms: int
) -> Iterator[str]:
    """Primary keys of rows with a time more than `most_ms` milliseconds from 1970; reads all rows.

    A key is its values, joined by `|`; its times are milliseconds.

    Raises:
        SinkRejected: there is no such table.
        SinkUnavailable: the cluster did not answer.
    """
    described = _table(session, keyspace, table)
    partition = ", ".join(f'"{column.name}"' for column in described.partition_key)
    key = [column.name for column in described.primary_key]
    times = [name for name, column in described.columns.items() if column.cql_type == TIMESTAMP]
    read = [f'"{name}"' for name in key if name not in times]
    read += [f'toUnixTimestamp("{name}") AS "{name}"' for name in times]
    try:
        statement = session.prepare(
            f"SELECT {', '.join(read)} FROM {keyspace}.{table}"  # noqa: S608 - as described
            f" WHERE token({partition}) >= ? AND token({partition}) <= ?"
        )
        for bounds in token_slices(COUNT_SLICES):
            for row in session.execute(statement, bounds):
                if any(abs(row[name] or 0) > most_ms for name in times):
                    yield "|".join(str(row[name]) for name in key)
    except (NoHostAvailable, DriverException) as error:
        raise _unfinished("reading", keyspace, table, error) from error


def token_slices(count: int) -> list[tuple[int, int]]:
    """The ring of Murmur3 tokens, from -2^63 to 2^63 - 1, in equal slices that do not overlap."""
    first, size = -(2**63), 2**64 // count
    starts = [first + index * size for index in range(count)]
    return [(start, start + size - 1) for start in starts[:-1]] + [(starts[-1], 2**63 - 1)]


def _table(session: Session, keyspace: str, table: str) -> Any:
    """The cluster's current metadata of a table."""
    check_identifiers(keyspace, table)
    try:
        session.cluster.refresh_table_metadata(keyspace, table)
        return session.cluster.metadata.keyspaces[keyspace].tables[table]
    except KeyError:
        raise SinkRejected(
            f"Cassandra has no table {keyspace}.{table}. `make up` creates the tables."
        ) from None
    except (NoHostAvailable, DriverException) as error:
        raise _unfinished("describing", keyspace, table, error) from error


def _unfinished(what: str, keyspace: str, table: str, error: Exception) -> SinkUnavailable:
    return SinkUnavailable(
        f"Cassandra did not finish {what} {keyspace}.{table}: {error}."
        " `make status` shows whether it is up."
    )
