"""What `millrace trace` computes of a derived column is what Spark makes of it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from operations.trace.derive import evaluated
from tests.unit.test_trace_derive import COMPUTED, ROW

KINDS = {"text": "string", "bigint": "bigint", "int": "int", "boolean": "boolean"}


@pytest.mark.parametrize(("sql", "kind"), [(sql, kind) for sql, kind, _ in COMPUTED])
def test_every_computed_expression_has_the_value_of_spark(
    spark: SparkSession, sql: str, kind: str
) -> None:
    row = spark.createDataFrame(
        [tuple(ROW.values())],
        "at timestamp, name string, number int, price decimal(12,2), absent string,"
        " labels array<string>",
    )

    found: Any = row.select(F.expr(sql).cast(KINDS.get(kind, kind))).collect()[0][0]

    if kind == "date":
        found = found.isoformat()
    assert evaluated(sql, ROW, kind) == found


def test_derived_columns_of_the_built_in_and_example_tables_are_computed(
    spark: SparkSession,
) -> None:
    at = datetime.fromisoformat("2026-11-22T10:11:12.345")
    row = spark.createDataFrame([(at, "f07a")], "created_at timestamp, identifiant string")
    expressions = {
        "date_trunc('HOUR', created_at)": "timestamp",
        "cast(conv(substr(identifiant, 1, 1), 16, 10) AS int)": "int",
        "to_date(created_at)": "date",
    }

    found = row.select(*map(F.expr, expressions)).collect()[0]

    values = {"created_at": at, "identifiant": "f07a"}
    assert [str(evaluated(sql, values, kind)) for sql, kind in expressions.items()] == [
        *map(str, found)
    ]
