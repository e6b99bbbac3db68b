"""Spark types derived from the contracts; only jobs import this module, producers never do."""

from __future__ import annotations

from pyspark.sql import types as T

from schemas.contract import Contract
from schemas.fields import path_of

# The input of the transforms: one row per Kafka message.
MESSAGE_SCHEMA = T.StructType(
    [
        T.StructField("key", T.BinaryType()),
        T.StructField("value", T.BinaryType()),
        T.StructField("kafka_topic", T.StringType()),
        T.StructField("kafka_partition", T.IntegerType()),
        T.StructField("kafka_offset", T.LongType()),
        # Null if the number is outside 1970-9999, as a sender may write any.
        T.StructField("kafka_timestamp", T.TimestampType()),
        T.StructField("kafka_timestamp_ms", T.LongType()),
        T.StructField("redrives", T.IntegerType()),
    ]
)


def record_schema(contract: Contract) -> T.StructType:
    """Return the type with which a record is read: every field that feeds a column, as text.

    As text, because a contract's rules must see what was sent: a number read as a number would lose
    its digits, and a wrong type would make Spark report the whole message as corrupt. A field's
    other names are included. Fields that feed no column (passwords above all) are never read.
    """
    tree: dict[str, dict[str, object]] = {}
    for field in contract.fields:
        if field.column is None:
            continue
        for name in (field.name, *field.other_names):
            node = tree
            for part in path_of(name):
                node = node.setdefault(part, {})  # type: ignore[assignment]
    return _struct(tree)


def _struct(tree: dict[str, dict[str, object]]) -> T.StructType:
    return T.StructType(
        [
            T.StructField(name, _struct(child) if child else T.StringType())  # type: ignore[arg-type]
            for name, child in tree.items()
        ]
    )
