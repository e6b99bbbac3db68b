"""The Kafka client library: its options, its log, and what its errors mean."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException, Producer, TopicCollection
from confluent_kafka.admin import AdminClient

from errors import DeliveryError
from runtime.kafka_refusals import kafka_advice
from settings import Settings

LOGGER: Final = logging.getLogger(__name__)

# Measured with tickets of 306 bytes. The queue holds a second or two of work at full speed; more
# would only delay noticing that the broker is gone.
TUNING: Final[Mapping[str, Any]] = {
    "enable.idempotence": True,
    "acks": "all",
    "compression.type": "lz4",
    "linger.ms": 50,
    "batch.size": 262_144,
    "queue.buffering.max.messages": 500_000,
    "queue.buffering.max.kbytes": 262_144,
    # Above any record: the topic's own limit decides, after compression.
    "message.max.bytes": 64 * 1024 * 1024,
    # The default partitioner of Java clients, so that a key has the same partition from any client.
    "partitioner": "murmur2_random",
    "reconnect.backoff.ms": 100,
    "reconnect.backoff.max.ms": 1000,
    "socket.keepalive.enable": True,
    "client.id": "millrace-producer",
}
# A message may wait for long while others are confirmed; `Delivery` itself checks for progress.
LEAST_MESSAGE_TIMEOUT_SECONDS: Final = 300.0
# Sixteen zero bytes in base64, or nothing.
NO_TOPIC_IDS: Final = frozenset(("A" * 22, "None"))
# librdkafka's public names of its own errors begin with an underscore.
ALL_BROKERS_DOWN: Final = KafkaError._ALL_BROKERS_DOWN  # noqa: SLF001
AUTHENTICATION: Final = KafkaError._AUTHENTICATION  # noqa: SLF001
# Errors that waiting does not fix.
HOPELESS: Final = frozenset(
    (
        AUTHENTICATION,
        KafkaError.SASL_AUTHENTICATION_FAILED,
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.CLUSTER_AUTHORIZATION_FAILED,
    )
)


class _ClientLog:
    """Receives the client library's log lines, which would otherwise go to stderr."""

    def log(self, _level: int, message: str, *args: Any) -> None:
        LOGGER.debug(message, *args)


def new_producer(options: Mapping[str, Any], wait_seconds: float) -> Producer:
    """A producer for which no message times out during a wait.

    Raises:
        DeliveryError: the options are wrong.
    """
    message_timeout = max(LEAST_MESSAGE_TIMEOUT_SECONDS, 2 * wait_seconds)
    accounting = {
        "message.timeout.ms": int(message_timeout * 1000),
        # They say what was transmitted, when messages are left without an answer at the end.
        "statistics.interval.ms": 1000,
    }
    try:
        return Producer({**TUNING, **accounting, **options}, logger=_ClientLog())
    except KafkaException as error:
        # The library's message names the option, never its value.
        raise DeliveryError(
            f"The Kafka client cannot start: {error.args[0].str()}. Correct the KAFKA_… settings."
        ) from None


def topic_identity(settings: Settings, topic: str) -> str:
    """What differs for a topic that was deleted and created again, or is on another cluster.

    Its id; of brokers that have no topic ids the cluster's; empty if that is not known either.

    Raises:
        DeliveryError: the broker did not say.
    """
    seconds = max(settings.kafka_connect_timeout_seconds, 1.0)
    admin = AdminClient({**settings.kafka_client_options(), "log_level": 0})
    try:
        asked = admin.describe_topics(TopicCollection([topic]), request_timeout=seconds)
        identity = str(asked[topic].result().topic_id)
        if identity in NO_TOPIC_IDS:
            cluster = admin.describe_cluster(request_timeout=seconds).result().cluster_id
            identity = f"cluster {cluster}" if cluster else ""
    except KafkaException as error:
        raise DeliveryError(
            f"Kafka at `{settings.kafka_bootstrap_servers}` did not describe `{topic}`:"
            f" {error.args[0].str()}. Nothing was sent; send again, or correct this user's rights."
        ) from error
    return identity


def refusal(error: KafkaError) -> str | None:
    """What the broker refuses and what to correct; None if waiting may help."""
    advice = kafka_advice(error.str())
    if advice or error.code() in HOPELESS:
        return f"{error.str()}. {advice or 'Correct the user’s rights.'}"
    return None
