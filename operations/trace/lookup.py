"""The tables of a pipeline that answer by key, and how their keys are completed.

A table is asked once every column of its key is known: from the id, from the message, from a row
that was found before, or derived from these.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

from cql.shards import page_of_shards
from operations.masking import masked_columns
from operations.overview.records import masked_row
from operations.overview.stores import CASSANDRA, OpenStores
from operations.trace.derive import NotComputable, evaluated
from operations.trace.model import StoredRow
from spark_jobs.pipeline import Pipeline
from spark_jobs.sinks.base import Sink
from spark_jobs.sinks.cassandra import CassandraSink
from spark_jobs.sinks.postgres import PostgresSink
from spark_jobs.targets import EVERYTHING, SHARD, SqlTable, Table
from sql.tables import select_rows

# Rows of a partition among which the record is looked for if not all of its key is known.
MOST_ROWS: Final = 1000
Row = dict[str, Any]


@dataclass(frozen=True)
class KeyedTable:
    """A table, and how it is asked.

    Attributes:
        key: The columns without which it cannot be asked.
        types: Type of each of its columns.
        ask: Gives its rows that have these values.
        is_complete: Whether it holds every stored record.
        optional: A column of the key that it can be asked without.
    """

    store: str
    name: str
    key: tuple[str, ...]
    types: Mapping[str, str]
    ask: Callable[[Mapping[str, Any]], Iterable[Row]]
    derived: Mapping[str, str] = field(default_factory=dict)
    stand_ins: Mapping[str, str] = field(default_factory=dict)
    is_complete: bool = True
    optional: str | None = None

    @property
    def title(self) -> str:
        """Its name with that of its store."""
        return f"{self.store} {self.name}"

    def completed(self, values: Mapping[str, Any], *, has_row: bool) -> Row | str:
        """The known values with the whole key, or what is missing of it, in words."""
        # A column that no row has a value for is null in the record.
        completed = {**(self.stand_ins if has_row else {}), **values}
        needed = [name for name in self.key if name != self.optional]
        wanted = {name for name in self.key if completed.get(name) is None}
        for name, text in self.derived.items() if wanted else ():
            if completed.get(name) is None:
                try:
                    completed[name] = evaluated(text, completed, self.types.get(name, "text"))
                except NotComputable:
                    if name in wanted and name in needed:
                        return (
                            f"its key has `{name}`, which is computed from what is not known here"
                        )
        missing = [f"`{name}`" for name in needed if completed.get(name) is None]
        return f"its key has {', '.join(missing)}, which is not known" if missing else completed


def stored_row(
    pipeline: Pipeline, store: str, place: str, row: Mapping[str, Any], source: str | None
) -> StoredRow:
    """A row as it is shown: masked."""
    return StoredRow(store, place, masked_row(row, masked_columns(pipeline, row)), source)


def tables_of(
    pipeline: Pipeline, kinds: Iterable[type[Sink]], stores: OpenStores
) -> list[KeyedTable]:
    """The tables of a pipeline that answer by key, in the sinks of these kinds."""
    found: list[KeyedTable] = []
    if CassandraSink in kinds:
        found += [_in_cassandra(pipeline, table, stores) for table in pipeline.tables]
    if PostgresSink in kinds:
        found += [_in_postgresql(table, stores) for table in pipeline.sql_tables]
    return found


def _in_cassandra(pipeline: Pipeline, table: Table, stores: OpenStores) -> KeyedTable:
    shape = table.declared
    partition = [*shape.partition_key]
    clustering = [name for name, kind, _ in shape.key if kind != "partition_key"]

    def ask(known: Mapping[str, Any]) -> Iterable[Row]:
        where = {name: known[name] for name in partition if known.get(name) is not None}
        for name in clustering:
            if known.get(name) is None:
                break
            where[name] = known[name]
        given = (stores.session, table.keyspace, table.name, where, MOST_ROWS, table.shards)
        return stores.asked(CASSANDRA, partial(page_of_shards, *given)).rows

    derived = {} if callable(pipeline.derived) else {**pipeline.derived}
    return KeyedTable(
        CassandraSink.store,
        table.place,
        tuple(partition),
        shape.columns,
        ask,
        derived | dict(table.derived),
        table.stand_ins,
        optional=SHARD if table.shards > 1 else None,
    )


def _in_postgresql(table: SqlTable, stores: OpenStores) -> KeyedTable:
    def ask(known: Mapping[str, Any]) -> Iterable[Row]:
        where = {name: known[name] for name in table.key}
        given = stores.settings, table.name, where, MOST_ROWS
        return stores.asked("postgres", lambda: select_rows(*given))

    return KeyedTable(
        PostgresSink.store,
        table.name,
        table.key,
        table.declared.columns,
        ask,
        is_complete=table.takes == EVERYTHING,
    )
