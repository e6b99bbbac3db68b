"""What the tables of a pipeline hold, compared on Spark: any columns, keys and outcomes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from cql.declared import CassandraShape
from operations.verify.contents import Contents, read_contents
from operations.verify.sink_contents import Wanted
from operations.verify.stored_rows import StoredRows, compare
from spark_jobs.aggregates import Aggregate, count, distinct, total
from spark_jobs.pipeline import Pipeline
from spark_jobs.sinks.base import StoredTable
from spark_jobs.targets import Table, Takes
from spark_jobs.transforms.record_ids import id_sql

# A contract may have columns of these names.
COLUMNS = "id string, line int, hash string, is_confirmed boolean, batch_id int, amount int"
LINEAGE = "kafka_partition int, kafka_offset bigint"
SCHEMA = f"{COLUMNS}, {LINEAGE}"
KEY = id_sql({"id": "string", "line": "int"})
ROWS = [
    ("a", 1, "x", False, 7, 5, 0, 0),
    ("a", 2, None, None, 8, 50, 0, 1),
    ("a|b", 1, "y", True, 9, 500, 0, 1500),
    # Of a batch that is not confirmed.
    ("z", 1, "z", True, 9, 5000, 0, 2000),
]
TOTALS = Aggregate(
    "orders_by_hash",
    ("hash",),
    {
        "count": count(),
        "amount": total("amount"),
        "ids": distinct("id"),
        "alerts": count("outcome = 'alert'"),
    },
)
SHAPE = CassandraShape({part.split()[0]: part.split()[1] for part in SCHEMA.split(", ")}, ())
TABLES = (Table("orders.orders", shape=SHAPE), Table("orders.by_hash", shape=SHAPE))
ORDERS = Pipeline(
    name="orders", tables=TABLES, aggregates=(TOTALS,), alert="amount > 10 OR hash = 'q'"
)
Comparison = Callable[..., Any]


@pytest.fixture
def contents_of(spark: SparkSession) -> Comparison:
    @contextmanager
    def compared(first: Sequence[Any], other: DataFrame) -> Iterator[Contents]:
        tables = {"orders.orders": spark.createDataFrame(first, SCHEMA), "orders.by_hash": other}
        stored = [
            StoredTable(place, KEY, lambda _, rows=rows: rows, place)  # type: ignore[misc]
            for place, rows in tables.items()
        ]
        with read_contents(spark, ORDERS, stored, {0: 2000}, {0: (0, 3000)}) as contents:
            yield contents

    return compared


def test_table_with_fewer_columns_is_compared_in_those_and_needs_no_other(
    spark: SparkSession, contents_of: Comparison
) -> None:
    fewer = spark.createDataFrame(ROWS, SCHEMA).drop("amount", "is_confirmed")

    with contents_of(ROWS, fewer) as contents:
        assert contents.faults == []
        assert contents.rows == {"orders.orders": 4, "orders.by_hash": 4}
        assert contents.confirmed == {"orders.orders": 3, "orders.by_hash": 3}
        assert contents.ends == {0: 2000}
        expected = contents.expected_aggregates(confirmed_only=True)["orders_by_hash"]

    figures = {
        name: (d["count"], d["amount"].value, d["ids"].value, d["alerts"])
        for name, d in expected.items()
    }
    assert figures == {"x": (1, 5, 1, 0), "unknown": (1, 50, 1, 1), "y": (1, 500, 1, 1)}


def test_rows_that_differ_are_named_by_all_fields_of_their_id(
    spark: SparkSession, contents_of: Comparison
) -> None:
    other = spark.createDataFrame([("a", 2, "other", None, 8, 50, 0, 1), ROWS[0]], SCHEMA)

    with contents_of(ROWS[1:], other) as contents:
        place = "Cassandra orders.by_hash"
        assert contents.faults == [
            rf"{place}: `a\|b|1` is missing; orders.orders has it",
            f"{place}: `a|1` is there, but not in orders.orders",
            f"{place}: `a|2` differs from orders.orders in hash",
        ]


def test_row_that_is_there_twice_is_found(spark: SparkSession, contents_of: Comparison) -> None:
    other = spark.createDataFrame([*ROWS, ROWS[2]], SCHEMA)

    with contents_of(ROWS, other) as contents:
        assert contents.faults == [r"Cassandra orders.by_hash: `a\|b|1` is there 2 times"]


def test_column_of_the_second_table_alone_is_compared_with_what_it_derives_from(
    spark: SparkSession,
) -> None:
    schema = f"id string, amount int, {LINEAGE}"
    first = spark.createDataFrame([("a", 15, 0, 0), ("b", 25, 0, 1)], schema)
    other = first.withColumn("tens", F.when(F.col("id") == "b", 9).otherwise(1))
    tables = (TABLES[0], replace(TABLES[1], derived={"tens": "amount DIV 10"}))
    pipeline = replace(ORDERS, tables=tables, aggregates=(), alert=None)
    stored = [
        StoredTable("orders", "`id`", lambda _: first, "orders.orders"),
        StoredTable("by_hash", "`id`", lambda _: other.withColumn("tens", F.col("tens")), "by"),
    ]

    with read_contents(spark, pipeline, stored, {0: 2}, {0: (0, 2)}) as contents:
        assert contents.faults == ["Cassandra by: `b` differs from orders.orders in tens"]


def test_what_negative_values_of_an_unfinished_batch_lower_is_known_by_document(
    spark: SparkSession, contents_of: Comparison
) -> None:
    unfinished = [("y", 1, "z", True, 9, -7, 0, 2001), ("y", 2, "z", True, 9, -1, 0, 2002)]
    rows = [*ROWS, *unfinished]

    with contents_of(rows, spark.createDataFrame(rows, SCHEMA)) as contents:
        assert contents.falls() == {"orders_by_hash": {"z": {"amount": -8}}}


def test_copies_hold_the_records_with_their_outcome_as_the_tables_give_it(
    spark: SparkSession, contents_of: Comparison
) -> None:
    rows = spark.createDataFrame(ROWS, SCHEMA)
    alerts = spark.createDataFrame([ROWS[1], ROWS[0]], SCHEMA).drop("kafka_offset")
    wanted = Wanted(Takes("alert", "line < 3"))
    with contents_of(ROWS, rows) as contents:
        stored = StoredRows(
            *("Files", "alerts", KEY),
            alerts.withColumn("_is_confirmed", F.lit(True)),
            wanted.records,
        )
        compared = compare(stored, contents.records, "orders.orders")

    assert (compared.rows, compared.confirmed, compared.wanted) == (2, 2, 2)
    assert compared.faults == [
        r"Files alerts: `a\|b|1` is missing; orders.orders has it",
        "Files alerts: `a|1` is there, but not in orders.orders",
    ]
