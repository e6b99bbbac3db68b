"""The texts of `tables.cql` and `tables.sql`, in the form of the platform's own."""

from __future__ import annotations

from collections.abc import Sequence

from cql.declared import COMPACTION
from operations.new.plan import Plan, TablePlan


def tables_cql(plan: Plan) -> str:
    """CQL that creates the keyspace and every table; safe to run again."""
    head = (
        f"-- Tables of {plan.name}. Safe to run again: `make up`.\n"
        "-- A keyspace's replication factor is CASSANDRA_REPLICATION_FACTOR; 1 suits a single"
        " node.\n"
        f"CREATE KEYSPACE IF NOT EXISTS {plan.name}\n"
        "  WITH replication = {'class': 'NetworkTopologyStrategy', 'replication_factor': 1};\n"
        "-- Rows are written once and not changed, so files are merged in fours (T4), which"
        " rewrites them least.\n"
    )
    return "\n".join([head, *(_cassandra_table(table, plan) for table in plan.tables)])


def _cassandra_table(table: TablePlan, plan: Plan) -> str:
    columns = [(c.name, c.cassandra, c.comment) for c in (*table.own, *plan.columns)]
    partition = ", ".join(table.partition)
    key = f"({partition})" if len(table.partition) > 1 else partition
    lines = [
        f"-- {table.comment}.",
        f"CREATE TABLE IF NOT EXISTS {plan.name}.{table.name} (",
        *_columns(columns, ends_with_comma=True),
        f"  PRIMARY KEY ({', '.join([key, *table.clustering])})",
    ]
    # Records are written once and not changed.
    options = f"comment = '{table.comment}'\n  AND {COMPACTION};"
    if table.falling:
        order = ", ".join(
            f"{name} {'DESC' if name == table.falling else 'ASC'}" for name in table.clustering
        )
        lines += [f") WITH CLUSTERING ORDER BY ({order})", f"  AND {options}"]
    else:
        lines.append(f") WITH {options}")
    return "\n".join(lines) + "\n"


def tables_sql(plan: Plan) -> str:
    """SQL that creates the table of PostgreSQL; safe to run again."""
    columns = [(c.name, c.postgresql, c.comment) for c in plan.columns]
    lines = [
        f"-- Table of {plan.name}. Safe to run again: `make up`, with postgres in SINKS.",
        "",
        "-- One row per record.",
        f"CREATE TABLE IF NOT EXISTS {plan.name} (",
        *_columns(columns, ends_with_comma=True),
        f"  PRIMARY KEY ({', '.join(plan.ids)})",
        ");",
    ]
    return "\n".join(lines) + "\n"


def _columns(columns: Sequence[tuple[str, str, str]], *, ends_with_comma: bool) -> list[str]:
    names = max(len(name) for name, _, _ in columns)
    types = max(len(kind) for _, kind, _ in columns) + 1
    lines = []
    for name, kind, comment in columns:
        said = f"  -- {comment}" if comment else ""
        lines.append(f"  {name:<{names}} {kind + ',':<{types}}{said}".rstrip())
    return lines
