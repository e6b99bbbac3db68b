"""Records forwarded to topics, each as a JSON object.

What: the stored records that a topic takes, with the columns that it lists; headers `source_topic`,
    `source_partition`, `source_offset` say which message each was.
Key: as the declaration says, by default the record's id.
Replay: a repeated batch may send a message again, so readers count distinct source coordinates, as
    with dead letters.
Nulls: a column without a value is left out of the object; times are in UTC, with milliseconds.
Options: none; `SINKS` does not name it, as a pipeline always feeds its topics.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from typing import Any

from pymongo.database import Database
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from settings import Settings
from spark_jobs.pipeline import Pipeline
from spark_jobs.planned import planned
from spark_jobs.sinks.base import Batch, Sink
from spark_jobs.sinks.kafka_messages import header, send_messages
from spark_jobs.sources.topics import ensure_roomier_topic, topic_state
from spark_jobs.state.fault_points import fault_point
from spark_jobs.state.offset_ranges import width
from spark_jobs.targets import Topic

SOURCES = {
    "source_topic": "kafka_topic",
    "source_partition": "kafka_partition",
    "source_offset": "kafka_offset",
}
JSON_OPTIONS = {"timestampFormat": "yyyy-MM-dd'T'HH:mm:ss.SSSXXX", "ignoreNullFields": "true"}


def ensure_forward_topics(settings: Settings, pipeline: Pipeline) -> list[str]:
    """Create a pipeline's topics, with room for a source message and more; returns new ones.

    Their source must exist.
    """
    source = pipeline.topic(settings)
    names = pipeline.forward_topics(settings)
    created = (ensure_roomier_topic(settings, name, source, {}) for name in names)
    return [name for new in created for name in new]


def select_messages(records: DataFrame, name: str, topic: Topic) -> DataFrame:
    """The stored records that a topic takes, as messages.

    Columns in: those of the pipeline's classified messages, only stored ones.
    Columns out: `topic` string, `key` binary, `value` binary,
        `headers` array<struct<key string, value binary>>.
    Grain: one forwarded record.
    """
    key, value = message_of(topic)
    headers = F.array(*(header(each, F.col(column)) for each, column in SOURCES.items()))
    return topic.takes.of(records).select(
        F.lit(name).alias("topic"),
        key.alias("key"),
        value.alias("value"),
        headers.alias("headers"),
    )


def message_of(topic: Topic) -> tuple[Column, Column]:
    """Key and value, binary, of the message that a topic gets of a stored record."""
    # JSON leaves out nulls; a valid record has no reasons.
    columns = [
        F.when(F.size("reasons") > 0, F.col("reasons")).alias("reasons") if c == "reasons" else c
        for c in topic.columns
    ]
    value = F.to_json(F.struct(*columns), JSON_OPTIONS)
    return F.expr(topic.key).cast("string").cast("binary"), value.cast("binary")


@dataclass(frozen=True)
class TopicsSink(Sink):
    """Puts the stored records of each batch on the pipeline's topics."""

    settings: Settings
    pipeline: Pipeline
    name = "topics"
    store = "Kafka"
    may_repeat = True

    def check(self) -> None:
        """Ensure that the topics exist and take messages as large as the source's.

        Raises:
            SinkUnavailable: the broker did not answer in `KAFKA_CONNECT_TIMEOUT_SECONDS`.
        """
        ensure_forward_topics(self.settings, self.pipeline)

    def write_batch(self, batch: Batch, batch_id: int) -> None:
        """Send the batch's records; returns once the broker has confirmed all."""
        messages = planned(batch.records, self.name, self._messages)
        send_messages(messages, self.settings, f"batch {batch_id}'s records")
        fault_point("between-topics-and-confirmation")

    def _messages(self, records: DataFrame) -> DataFrame:
        topics = self.pipeline.forward_topics(self.settings).items()
        return reduce(DataFrame.union, (select_messages(records, *each) for each in topics))

    def count(self) -> dict[str, int | None]:
        """Offsets of each topic that the broker still has, copies included."""
        names = self.pipeline.forward_topics(self.settings)
        return {name: width(topic_state(self.settings, name).offsets) for name in names}


def sink(pipeline: Pipeline, settings: Settings, database: Database[Any]) -> Sink | None:
    """The sink for a pipeline's topics; None if it has none."""
    return TopicsSink(settings, pipeline) if pipeline.topics else None
