"""Kafka topic -> streaming or batch DataFrame of messages, and the connection options of both.

Delivery: at least once. A micro-batch that was not committed to the checkpoint is repeated with the
same offsets; messages lost on the broker stop the query (`failOnDataLoss`) instead of a warning.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from settings import Settings
from spark_jobs.session.jvm_classes import KAFKA_MESSAGES
from spark_jobs.session.tls import pem_certificates

REDRIVES_HEADER = "redrives"
# Header in which KafkaMessages.java puts a timestamp outside 1970-9999.
TIMESTAMP_HEADER = "millrace-timestamp"
# How long a fetch waits for more bytes. Kafka's default of 500 ms would be most of a small batch's
# time.
FETCH_MAX_WAIT_MILLISECONDS = "20"
# Kafka's defaults, 1 MiB per partition and 500 messages at a time, double the broker's work.
READER_OPTIONS = {
    "kafka.isolation.level": "read_committed",
    "kafka.fetch.max.wait.ms": FETCH_MAX_WAIT_MILLISECONDS,
    "kafka.max.partition.fetch.bytes": str(4 << 20),
    "kafka.receive.buffer.bytes": str(1 << 20),
    "kafka.max.poll.records": "5000",
}

OffsetRanges = Mapping[int, tuple[int, int]]
"""Partition -> (first offset, offset after the last)."""


def kafka_options(settings: Settings) -> dict[str, str]:
    """Connection options with the names of Spark's Kafka connector (`kafka.…`)."""
    options = {
        "kafka.bootstrap.servers": settings.kafka_bootstrap_servers,
        "kafka.security.protocol": settings.kafka_security_protocol,
    }
    if settings.kafka_sasl_mechanism and settings.kafka_sasl_password:
        module = (
            "org.apache.kafka.common.security.plain.PlainLoginModule"
            if settings.kafka_sasl_mechanism == "PLAIN"
            else "org.apache.kafka.common.security.scram.ScramLoginModule"
        )
        user = _quoted(settings.kafka_sasl_username or "")
        password = _quoted(settings.kafka_sasl_password.get_secret_value())
        options["kafka.sasl.mechanism"] = settings.kafka_sasl_mechanism
        options["kafka.sasl.jaas.config"] = (
            f"{module} required username={user} password={password};"
        )
    if settings.kafka_ssl_ca_location and settings.kafka_security_protocol.endswith("SSL"):
        # The certificates themselves, as executors on other machines do not have the file.
        options["kafka.ssl.truststore.type"] = "PEM"
        options["kafka.ssl.truststore.certificates"] = pem_certificates(
            settings.kafka_ssl_ca_location
        )
    return options


def _quoted(text: str) -> str:
    """Text as a quoted value of a JAAS configuration."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def stream_messages(
    spark: SparkSession,
    settings: Settings,
    topic: str,
    *,
    starting_offsets: str = "earliest",
    fail_on_data_loss: bool = True,
) -> DataFrame:
    """All messages of a topic as a stream.

    Without `fail_on_data_loss`, offsets that the broker no longer has are skipped; use this only
    for a batch with a loss that the user has accepted.

    Columns out: `key` binary, `value` binary, `kafka_topic` string, `kafka_partition` int,
        `kafka_offset` bigint, `kafka_timestamp` timestamp, `kafka_timestamp_ms` bigint,
        `redrives` int.
    Grain: one message.
    Nulls: `key` and `value` as on the topic; `kafka_timestamp` if it is outside 1970-9999;
        `redrives` is 0 if the header is absent or not a number.
    Units: `kafka_timestamp_ms` is Kafka's own timestamp, any 64-bit integer.
    """
    messages = (
        spark.readStream.format(KAFKA_MESSAGES)
        .options(**kafka_options(settings))
        .option("subscribe", topic)
        .option("startingOffsets", starting_offsets)
        .option("maxOffsetsPerTrigger", settings.max_records_per_batch)
        .option("failOnDataLoss", str(fail_on_data_loss).lower())
        .option("includeHeaders", "true")
        .option("groupIdPrefix", f"millrace-{topic}")
        .options(**READER_OPTIONS)
        .load()
    )
    return messages.transform(_select_messages)


def read_messages(
    spark: SparkSession, settings: Settings, topic: str, ranges: OffsetRanges
) -> DataFrame:
    """The messages in offset ranges, as a batch.

    Columns out, grain and nulls: as in `stream_messages`.
    """
    return _read(spark, settings, topic, ranges).transform(_select_messages)


def read_origins(
    spark: SparkSession, settings: Settings, topic: str, ranges: OffsetRanges
) -> DataFrame:
    """Messages that jobs made from others, such as dead letters, with their source coordinates.

    Columns out: `key` binary, `value` binary, `partition` int and `offset` bigint (on this topic),
        `source_topic` string, `source_partition` int, `source_offset` bigint, and as text the
        headers `reasons`, `source_timestamp`, `redrives`; `headers` array<string>, all names.
    Grain: one message, copies included.
    Nulls: where a header is absent or not a number, as no job wrote that message.
    """
    texts = ("reasons", "source_timestamp", "redrives")
    return _read(spark, settings, topic, ranges).select(
        "key",
        "value",
        "partition",
        "offset",
        _header("source_topic").alias("source_topic"),
        _header("source_partition").cast("int").alias("source_partition"),
        _header("source_offset").cast("bigint").alias("source_offset"),
        *(_header(name).alias(name) for name in texts),
        F.coalesce(F.col("headers")["key"], F.array().cast("array<string>")).alias("headers"),
    )


def count_messages(
    spark: SparkSession, settings: Settings, topic: str, ranges: OffsetRanges
) -> int:
    """Number of messages that really exist in offset ranges.

    It is less than the ranges' width if a topic was compacted or written in transactions.
    """
    return _read(spark, settings, topic, ranges).count()


def _read(spark: SparkSession, settings: Settings, topic: str, ranges: OffsetRanges) -> DataFrame:
    first = {topic: {str(partition): start for partition, (start, _) in ranges.items()}}
    after_last = {topic: {str(partition): end for partition, (_, end) in ranges.items()}}
    return (
        spark.read.format(KAFKA_MESSAGES)
        .options(**kafka_options(settings))
        .option("assign", json.dumps({topic: sorted(ranges)}))
        .option("startingOffsets", json.dumps(first))
        .option("endingOffsets", json.dumps(after_last))
        .option("failOnDataLoss", "true")
        .option("includeHeaders", "true")
        .option("groupIdPrefix", f"millrace-{topic}")
        .options(**READER_OPTIONS)
        .load()
    )


def _header(name: str) -> Column:
    """The last header with that name, as text."""
    named = F.filter("headers", lambda header: header["key"] == name)
    return F.try_element_at(named, F.lit(-1))["value"].cast("string")


def _select_messages(messages: DataFrame) -> DataFrame:
    sent, of_header = F.unix_millis("timestamp"), _header(TIMESTAMP_HEADER).cast("bigint")
    is_instant = sent >= 0
    return messages.select(
        "key",
        "value",
        F.col("topic").alias("kafka_topic"),
        F.col("partition").alias("kafka_partition"),
        F.col("offset").alias("kafka_offset"),
        F.when(is_instant, F.col("timestamp")).alias("kafka_timestamp"),
        F.when(is_instant, sent).otherwise(of_header).alias("kafka_timestamp_ms"),
        F.coalesce(_header(REDRIVES_HEADER).cast("int"), F.lit(0)).alias("redrives"),
    )
