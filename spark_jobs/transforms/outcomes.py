"""Outcomes of messages, and the columns that all classified messages share."""

from __future__ import annotations

from typing import Final

from pyspark.sql import Column
from pyspark.sql import functions as F

VALID: Final = "valid"
REJECTED: Final = "rejected"
FILTERED: Final = "filtered"
# A record that needs attention, such as an incomplete one: stored separately.
ALERT: Final = "alert"
STORED: Final = (VALID, ALERT)
# Each is the only reason of such a message: it is not a JSON object; whatever its content.
UNPARSEABLE: Final = "unparseable"
INVALID_TIMESTAMP: Final = "invalid_kafka_timestamp"


def message_columns(record_id: str) -> dict[str, Column | None]:
    """Return the leading columns of a classified message; expects `outcome` and `reasons`.

    Those that are there already are None.

    `key`, `value` and `kafka_timestamp_ms` are null unless the message is rejected and so kept byte
    for byte; alerts have `reasons` as well. `record_id` is the id of a valid record, and otherwise
    the coordinates, a form that a valid record's `record_id` must not have.
    """
    coordinates = F.concat_ws("/", "kafka_partition", "kafka_offset")
    rejected = F.col("outcome") == REJECTED
    has_reasons = F.col("outcome").isin(REJECTED, ALERT)
    there = ("kafka_topic", "kafka_partition", "kafka_offset", "kafka_timestamp")
    return {
        "record_id": F.coalesce(when_valid(F.col(record_id)), coordinates),
        "outcome": None,
        "reasons": F.when(has_reasons, F.col("reasons")).otherwise(no_reasons()),
        "key": F.when(rejected, F.col("key")),
        "value": F.when(rejected, F.col("value")),
        **dict.fromkeys(there),
        "kafka_timestamp_ms": F.when(rejected, F.col("kafka_timestamp_ms")),
        "redrives": None,
    }


def valid_record_columns(record_id: str, columns: dict[str, Column]) -> dict[str, Column | None]:
    """Return `message_columns`, then these, null unless the record is valid."""
    return message_columns(record_id) | {name: when_valid(c) for name, c in columns.items()}


def has_invalid_timestamp() -> Column:
    """Return whether the message's Kafka timestamp is outside 1970-9999."""
    return F.col("kafka_timestamp").isNull()


def when_valid(column: Column) -> Column:
    """Return the column for valid records and null for any other."""
    return F.when(F.col("outcome") == VALID, column)


def no_reasons() -> Column:
    """Return an empty list of reason codes."""
    return F.array().cast("array<string>")
