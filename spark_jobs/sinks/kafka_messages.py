"""What the sinks that write to Kafka share: headers, and how messages are sent."""

from __future__ import annotations

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from settings import Settings
from spark_jobs.session.jvm_classes import own_classes
from spark_jobs.sources.kafka import kafka_options
from spark_jobs.state.store_errors import sink_error

# Above any `max.message.bytes` in use, so that the topic's own limit decides.
MAX_REQUEST_BYTES = 64 * 1024 * 1024
WRITE_OPTIONS = {
    "kafka.enable.idempotence": "true",
    "kafka.acks": "all",
    "kafka.max.request.size": str(MAX_REQUEST_BYTES),
    "kafka.buffer.memory": str(2 * MAX_REQUEST_BYTES),
    # The densest codec a producer may use: what fitted the source topic must fit here.
    "kafka.compression.type": "zstd",
}


def header(name: str, value: Column) -> Column:
    """One header of a message; its value as text."""
    return F.struct(F.lit(name).alias("key"), value.cast("string").cast("binary").alias("value"))


def send_messages(messages: DataFrame, settings: Settings, what: str) -> None:
    """Put messages on the topics that they name; returns once the broker has confirmed all.

    Columns in: `topic` string, `key` binary, `value` binary,
        `headers` array<struct<key string, value binary>>.

    Args:
        messages: The messages to send.
        settings: The broker's address.
        what: Description of the messages for the error.

    Raises:
        SinkError: the broker did not confirm all of them.
    """
    options = kafka_options(settings) | WRITE_OPTIONS
    try:
        plan = messages._jdf.queryExecution()  # noqa: SLF001 - PySpark has no public API
        sender = own_classes(messages.sparkSession).KafkaSender(options, plan.analyzed().output())
        plan.toRdd().toJavaRDD().foreachPartition(sender)
    except Exception as error:
        raise sink_error("Kafka", f"take {what}", error) from error
