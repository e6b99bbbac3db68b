"""Batches of customers for the PostgreSQL sink, and the rows that it left."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from pyspark.sql import DataFrame, SparkSession

from settings import Settings
from spark_jobs.changes import BatchSummary
from spark_jobs.customers import CUSTOMERS
from spark_jobs.sinks.base import Batch
from spark_jobs.sinks.postgres import PostgresSink
from spark_jobs.targets import SqlTable
from sql import client
from sql.declared import declared

QUERY = "5f1d7c2e-0000-4000-8000-000000000001"
USA_SCHEMA = (
    "customer_id string, first_name string, created_at timestamp, kafka_partition int,"
    " kafka_offset bigint, kafka_timestamp timestamp"
)


def table_of(name: str, ddl: str) -> SqlTable:
    """A declared table, of which only these columns are written."""
    names = [part.split(" ")[0] for part in ddl.split(", ")]
    shape = declared()[name]
    columns = {column: shape.columns[column] for column in names}
    return SqlTable(name, shape=replace(shape, columns=columns))


USA = table_of("customers_usa", USA_SCHEMA)
SENT = datetime(2026, 11, 22, 10, 15, tzinfo=UTC)


def usa(
    spark: SparkSession, *rows: tuple[str | None, ...], created_at: datetime = SENT
) -> DataFrame:
    """Customers of an id and a first name, in the order of the topic."""
    return spark.createDataFrame(
        [(*row, created_at, 0, offset, SENT) for offset, row in enumerate(rows)], USA_SCHEMA
    )


def batch(records: DataFrame) -> Batch:
    return Batch(records, BatchSummary(Counter(), Counter()), QUERY)


def sink(settings: Settings, *tables: SqlTable) -> PostgresSink:
    return PostgresSink(settings, CUSTOMERS, tables or (USA,))


def rows(settings: Settings, query: str) -> list[tuple[Any, ...]]:
    with client.connect(settings) as connection:
        return connection.execute(query.encode()).fetchall()


def alter(settings: Settings, statement: str) -> None:
    with client.connect(settings) as connection:
        connection.execute(statement.encode())


def names(settings: Settings) -> dict[str, str]:
    return dict(rows(settings, "SELECT customer_id, first_name FROM customers_usa"))  # type: ignore[arg-type]
