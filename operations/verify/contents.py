"""What the tables of a pipeline hold: read on Spark, compared in blocks of Kafka offsets.

Each row becomes a hash; for every thousand offsets, number and sum of the hashes must be the
same in every table. Only the rows of blocks that differ are compared themselves and named by id.
The driver collects a row per Kafka partition, the aggregates, and a bounded number of ids.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import reduce
from typing import Any, Final

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from operations.verify.expected_aggregates import (
    ExpectedAggregates,
    columns_of,
    expected_aggregates,
    negative_sums,
)
from operations.verify.on_spark import KEPT
from operations.verify.rows import row_faults
from spark_jobs.pipeline import Pipeline
from spark_jobs.sinks.base import StoredTable
from spark_jobs.state.offset_ranges import Ranges

BLOCK_OFFSETS: Final = 1000
PARTS: Final = ("rows", "high", "low")
# Columns of prints, whatever else they have.
PRINTED: Final = ("id", "kafka_partition", "kafka_offset", "is_confirmed", "hash")
LOW_HALF: Final = 2**32 - 1


@dataclass
class Contents:
    """The tables of a pipeline, and how many rows of confirmed batches each holds.

    Attributes:
        id_column: The column that identifies a record.
        tables: Table -> its rows with the columns that all share, and `is_confirmed`.
        prints: Table -> `id`, coordinates, `is_confirmed`, hash; the first table's also has the
            columns that it is grouped by, and is cached.
        rows: Table -> number of its rows.
        confirmed: Table -> number of its rows in confirmed batches.
        ends: Kafka partition -> the highest offset of any row.
        faults: Differences between the tables, as text.
    """

    pipeline: Pipeline
    id_column: str
    tables: dict[str, DataFrame]
    prints: dict[str, DataFrame]
    rows: dict[str, int] = field(default_factory=dict)
    confirmed: dict[str, int] = field(default_factory=dict)
    ends: dict[int, int] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)

    @property
    def source(self) -> str:
        """The table that the aggregates are computed from."""
        return next(iter(self.tables))

    def expected_aggregates(self, *, confirmed_only: bool) -> ExpectedAggregates:
        """The GROUP BY over the rows of the first table."""
        rows = self._rows(confirmed_only=confirmed_only)
        return expected_aggregates(rows, self.pipeline.aggregates)

    def falls(self) -> ExpectedAggregates:
        """Collection -> `_id` -> total -> what negative values of unconfirmed rows add up to."""
        unconfirmed = self.prints[self.source].filter("NOT is_confirmed")
        sums = negative_sums(unconfirmed, self.pipeline.aggregates)
        return {
            collection: {
                name: {k: f.value for k, f in document.items() if f.kind == "total"}
                for name, document in documents.items()
            }
            for collection, documents in sums.items()
        }

    def _rows(self, *, confirmed_only: bool) -> DataFrame:
        rows = self.prints[self.source]
        return rows.filter("is_confirmed") if confirmed_only else rows


@contextmanager
def read_contents(
    spark: SparkSession,
    pipeline: Pipeline,
    stored: Sequence[StoredTable],
    until: Mapping[int, int],
    offsets: Ranges,
) -> Iterator[Contents]:
    """Read and compare every table of a pipeline; cached data is dropped at the end.

    Args:
        spark: The session.
        pipeline: The pipeline.
        stored: The tables of the sink that is the source of records.
        until: Partition -> the offset after the last confirmed one.
        offsets: Partition -> the offsets on the broker. In these partitions, rows after the
            confirmed offsets belong to an unfinished batch and are not compared.
    """
    read = {table.place: table.read(spark) for table in stored}
    tables = _with_shared_columns(read, pipeline, is_confirmed(until, offsets))
    id_column, source = stored[0].key, next(iter(tables))
    prints = {place: _prints(rows, id_column, []) for place, rows in tables.items()}
    read_by = columns_of(pipeline.aggregates, tables[source].columns)
    prints[source] = _prints(tables[source], id_column, read_by).persist(KEPT)
    blocks = _blocks(prints).persist(KEPT)
    try:
        contents = Contents(pipeline, id_column, tables, prints)
        _count(contents, blocks)
        _compare(contents, blocks)
        yield contents
    finally:
        blocks.unpersist()
        prints[source].unpersist()


def _with_shared_columns(
    read: Mapping[str, DataFrame], pipeline: Pipeline, is_confirmed: Column
) -> dict[str, DataFrame]:
    """The tables with the same columns, and the same values where a key cannot be null."""
    derived = {name: sql for t in pipeline.tables for name, sql in t.derived.items()}
    stand_ins = pipeline.stand_ins
    every = {name for rows in read.values() for name in rows.columns}
    whole = {
        place: rows.withColumns(
            {name: F.expr(derived[name]) for name in every & {*derived} - {*rows.columns}}
        )
        for place, rows in read.items()
    }
    columns = sorted(set.intersection(*({*rows.columns} for rows in whole.values())))
    values = [
        F.coalesce(F.col(name), F.lit(stand_ins[name])).alias(name)
        if name in stand_ins
        else F.col(name)
        for name in columns
    ]
    return {
        place: rows.select(*values, is_confirmed.alias("is_confirmed"))
        for place, rows in whole.items()
    }


def is_confirmed(until: Mapping[int, int], offsets: Ranges) -> Column:
    """False for rows whose message no confirmed batch has read, true for all others."""
    known = [F.lit(part) for p in offsets for part in (p, until.get(p, 0))]
    end = F.create_map(*known)[F.col("kafka_partition")]
    return F.coalesce(F.col("kafka_offset") < end, F.lit(True))


def _prints(rows: DataFrame, id_column: str, others: list[str]) -> DataFrame:
    columns = [name for name in rows.columns if name != "is_confirmed"]
    # The hash skips nulls: without their positions, a value in the wrong column would not show.
    hashed = F.xxhash64(*columns, *(F.isnull(name) for name in columns))
    return rows.select(
        F.col(id_column).alias("id"),
        "kafka_partition",
        "kafka_offset",
        "is_confirmed",
        hashed.alias("hash"),
        *(name for name in others if name not in PRINTED),
    )


def _blocks(prints: dict[str, DataFrame]) -> DataFrame:
    """Number of rows, sums of hashes and highest offset of each block, with columns per table.

    Sums, not XOR: a row that occurs twice must not cancel out. The halves of each hash are summed
    apart, so that no sum overflows.
    """
    table = F.col("table")
    by_table = [
        column
        for number in range(len(prints))
        for column in (
            F.count_if(table == number).alias(f"rows_{number}"),
            F.sum(F.when(table == number, F.shiftright("hash", 32))).alias(f"high_{number}"),
            F.sum(F.when(table == number, F.col("hash").bitwiseAND(LOW_HALF))).alias(
                f"low_{number}"
            ),
        )
    ]
    labelled = [
        rows.select(
            F.lit(number).alias("table"),
            "is_confirmed",
            "kafka_partition",
            "kafka_offset",
            _block().alias("block"),
            "hash",
        )
        for number, rows in enumerate(prints.values())
    ]
    return (
        reduce(DataFrame.union, labelled)
        .groupBy("is_confirmed", "kafka_partition", "block")
        .agg(*by_table, F.max("kafka_offset").alias("last_offset"))
    )


def _count(contents: Contents, blocks: DataFrame) -> None:
    numbers = {f"rows_{n}": place for n, place in enumerate(contents.tables)}
    sums = (F.sum(name).alias(name) for name in numbers)
    contents.rows = dict.fromkeys(numbers.values(), 0)
    contents.confirmed = dict(contents.rows)
    by_partition = blocks.groupBy("is_confirmed", "kafka_partition").agg(
        *sums, F.max("last_offset").alias("last_offset")
    )
    for row in by_partition.collect():
        for name, place in numbers.items():
            contents.rows[place] += row[name]
            contents.confirmed[place] += row[name] if row.is_confirmed else 0
        if row.kafka_partition is not None and row.last_offset is not None:
            known = contents.ends.get(row.kafka_partition, -1)
            contents.ends[row.kafka_partition] = max(known, row.last_offset)


def _compare(contents: Contents, blocks: DataFrame) -> None:
    """Name the rows that differ between the first table and each other one."""
    source, *others = contents.tables
    differs = {
        place: ~reduce(
            lambda left, right: left & right,
            (F.col(f"{part}_0").eqNullSafe(F.col(f"{part}_{number}")) for part in PARTS),
        )
        for number, place in enumerate(others, start=1)
    }
    judged = blocks.filter("is_confirmed")
    counts = [F.count_if(condition) for condition in differs.values()]
    found: Any = judged.agg(*counts).first() if counts else ()
    for number, place in zip(found, others, strict=True):
        if number:
            pairs = judged.filter(differs[place]).select("kafka_partition", "block")
            left, right = (_rows_of(contents.tables[name], pairs) for name in (source, place))
            contents.faults += row_faults(
                f"Cassandra {place}", source, left, right, contents.id_column
            )


def _rows_of(rows: DataFrame, blocks: DataFrame) -> DataFrame:
    wanted = blocks.select(F.col("kafka_partition").alias("_partition"), F.col("block").alias("_b"))
    same = F.col("kafka_partition").eqNullSafe(F.col("_partition")) & _block().eqNullSafe(
        F.col("_b")
    )
    return rows.filter("is_confirmed").join(wanted, same, "left_semi").drop("is_confirmed")


def _block() -> Column:
    return F.floor(F.col("kafka_offset") / BLOCK_OFFSETS)
