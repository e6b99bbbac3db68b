"""Messages of a dead-letter topic, each copy compared with the message that was rejected."""

from __future__ import annotations

from typing import Any

from pyspark.sql import DataFrame, SparkSession

from operations.verify.hashes import hash_of
from operations.verify.letter_messages import (
    HEADERS,
    differing_letters,
    foreign_letters,
    letters_of,
    name_differing,
)

ORIGINS = (
    "key binary, value binary, partition int, offset bigint, source_topic string,"
    " source_partition int, source_offset bigint, reasons string, source_timestamp string,"
    " redrives string, headers array<string>"
)
REJECTED = (
    "kafka_partition int, kafka_offset bigint, reasons array<string>, kafka_timestamp_ms bigint,"
    " redrives int, key binary, value binary"
)


def letters(spark: SparkSession, *changes: dict[str, Any]) -> DataFrame:
    """Copies of the dead letter of message 0/5, each with changes of its own."""
    usual = {
        "key": None, "value": b"v", "partition": 0, "offset": 0, "source_topic": "t",
        "source_partition": 0, "source_offset": 5, "reasons": "missing_a,invalid_b",
        "source_timestamp": "-7", "redrives": "1", "headers": [*HEADERS],
    }  # fmt: skip
    rows = [tuple((usual | each).values()) for each in changes]
    return spark.createDataFrame(rows, ORIGINS).transform(letters_of, "t")


def faults(spark: SparkSession, *changes: dict[str, Any], known: bool = True) -> list[str]:
    rejected = spark.createDataFrame(
        [(0, 5, ["missing_a", "invalid_b"], -7, 1, None, b"v")], REJECTED
    ).withColumn("letter_hash", hash_of(["key", "value"]))
    found = letters(spark, *changes)
    ranges = {0: (3, 10)} if known else {}
    return name_differing(
        "here", "t", differing_letters(found, rejected if known else None, ranges)
    )


def test_copies_with_the_same_content_are_in_order(spark: SparkSession) -> None:
    # Offset 2 is no longer known, 10 belongs to an unfinished batch.
    assert faults(spark, {}, {}, {"source_offset": 2}, {"source_offset": 10}) == []


def test_copy_with_any_other_content_is_named_with_what_differs(spark: SparkSession) -> None:
    changed = [
        {},
        {"key": b""},
        {"reasons": "invalid_b,missing_a", "source_timestamp": "7"},
        {"redrives": "0", "headers": [*HEADERS, "redriven_from"]},
    ]

    assert faults(spark, *changed) == [
        "here: `t/0/5` differs from its source message in headers, key or value, reasons, redrives,"
        " source_timestamp"
    ]


def test_missing_and_extra_letters_are_named(spark: SparkSession) -> None:
    assert faults(spark, {"source_offset": 6}) == [
        "here: `t/0/5` is missing; the source topic holds it as a rejected message",
        "here: `t/0/6` is there, but the source topic holds no such rejected message",
    ]


def test_form_alone_is_judged_where_the_messages_are_not_known(spark: SparkSession) -> None:
    changed = [{"source_offset": 2, "headers": ["reasons"]}, {"reasons": "other"}]

    assert faults(spark, *changed, known=False) == [
        "here: `t/0/2` differs from its source message in headers"
    ]


def test_letters_that_name_no_message_of_the_topic_are_foreign(spark: SparkSession) -> None:
    unlike = [
        {"source_topic": "s", "offset": 1},
        {"source_topic": None, "offset": 2},
        {"source_offset": -1, "offset": 3},
        {"source_partition": 4, "offset": 4},
    ]

    found = letters(spark, {}, *unlike).transform(foreign_letters, [0, 1])

    assert sorted(row.message_offset for row in found.collect()) == [1, 2, 3, 4]
