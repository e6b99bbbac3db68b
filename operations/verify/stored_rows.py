"""Compares the rows of a sink with the stored records, by id.

Each row becomes a hash; number and sum of the hashes in each bucket of ids must be the same. Only
rows of buckets that differ are compared themselves and named by id. The cost is one scan and one
shuffle of ids and hashes.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from pyspark.errors import AnalysisException
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from operations.verify.hashes import differs, hash_of, sums_by
from operations.verify.on_spark import kept
from operations.verify.rows import row_faults

MOST_BUCKETS = 100_000
NUL = "\x00"


@dataclass(frozen=True)
class StoredRows:
    """What one place of a sink holds.

    Attributes:
        store: The store, for messages.
        place: The table or set of files.
        key: SQL that gives a row's id.
        rows: Its rows; the column `_is_confirmed` is false for an unfinished batch.
        wanted: The condition for stored records that belong there.
        unit: What a row is called.
        nul: The store's replacement for U+0000, if it cannot hold that.
        stand_ins: Column -> its value in some places where others have null.
        placed: Column -> SQL that gives its value from a record: where a row must lie.
    """

    store: str
    place: str
    key: str
    rows: DataFrame
    wanted: Column
    unit: str = "rows"
    nul: str = NUL
    stand_ins: Mapping[str, str] = field(default_factory=dict)
    placed: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Compared:
    """The result: all rows, confirmed rows, wanted rows, and what differs."""

    rows: int
    confirmed: int
    wanted: int | None
    faults: list[str]


def compare(stored: StoredRows, records: DataFrame | None, source: str) -> Compared:
    """Compare a place with the records that must be there.

    Args:
        stored: The place.
        records: All stored records, one row each; None if they are no longer known.
        source: Where the records were read, for messages.
    """
    if records is None:
        found: Any = stored.rows.agg(
            F.count(F.lit(1)).alias("rows"), F.count_if("_is_confirmed").alias("confirmed")
        ).first()
        return Compared(found.rows, found.confirmed, None, [])
    # Where the records lack a column that this needs, it is not compared.
    with suppress(AnalysisException):
        records = records.withColumns({name: F.expr(sql) for name, sql in stored.placed.items()})
    names = sorted({*stored.rows.columns} & {*records.columns})
    given, shown = (
        _normal(rows.select(*names), nul, stored.stand_ins)
        for rows, nul in ((records, stored.nul), (stored.rows, NUL))
    )
    left = records.filter(stored.wanted).select(*given, F.lit(True).alias("_is_confirmed"))
    right = stored.rows.select(*shown, *sorted({"_is_confirmed", "_file"} & {*stored.rows.columns}))
    with kept(_buckets(left, right, names, stored.key)) as buckets:
        confirmed = buckets.filter("_is_confirmed")
        sums: Any = buckets.agg(
            F.sum("rows_0").alias("wanted"),
            F.sum("rows_1").alias("rows"),
            F.sum(F.when(F.col("_is_confirmed"), F.col("rows_1"))).alias("confirmed"),
            F.count_if(F.col("_is_confirmed") & differs()).alias("differing"),
        ).first()
        faults: list[str] = []
        if sums.differing:
            wanted, judged = (
                _of_buckets(
                    rows.filter("_is_confirmed").drop("_is_confirmed"), confirmed, stored.key
                )
                for rows in (left, right)
            )
            place = f"{stored.store} {stored.place}"
            faults = row_faults(place, source, wanted, judged, stored.key)
    return Compared(sums.rows or 0, sums.confirmed or 0, sums.wanted or 0, faults)


def _normal(rows: DataFrame, nul: str, stand_ins: Mapping[str, str]) -> list[Column]:
    """Columns converted to what every store can hold."""
    found = []
    for name, kind in rows.dtypes:
        column = F.col(name)
        if kind == "string":
            column = F.translate(column, NUL, nul)
        elif kind == "array<string>":
            column = F.transform(column, lambda text: F.translate(text, NUL, nul))
        if kind.startswith("array<"):
            # Cassandra has nothing in place of an empty list.
            column = F.when(F.size(column) > 0, column)
        if name in stand_ins:
            column = F.coalesce(column, F.lit(stand_ins[name]))
        found.append(column.alias(name))
    return found


def _bucket(key: str) -> Column:
    return F.pmod(F.xxhash64(F.expr(key).cast("string")), F.lit(MOST_BUCKETS))


def _buckets(left: DataFrame, right: DataFrame, columns: list[str], key: str) -> DataFrame:
    """Number of rows and sums of both halves of their hashes, for both sides.

    Grain: a bucket's rows of confirmed batches, or its others.
    """
    hashed = (
        rows.select(_bucket(key).alias("bucket"), "_is_confirmed", hash_of(columns).alias("hash"))
        for rows in (left, right)
    )
    return sums_by(next(hashed), next(hashed), by=("bucket", "_is_confirmed"))


def _of_buckets(rows: DataFrame, buckets: DataFrame, key: str) -> DataFrame:
    wanted = buckets.filter(differs()).select(F.col("bucket").alias("_bucket"))
    return rows.join(wanted, _bucket(key) == F.col("_bucket"), "left_semi")
