"""What the tables of a pipeline hold: read on Spark, compared in blocks of Kafka offsets.

Each other table is compared with the first one, in the columns that both have. Each row becomes a
hash; for every thousand offsets, number and sum of the hashes must be the same. Only the rows of
blocks that differ are compared themselves and named by id. The driver collects a row per Kafka
partition, the aggregates, and a bounded number of ids.

Columns that are not the tables' own begin with an underscore, as no column of a contract does.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import reduce
from typing import Final

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from operations.verify.differences import Figure
from operations.verify.expected_aggregates import (
    ExpectedAggregates,
    columns_of,
    expected_aggregates,
    negative_sums,
)
from operations.verify.hashes import LOW_HALF, differs, hash_of, without_empty_lists
from operations.verify.on_spark import kept, planned_once
from operations.verify.rows import row_faults
from spark_jobs.pipeline import Pipeline
from spark_jobs.sinks.base import StoredTable
from spark_jobs.state.offset_ranges import Ranges

BLOCK_OFFSETS: Final = 1000
COORDINATES: Final = ("kafka_partition", "kafka_offset")


@dataclass
class Contents:
    """The tables of a pipeline, and how many rows of confirmed batches each holds.

    Attributes:
        key: SQL that gives a record's id.
        tables: Table -> its rows and `_is_confirmed`; those of the first table with `outcome`.
        prints: Table -> `_id`, coordinates, `_is_confirmed` and hashes; the first table's also has
            the columns that the aggregates read, and is kept.
        rows: Table -> number of its rows.
        confirmed: Table -> number of its rows in confirmed batches.
        ends: Kafka partition -> the highest offset of any row.
        faults: Differences between the tables, as text.
    """

    pipeline: Pipeline
    key: str
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

    @property
    def shape(self) -> dict[str, str]:
        """Columns of the first table, and those derived for others -> Spark types."""
        return shape_of(self.tables[self.source], self.pipeline)

    @property
    def records(self) -> DataFrame:
        """The records of confirmed batches, with their `outcome`, as the first table has them."""
        return self.tables[self.source].filter("_is_confirmed").drop("_is_confirmed")

    def expected_aggregates(self, *, confirmed_only: bool) -> ExpectedAggregates:
        """The GROUP BY over the rows of the first table."""
        rows = self._rows(confirmed_only=confirmed_only)
        partitions = self.ends if confirmed_only else ()
        return expected_aggregates(rows, self.pipeline.aggregates, partitions)

    def falls(self) -> ExpectedAggregates:
        """Collection -> `_id` -> total -> what negative values of unconfirmed rows add up to."""
        unconfirmed = self.prints[self.source].filter("NOT _is_confirmed")
        sums = negative_sums(unconfirmed, self.pipeline.aggregates)
        return {
            collection: {
                name: {
                    k: f.value
                    for k, f in document.items()
                    if isinstance(f, Figure) and f.kind == "total"
                }
                for name, document in documents.items()
            }
            for collection, documents in sums.items()
        }

    def _rows(self, *, confirmed_only: bool) -> DataFrame:
        rows = self.prints[self.source]
        return rows.filter("_is_confirmed") if confirmed_only else rows


@contextmanager
def read_contents(
    spark: SparkSession,
    pipeline: Pipeline,
    stored: Sequence[StoredTable],
    until: Mapping[int, int],
    offsets: Ranges,
) -> Iterator[Contents]:
    """Read and compare every table of a pipeline.

    Args:
        spark: The session.
        pipeline: The pipeline.
        stored: The tables of the sink that is the source of records.
        until: Partition -> the offset after the last confirmed one.
        offsets: Partition -> the offsets on the broker. In these partitions, rows after the
            confirmed offsets belong to an unfinished batch and are not compared.
    """
    read = {table.place: table.read(spark) for table in stored}
    tables = _comparable(read, pipeline, is_confirmed(until, offsets))
    key, source = stored[0].key, next(iter(tables))
    shared = [_shared(tables[source], rows) for rows in tables.values()]
    read_by = columns_of(pipeline.aggregates, tables[source].columns)
    prints = {
        place: _prints(rows, key, {n: shared[n]}, [])
        for n, (place, rows) in enumerate(tables.items())
    }
    hashed: dict[int, Sequence[str | Column]] = dict(enumerate(shared[1:], start=1))
    hashed[0] = without_empty_lists(shape_of(tables[source], pipeline))
    with kept(_prints(tables[source], key, hashed, read_by)) as prints[source]:
        contents = Contents(pipeline, key, tables, prints)
        with kept(_blocks(prints)) as blocks:
            _compare(contents, blocks, _count(contents, blocks))
        yield contents


def _comparable(
    read: Mapping[str, DataFrame], pipeline: Pipeline, is_confirmed: Column
) -> dict[str, DataFrame]:
    """The tables, with the same values where a key cannot be null.

    The first table has each column that is derived for another one alone, so that it is compared,
    and none that is its own and undeclared: it may hold what Spark cannot read.
    """
    source = next(iter(read))
    every = {name for rows in read.values() for name in rows.columns}
    types = {field.name: field.dataType for rows in read.values() for field in rows.schema}
    missing = {name: types[name] for name in every - {*read[source].columns}}
    others = {name for place, rows in read.items() if place != source for name in rows.columns}
    foreign = {*read[source].columns} - others - {*pipeline.column_types}
    tables = {}
    for place, rows in read.items():
        is_source = place == source
        whole = pipeline.with_derived(rows.drop(*foreign), missing) if is_source else rows
        stand_ins = {
            name: F.coalesce(F.col(name), F.lit(text))
            for name, text in pipeline.stand_ins.items()
            if name in rows.columns
        }
        tables[place] = whole.withColumns(stand_ins | {"_is_confirmed": is_confirmed})
    tables[source] = planned_once(tables[source].withColumns({"outcome": pipeline.stored_outcome}))
    return tables


def shape_of(rows: DataFrame, pipeline: Pipeline) -> dict[str, str]:
    """The declared columns of a table, in order -> Spark types; a table may have others."""
    declared = {column for table in pipeline.tables for column in table.declared.columns}
    return {name: kind for name, kind in sorted(rows.dtypes) if name in declared}


def _shared(source: DataFrame, rows: DataFrame) -> list[str]:
    """The columns of records that both tables have."""
    return sorted({*source.columns} & {*rows.columns} - {"outcome", "_is_confirmed"})


def is_confirmed(until: Mapping[int, int], offsets: Ranges) -> Column:
    """False for rows whose message no confirmed batch has read, true for all others."""
    known = [F.lit(part) for p in offsets for part in (p, until.get(p, 0))]
    end = F.create_map(*known)[F.col("kafka_partition")]
    return F.coalesce(F.col("kafka_offset") < end, F.lit(True))


def _prints(
    rows: DataFrame, key: str, hashed: Mapping[int, Sequence[str | Column]], others: list[str]
) -> DataFrame:
    """Id, coordinates and other columns, with the hash of some columns for each number."""
    hashes = (hash_of(columns).alias(f"_hash_{number}") for number, columns in hashed.items())
    return rows.select(
        F.expr(key).cast("string").alias("_id"),
        *COORDINATES,
        "_is_confirmed",
        *hashes,
        *(name for name in others if name not in {*COORDINATES, "_is_confirmed"}),
    )


def _blocks(prints: dict[str, DataFrame]) -> DataFrame:
    """Number of rows, sums of hashes and highest offset of each block, with columns per table.

    `high_<n>` and `low_<n>` are of the nth table, `source_high_<n>` and `source_low_<n>` of the
    same columns in the first one.
    Sums, not XOR: a row that occurs twice must not cancel out. The halves of each hash are summed
    apart, so that no sum overflows.
    """
    table = F.col("_table")
    numbers = range(1, len(prints))
    rows = (F.count_if(table == n).alias(f"rows_{n}") for n in range(len(prints)))
    sums = (
        F.sum(F.when(table == of, half)).alias(f"{prefix}{name}_{n}")
        for n in numbers
        for of, prefix in ((0, "source_"), (n, ""))
        for name, half in (
            ("high", F.shiftright(f"_hash_{n}", 32)),
            ("low", F.col(f"_hash_{n}").bitwiseAND(LOW_HALF)),
        )
    )
    labelled = [
        own.select(
            F.lit(place).alias("_table"),
            "_is_confirmed",
            *COORDINATES,
            block_of().alias("_block"),
            *(
                F.col(name) if (name := f"_hash_{n}") in own.columns else F.lit(None).alias(name)
                for n in numbers
            ),
        )
        for place, own in enumerate(prints.values())
    ]
    return (
        reduce(DataFrame.union, labelled)
        .groupBy("_is_confirmed", "kafka_partition", "_block")
        .agg(*rows, *sums, F.max("kafka_offset").alias("last_offset"))
    )


def _count(contents: Contents, blocks: DataFrame) -> dict[str, int]:
    """Count the rows of each table; returns how many of the first one's blocks differ in each."""
    numbers = {f"rows_{n}": place for n, place in enumerate(contents.tables)}
    sums = (F.sum(name).alias(name) for name in numbers)
    others = dict(enumerate([*contents.tables][1:], start=1))
    differing = (F.count_if(differs(_sums(n))).alias(f"differing_{n}") for n in others)
    contents.rows = dict.fromkeys(numbers.values(), 0)
    contents.confirmed = dict(contents.rows)
    found = dict.fromkeys(others.values(), 0)
    by_partition = blocks.groupBy("_is_confirmed", "kafka_partition").agg(
        *sums, *differing, F.max("last_offset").alias("last_offset")
    )
    for row in by_partition.collect():
        for name, place in numbers.items():
            contents.rows[place] += row[name]
            contents.confirmed[place] += row[name] if row["_is_confirmed"] else 0
        for number, place in others.items():
            found[place] += row[f"differing_{number}"] if row["_is_confirmed"] else 0
        if row.kafka_partition is not None and row.last_offset is not None:
            known = contents.ends.get(row.kafka_partition, -1)
            contents.ends[row.kafka_partition] = max(known, row.last_offset)
    return found


