"""Cassandra table -> batch DataFrame of its rows."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import ArrayType, StructField

from schemas.types import MOST_DIGITS

DECIMAL: Final = re.compile(r"decimal\((\d+),(\d+)\)")
# With these digits the connector reads every decimal, rounding the rest; a larger one becomes null.
OF_CONNECTOR: Final = "decimal(38,18)"


def read_table(
    spark: SparkSession, keyspace: str, table: str, types: Mapping[str, str] | None = None
) -> DataFrame:
    """All rows of a table, read in token ranges by the executors.

    Columns out: the table's, under its names and types; decimals as `types` says (column -> Spark
        type), exactly.
    Grain: one row.
    Nulls: columns that were never written; a decimal with more digits than its type has.
    An array that was never written is empty.
    """
    rows = (
        spark.read.format("org.apache.spark.sql.cassandra")
        .options(keyspace=keyspace, table=table)
        .load()
    )
    wanted = {
        field.name: kind
        for field in rows.schema
        if OF_CONNECTOR in field.dataType.simpleString()
        and DECIMAL.search(kind := (types or {}).get(field.name, OF_CONNECTOR))
        and kind != field.dataType.simpleString()
    }
    if not wanted:
        return rows
    wide = {name: DECIMAL.sub(_widest, kind) for name, kind in wanted.items()}
    exact = {name: _exact(rows.schema[name], kind) for name, kind in wanted.items()}
    return _read_as(rows, wide).withColumns(exact)


def _widest(kind: re.Match[str]) -> str:
    """The decimal with as many digits before its point, and as many after it as there can be."""
    return f"decimal({MOST_DIGITS},{MOST_DIGITS - int(kind[1]) + int(kind[2])})"


def _exact(field: StructField, kind: str) -> Column:
    """A column in a narrower type; null in place of a value that would be rounded."""

    def narrow(value: Column, to: str) -> Column:
        return F.when(value.cast(to) == value, value.cast(to))

    column = F.col(field.name)
    if isinstance(field.dataType, ArrayType):
        return F.transform(column, lambda v: narrow(v, kind[len("array<") : -len(">")]))
    return narrow(column, kind)


def _read_as(rows: DataFrame, types: Mapping[str, str]) -> DataFrame:
    """The same table with other types of decimals, for which the connector has no option."""
    jvm: Any = rows.sparkSession._jvm  # noqa: SLF001 - PySpark has no public API
    session: Any = rows.sparkSession._jsparkSession  # noqa: SLF001
    names = [f"`{name}` {types.get(name, kind)}" for name, kind in rows.dtypes]
    schema = jvm.org.apache.spark.sql.types.StructType.fromDDL(", ".join(names))
    relation: Any = rows._jdf.queryExecution().analyzed()  # noqa: SLF001
    table = relation.table()
    typed = table.copy(
        table.session(),
        table.catalogConf(),
        table.connector(),
        table.catalogName(),
        table.metadata(),
        jvm.scala.Option.apply(schema),
    )
    same = jvm.org.apache.spark.sql.execution.datasources.v2.DataSourceV2Relation.create(
        typed, relation.catalog(), relation.identifier(), relation.options()
    )
    return DataFrame(jvm.org.apache.spark.sql.Dataset.ofRows(session, same), rows.sparkSession)
