"""The rows of Cassandra and PostgreSQL, and what else a job leaves in PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, Final

from psycopg.rows import dict_row
from psycopg.sql import SQL, Identifier, Placeholder

from spark_jobs.sinks.postgres import LEDGER
from spark_jobs.state.ledger import Ledger
from spark_jobs.targets import SqlTable, Table
from sql.client import connect, transaction
from tests.support.tampering.rows import Place, Row, roles_of
from tests.support.tampering.tampering import Tampering
from tests.support.world import World

NOT_NULL: Final = """
SELECT column_name FROM information_schema.columns
WHERE table_schema = current_schema() AND table_name = %s AND is_nullable = 'NO'
"""
Rows = Sequence[Row]


@contextmanager
def exchanged(
    remove: Callable[[Row], None], put: Callable[[Row], None], old: Rows, new: Rows
) -> Iterator[None]:
    """Rows replaced by others, and back at the end."""

    def exchange(old: Rows, new: Rows) -> None:
        for row in old:
            remove(row)
        for row in new:
            put(row)

    exchange(old, new)
    try:
        yield
    finally:
        exchange(new, old)


def in_cassandra(world: World) -> Iterator[Place]:
    """Every table of Cassandra."""
    for table in world.pipeline.tables:
        key = tuple(name for name, _, _ in table.declared.key)
        yield Place(
            "Cassandra",
            table.place,
            world.pipeline.id_columns,
            key,
            tuple(table.declared.columns),
            partial(world.rows, table.name),
            partial(exchanged, partial(_delete, world, table, key), partial(_insert, world, table)),
            roles_of(world.pipeline),
        )


def _delete(world: World, table: Table, key: tuple[str, ...], row: Row) -> None:
    where = " AND ".join(f"{name} = %s" for name in key)
    world.session.execute(f"DELETE FROM {table.place} WHERE {where}", [row[name] for name in key])


def _insert(world: World, table: Table, row: Row) -> None:
    known = {name: value for name, value in row.items() if value is not None}
    names, marks = ", ".join(known), ", ".join(["%s"] * len(known))
    world.session.execute(
        f"INSERT INTO {table.place} ({names}) VALUES ({marks})", [*known.values()]
    )


def in_postgres(world: World) -> Iterator[Place]:
    """Every table of PostgreSQL."""
    for table in world.pipeline.sql_tables:
        columns = tuple(table.declared.columns)
        with connect(world.settings) as connection:
            needed = frozenset(name for (name,) in connection.execute(NOT_NULL, [table.name]))
        yield Place(
            "PostgreSQL",
            table.name,
            table.key,
            table.key,
            columns,
            partial(sql_rows, world, table.name),
            partial(
                exchanged,
                partial(_sql_delete, world, table),
                partial(sql_insert, world, table.name),
            ),
            roles_of(world.pipeline),
            needed,
        )


def sql_rows(world: World, table: str) -> list[Row]:
    with connect(world.settings) as connection:
        cursor = connection.cursor(row_factory=dict_row)
        return cursor.execute(SQL("SELECT * FROM {}").format(Identifier(table))).fetchall()


def sql_insert(world: World, table: str, row: Row) -> None:
    query = SQL("INSERT INTO {} ({}) VALUES ({})").format(
        Identifier(table),
        SQL(", ").join(map(Identifier, row)),
        SQL(", ").join(Placeholder() * len(row)),
    )
    with transaction(world.settings, "put a row") as work:
        work.execute(query, [*row.values()])


def _sql_delete(world: World, table: SqlTable, row: Row) -> None:
    _sql_remove(world, table.name, {name: row[name] for name in table.key})


def _sql_remove(world: World, table: str, where: dict[str, Any]) -> None:
    conditions = SQL(" AND ").join(SQL("{} = %s").format(Identifier(name)) for name in where)
    query = SQL("DELETE FROM {} WHERE {}").format(Identifier(table), conditions)
    with transaction(world.settings, "remove a row") as work:
        work.execute(query, [*where.values()])


def of_batches_in_postgres(world: World) -> Iterator[Tampering]:
    """A batch marked as written that no job has read yet: the next job would skip it."""
    last = Ledger(world.database, world.pipeline.name).last()
    if not world.pipeline.sql_tables or last is None:
        return
    rows = [r for r in sql_rows(world, LEDGER) if r["query_id"] == last.query_id]
    ahead = rows[0] | {"batch_id": last.batch_id + 1}
    yield Tampering(
        "foreign",
        f"PostgreSQL {LEDGER}: a batch ahead of the ledger",
        "PostgreSQL batches",
        partial(
            exchanged,
            lambda row: _sql_remove(world, LEDGER, {n: row[n] for n in ("query_id", "batch_id")}),
            partial(sql_insert, world, LEDGER),
            [],
            [ahead],
        ),
        (("PostgreSQL", rf"\b{last.batch_id + 1}\b"),),
    )
