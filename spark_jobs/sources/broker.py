"""The broker itself: whether it answers, and in whose words it refuses."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient

from errors import SinkError, SinkRejected, SinkUnavailable
from runtime.kafka_refusals import kafka_advice
from settings import Settings

# Between two looks at what the client library has reported: it tells a refusal by itself only.
SLICE_SECONDS = 2.0
REPORTS_KEPT = 20
# librdkafka's public names of its own errors begin with an underscore.
ALL_BROKERS_DOWN = KafkaError._ALL_BROKERS_DOWN  # noqa: SLF001


class Admin(AdminClient):  # type: ignore[misc]
    """An admin client that keeps its connection troubles to itself, for whoever asks."""

    def __init__(self, settings: Settings) -> None:
        self.reports: deque[KafkaError] = deque(maxlen=REPORTS_KEPT)
        options = settings.kafka_client_options() | {"log_level": 0}
        super().__init__({**options, "error_cb": self.reports.append})


def kafka_admin(settings: Settings) -> Admin:
    """An admin client for the broker of the settings."""
    return Admin(settings)


def existing_topics(settings: Settings, admin: Admin | None = None) -> dict[str, int]:
    """Topic -> number of partitions.

    Raises:
        SinkUnavailable: the broker did not answer within `KAFKA_CONNECT_TIMEOUT_SECONDS`.
        SinkRejected: it refused the client, at once; names the setting to look at.
    """
    admin = admin or kafka_admin(settings)
    deadline = time.monotonic() + settings.kafka_connect_timeout_seconds
    while True:
        left = deadline - time.monotonic()
        try:
            metadata = admin.list_topics(timeout=max(min(left, SLICE_SECONDS), 0.1))
        except KafkaException as error:
            admin.poll(0)
            told = _most_telling(admin.reports)
            if told is not None and kafka_advice(told.str()):
                raise _refused(settings, told) from error
            if left <= SLICE_SECONDS:
                raise _unreachable(settings, told) from error
        else:
            return {name: len(topic.partitions) for name, topic in metadata.topics.items()}


def _most_telling(reports: Iterable[KafkaError]) -> KafkaError | None:
    """The last report that gives a reason: "all brokers are down" says less."""
    telling = [report for report in reports if report.code() != ALL_BROKERS_DOWN]
    return telling[-1] if telling else None


def _refused(settings: Settings, report: KafkaError) -> SinkError:
    return SinkRejected(
        f"Kafka at `{settings.kafka_bootstrap_servers}` refused this client ({report.name()})."
        f" {kafka_advice(report.str())}"
    )


def _unreachable(settings: Settings, report: KafkaError | None) -> SinkError:
    # Its text names addresses and options, no value of a record.
    why = f": {report.str()}" if report is not None else ""
    return SinkUnavailable(
        f"Cannot reach Kafka at `{settings.kafka_bootstrap_servers}` after"
        f" {settings.kafka_connect_timeout_seconds:g} s{why}. Start it with `make up` or correct"
        " `KAFKA_BOOTSTRAP_SERVERS`, `KAFKA_SECURITY_PROTOCOL`."
    )
