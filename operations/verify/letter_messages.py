"""Compares the messages of a dead-letter topic with the rejected messages of its source, on Spark.

A rejected message is a row with `kafka_partition` int, `kafka_offset` bigint, `reasons`
array<string>, `kafka_timestamp_ms` bigint, `redrives` int, and `letter_hash` bigint, a hash of key
and value.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from operations.verify.differences import named
from operations.verify.hashes import hash_of
from operations.verify.messages import is_within
from spark_jobs.state.offset_ranges import Ranges
from spark_jobs.targets import PLACE

# What a job writes, in this order.
HEADERS: Final = (
    *("reasons", "source_topic", "source_partition", "source_offset"),
    *("source_timestamp", "redrives"),
)
# Column -> its name in messages.
COMPARED: Final = {
    "reasons": "reasons",
    "source_timestamp": "source_timestamp",
    "redrives": "redrives",
    "letter_hash": "key or value",
}


def letters_of(messages: DataFrame, topic: str) -> DataFrame:
    """The messages of a dead-letter topic without their payloads.

    Columns in: those of `read_origins`.
    Columns out: `kafka_partition` int and `kafka_offset` bigint of the source message,
        `message_partition`, `message_offset`, those of `COMPARED`, and `is_formed` boolean: whether
        the headers are those that a job writes.
    Grain: one message, copies included.
    Nulls: the source's coordinates if the headers name no message of `topic`.
    """
    offset = F.col("source_offset")
    is_source = (F.col("source_topic") == topic) & (offset >= 0)
    is_source &= F.col("source_partition").isNotNull()
    is_formed = (
        (F.col("headers") == F.array(*map(F.lit, HEADERS)))
        & F.col("source_timestamp").cast("bigint").isNotNull()
        & F.col("redrives").cast("int").isNotNull()
        & (F.col("reasons") != "")
    )
    return messages.select(
        F.when(is_source, F.col("source_partition")).alias("kafka_partition"),
        F.when(is_source, offset).alias("kafka_offset"),
        F.col("partition").alias("message_partition"),
        F.col("offset").alias("message_offset"),
        "reasons",
        "source_timestamp",
        "redrives",
        hash_of(["key", "value"]).alias("letter_hash"),
        F.coalesce(is_formed, F.lit(False)).alias("is_formed"),
    )


def foreign_letters(letters: DataFrame, partitions: Collection[int]) -> DataFrame:
    """Those that name no message of the source topic, which has these partitions."""
    is_own = F.col("kafka_partition").isin([*partitions])
    return letters.filter(~F.coalesce(is_own, F.lit(False)))


def differing_letters(letters: DataFrame, rejected: DataFrame | None, known: Ranges) -> DataFrame:
    """Dead letters that are missing, extra or unlike their message, by coordinates.

    Args:
        letters: As `letters_of` gives them.
        rejected: The rejected messages; None if they are not known.
        known: The offsets whose rejected messages are known.

    Columns out: `kafka_partition`, `kafka_offset`, `is_missing` boolean, `is_extra` boolean,
        `columns` array<string> (what differs).
    Grain: one source message.
    """
    formed = F.when(~F.col("is_formed"), F.lit("headers"))
    own = letters.filter("kafka_partition IS NOT NULL")
    if rejected is None or not known:
        return own.filter("NOT is_formed").select(
            *PLACE,
            F.lit(False).alias("is_missing"),
            F.lit(False).alias("is_extra"),
            F.array(formed).alias("columns"),
        ).distinct()  # fmt: skip
    wanted = rejected.select(
        *PLACE,
        F.array_join("reasons", ",").alias("wanted_reasons"),
        F.col("kafka_timestamp_ms").cast("string").alias("wanted_source_timestamp"),
        F.col("redrives").cast("string").alias("wanted_redrives"),
        F.col("letter_hash").alias("wanted_letter_hash"),
    )
    unlike = [
        F.when(~F.col(name).eqNullSafe(F.col(f"wanted_{name}")), F.lit(text))
        for name, text in COMPARED.items()
    ]
    is_missing, is_extra = F.col("is_formed").isNull(), F.col("wanted_letter_hash").isNull()
    # Outside the known offsets, only the form can be judged.
    is_judged = is_within(known)
    return (
        own.join(wanted, [*PLACE], "full_outer")
        .select(
            *PLACE,
            is_missing.alias("is_missing"),
            (is_extra & is_judged).alias("is_extra"),
            F.when(is_missing | (is_extra & is_judged), F.array().cast("array<string>"))
            .when(is_judged, F.array_compact(F.array(*unlike, formed)))
            .otherwise(F.array_compact(F.array(formed)))
            .alias("columns"),
        )
        .filter("is_missing OR is_extra OR size(columns) > 0")
        .groupBy(*PLACE, "is_missing", "is_extra")
        .agg(F.array_sort(F.array_distinct(F.flatten(F.collect_list("columns")))).alias("columns"))
    )


def name_differing(place: str, topic: str, differing: DataFrame) -> list[str]:
    """The first rows of `differing_letters` as text."""

    def words(row: Any) -> str:
        message = f"`{topic}/{row.kafka_partition}/{row.kafka_offset}`"
        return difference(message, row.columns, is_missing=row.is_missing, is_extra=row.is_extra)

    return named(place, differing.orderBy(*PLACE), words)


def difference(
    message: str, columns: Collection[str], *, is_missing: bool = False, is_extra: bool = False
) -> str:
    """How a dead letter differs from its source message, as text."""
    if is_missing:
        return f"{message} is missing; the source topic holds it as a rejected message"
    if is_extra:
        return f"{message} is there, but the source topic holds no such rejected message"
    return f"{message} differs from its source message in {', '.join(columns)}"


def name_foreign(place: str, topic: str, name: str, foreign: DataFrame) -> list[str]:
    """The first of `foreign_letters` as text."""
    return named(
        place,
        foreign.orderBy("message_partition", "message_offset"),
        lambda row: (
            f"`{name}/{row.message_partition}/{row.message_offset}` is there, but its headers name"
            f" no message of {topic}: no job wrote it"
        ),
    )