def _compare(contents: Contents, blocks: DataFrame, differing: Mapping[str, int]) -> None:
    """Name the rows that differ between the first table and each other one."""
    source = contents.source
    for number, (place, blocks_differ) in enumerate(differing.items(), start=1):
        if blocks_differ:
            judged = blocks.filter(F.col("_is_confirmed") & differs(_sums(number)))
            pairs = judged.select("kafka_partition", "_block")
            shared = _shared(contents.tables[source], contents.tables[place])
            left, right = (
                _rows_of(contents.tables[name], pairs).select(*shared) for name in (source, place)
            )
            contents.faults += row_faults(f"Cassandra {place}", source, left, right, contents.key)


def _sums(number: int) -> list[tuple[str, str]]:
    """The columns that must be equal for the first table and another one."""
    halves = [(f"source_{half}_{number}", f"{half}_{number}") for half in ("high", "low")]
    return [("rows_0", f"rows_{number}"), *halves]


def _rows_of(rows: DataFrame, blocks: DataFrame) -> DataFrame:
    wanted = blocks.select(F.col("kafka_partition").alias("_partition"), "_block")
    same = F.col("kafka_partition").eqNullSafe(F.col("_partition")) & block_of().eqNullSafe(
        F.col("_block")
    )
    return rows.filter("_is_confirmed").join(wanted, same, "left_semi")


def block_of() -> Column:
    """The block of a row's offset."""
    return F.floor(F.col("kafka_offset") / BLOCK_OFFSETS)
