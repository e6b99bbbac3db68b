"""Customers on their two topics: the valid ones of the USA, and the incomplete ones.

What: each stored record as a JSON object, `reasons` in those of alerts; headers `source_topic`,
    `source_partition`, `source_offset` say which message it was.
Key: `customer_id`, empty where an alert has none.
Replay: a repeated batch may send a message again, so readers count distinct source coordinates, as
    with dead letters.
Nulls: a field without a value is left out of the object; `created_at` is in UTC, with milliseconds.
Options: none; `SINKS` does not name it, as customers always go to their topics.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pymongo.database import Database
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from settings import Settings
from spark_jobs.pipeline import Pipeline
from spark_jobs.sinks.base import Batch, Sink
from spark_jobs.sinks.kafka_messages import header, send_messages
from spark_jobs.sources.topics import ensure_roomier_topic, topic_state
from spark_jobs.state.fault_points import fault_point
from spark_jobs.state.offset_ranges import width
from spark_jobs.transforms.customers import FIELDS
from spark_jobs.transforms.outcomes import ALERT

SOURCES = {
    "source_topic": "kafka_topic",
    "source_partition": "kafka_partition",
    "source_offset": "kafka_offset",
}
JSON_OPTIONS = {"timestampFormat": "yyyy-MM-dd'T'HH:mm:ss.SSSXXX", "ignoreNullFields": "true"}


def ensure_output_topics(settings: Settings) -> list[str]:
    """Create the two topics, with room for a source message and `reasons`; returns new ones.

    Their source must exist.
    """
    names = settings.customers_output_topics
    created = (ensure_roomier_topic(settings, n, settings.customers_topic, {}) for n in names)
    return [name for new in created for name in new]


def select_messages(records: DataFrame, settings: Settings) -> DataFrame:
    """Stored customers as messages of the two topics.

    Columns in: those of `classify_customers`, only valid ones and alerts.
    Columns out: `topic` string, `key` binary, `value` binary,
        `headers` array<struct<key string, value binary>>.
    Grain: one stored customer.
    """
    is_alert = F.col("outcome") == ALERT
    # JSON leaves out nulls, so the object of a valid customer has no `reasons`.
    reasons = F.when(is_alert, F.col("reasons")).alias("reasons")
    value = F.to_json(F.struct(*FIELDS, reasons), JSON_OPTIONS)
    headers = F.array(*(header(name, F.col(column)) for name, column in SOURCES.items()))
    topic = F.when(is_alert, F.lit(settings.customers_alerts_topic)).otherwise(
        F.lit(settings.customers_usa_topic)
    )
    return records.select(
        topic.alias("topic"),
        F.coalesce("customer_id", F.lit("")).cast("binary").alias("key"),
        value.cast("binary").alias("value"),
        headers.alias("headers"),
    )


@dataclass(frozen=True)
class CustomerTopicsSink(Sink):
    """Puts the stored records of each batch on the two topics."""

    settings: Settings
    name = "topics"
    store = "Kafka"
    may_repeat = True

    def check(self) -> None:
        """Ensure that both topics exist and take messages as large as the source's.

        Raises:
            SinkUnavailable: the broker did not answer in `KAFKA_CONNECT_TIMEOUT_SECONDS`.
        """
        ensure_output_topics(self.settings)

    def write_batch(self, batch: Batch, batch_id: int) -> None:
        """Send the batch's records; returns once the broker has confirmed all."""
        messages = select_messages(batch.records, self.settings)
        send_messages(messages, self.settings, f"batch {batch_id}'s customers")
        fault_point("between-topics-and-confirmation")

    def count(self) -> dict[str, int | None]:
        """Offsets of each topic that the broker still has, copies included."""
        states = {t: topic_state(self.settings, t) for t in self.settings.customers_output_topics}
        return {t: width(state.offsets) for t, state in states.items()}


def sink(pipeline: Pipeline, settings: Settings, database: Database[Any]) -> Sink:
    """The sink, for the pipeline that names this module."""
    return CustomerTopicsSink(settings)
