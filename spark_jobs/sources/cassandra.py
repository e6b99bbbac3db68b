"""Cassandra table -> batch DataFrame of its rows."""

from __future__ import annotations

from pyspark.sql import DataFrame, SparkSession


def read_table(spark: SparkSession, keyspace: str, table: str) -> DataFrame:
    """All rows of a table, read in token ranges by the executors.

    Columns out: the table's, under its names and types.
    Grain: one row.
    Nulls: columns that were never written.
    """
    return (
        spark.read.format("org.apache.spark.sql.cassandra")
        .options(keyspace=keyspace, table=table)
        .load()
    )
