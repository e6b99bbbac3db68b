"""Rows of the driver, which become a DataFrame by way of JSON."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import StructType

from schemas.spark import MESSAGE_SCHEMA
from spark_jobs.sources.local_rows import local_rows

BYTES = bytes(range(256))
LATE = datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)
MESSAGES: list[tuple[Any, ...]] = [
    (None, None, None, None, None, None, None, None),
    (b"", BYTES, "a \x00 \u2028 \U0001f600 \\", 2**31 - 1, 2**63 - 1, LATE, -(2**63), -(2**31)),
    (b"k", bytearray(b"v"), "", 0, 0, datetime(1960, 1, 2, 3, 4, 5, 1, tzinfo=UTC), 0, 0),
]


def test_every_value_of_a_message_stays_what_it_was(spark: SparkSession) -> None:
    rows = local_rows(spark, MESSAGES, MESSAGE_SCHEMA)

    # In UTC, whatever the zone of the machine.
    instants = rows.select(F.unix_micros("kafka_timestamp")).collect()
    assert [row[0] for row in instants] == [None, 253_402_300_799_999_999, -315_521_754_999_999]
    others = rows.drop("kafka_timestamp").collect()
    assert [tuple(row) for row in others] == [row[:5] + row[6:] for row in MESSAGES]


def test_no_rows_are_an_empty_data_frame_with_all_columns(spark: SparkSession) -> None:
    rows = local_rows(spark, [], MESSAGE_SCHEMA)

    assert rows.dtypes == [(each.name, each.dataType.simpleString()) for each in MESSAGE_SCHEMA]
    assert rows.count() == 0


def test_a_value_of_another_type_is_refused(spark: SparkSession) -> None:
    number = StructType().add("number", "integer")

    with pytest.raises(Exception, match="MALFORMED_RECORD_IN_PARSING"):
        local_rows(spark, [(2**31,)], number).collect()


def test_the_rows_are_one_partition_of_which_no_python_process_is_part(
    spark: SparkSession,
) -> None:
    rows = local_rows(spark, MESSAGES * 100, MESSAGE_SCHEMA)

    assert rows.rdd.getNumPartitions() == 1
    assert "ExistingRDD" not in rows._jdf.queryExecution().toString()  # noqa: SLF001
