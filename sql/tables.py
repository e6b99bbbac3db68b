"""PostgreSQL's tables: compared with their declaration, counted, shown and emptied."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from psycopg import DataError
from psycopg.abc import Buffer
from psycopg.sql import SQL, Identifier
from psycopg.types.datetime import TimestamptzLoader

from settings import Settings
from sql.client import transaction
from sql.declared import PostgresShape

AS_THEY_ARE: Final = """
SELECT attname, format_type(atttypid, atttypmod), coalesce(attnum = ANY(indkey), false)
FROM pg_attribute LEFT JOIN pg_index ON indrelid = attrelid AND indisprimary
WHERE attrelid = to_regclass(%s) AND attnum > 0 AND NOT attisdropped
"""
RIGHTS: Final = """
SELECT has_table_privilege(to_regclass(%s), 'SELECT')
  AND has_table_privilege(to_regclass(%s), 'INSERT')
  AND has_table_privilege(to_regclass(%s), 'UPDATE')
"""


class InstantOrText(TimestamptzLoader):
    """Reads times; one outside the range of `datetime` stays the server's text."""

    def load(self, data: Buffer) -> datetime | str:  # type: ignore[override]
        """The value of a column."""
        try:
            return super().load(data)
        except DataError:
            return bytes(data).decode()


def faults(settings: Settings, tables: Mapping[str, PostgresShape]) -> list[str]:
    """Differences that keep rows from being written to these tables; extra columns do no harm.

    Raises:
        SinkError: the database is down or refuses the login.
    """
    found: list[str] = []
    with transaction(settings, "list its tables") as work:
        for name, wanted in tables.items():
            rows = work.execute(AS_THEY_ARE, [name]).fetchall()
            there = {column: kind for column, kind, _ in rows}
            if not rows:
                found.append(f"no table `{name}`")
                continue
            found += [f"no column `{name}.{each}`" for each in wanted.columns if each not in there]
            found += [
                f"`{name}.{each}` is {there[each]}, not {kind}"
                for each, kind in wanted.columns.items()
                if there.get(each, kind) != kind
            ]
            if {column for column, _, in_key in rows if in_key} != {*wanted.key}:
                found.append(f"the primary key of `{name}` is not {', '.join(sorted(wanted.key))}")
            if work.execute(RIGHTS, [name] * 3).fetchone() != (True,):
                found.append(f"no right to read, insert and update `{name}`")
    return found


def count_rows(settings: Settings, table: str) -> int:
    """Exact number of a table's rows.

    Raises:
        SinkError: the database is down, or has no such table.
    """
    with transaction(settings, f"count the rows of {table}") as work:
        query = SQL("SELECT count(*) FROM {}").format(Identifier(table))
        return sum(count for (count,) in work.execute(query))


def select_rows(
    settings: Settings,
    table: str,
    where: Mapping[str, object] | None = None,
    limit: int = 20,
) -> list[dict[str, Any]]:
    """Rows of a table whose columns equal `where`, latest message first.

    A time outside the range of `datetime` is the server's text, such as `infinity`.

    Raises:
        SinkError: the database is down, has no such table or column, or a value does not fit.
    """
    where = where or {}
    conditions = [SQL("{} = %s").format(Identifier(column)) for column in where]
    query = SQL(
        "SELECT * FROM {} WHERE {} ORDER BY kafka_timestamp DESC, kafka_offset DESC LIMIT %s"
    )
    where_all = SQL(" AND ").join([SQL("true"), *conditions])
    with transaction(settings, f"show rows of {table}") as work:
        work.cursor.adapters.register_loader("timestamptz", InstantOrText)
        answer = work.execute(query.format(Identifier(table), where_all), [*where.values(), limit])
        names = [column.name for column in answer.description or ()]
        return [dict(zip(names, row, strict=True)) for row in answer]


def truncate(settings: Settings, tables: Sequence[str], pipelines: Sequence[str]) -> None:
    """Empty tables and forget the batches of the pipelines that filled them, in one transaction.

    Raises:
        SinkError: the database is down, or has no such table.
    """
    with transaction(settings, f"empty {', '.join(tables)}") as work:
        names = SQL(", ").join(map(Identifier, tables))
        work.execute(SQL("TRUNCATE {}").format(names))
        work.execute("DELETE FROM millrace_batches WHERE pipeline = ANY(%s)", [list(pipelines)])
