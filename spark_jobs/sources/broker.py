"""Asks the broker for its topics, and explains why it does not answer or refuses."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Collection, Iterable
from concurrent.futures import Future, wait
from contextlib import suppress
from typing import Any

from confluent_kafka import OFFSET_INVALID, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from errors import SinkError, SinkRejected, SinkUnavailable
from runtime.kafka_refusals import kafka_advice
from settings import Settings

# How often the client library's reports are checked; only they reveal a refusal.
SLICE_SECONDS = 2.0
REPORTS_KEPT = 20
GREETING_SECONDS = 3.0
# librdkafka's public names of its own errors begin with an underscore.
ALL_BROKERS_DOWN = KafkaError._ALL_BROKERS_DOWN  # noqa: SLF001


class Admin(AdminClient):  # type: ignore[misc]
    """An admin client that collects its connection errors instead of logging them."""

    def __init__(self, settings: Settings) -> None:
        self.reports: deque[KafkaError] = deque(maxlen=REPORTS_KEPT)
        # A broker that is back must be found so within seconds.
        options = settings.kafka_client_options() | {"reconnect.backoff.max.ms": 1000}
        options |= {"log_level": 0}
        super().__init__({**options, "error_cb": self.reports.append})


def kafka_admin(settings: Settings) -> Admin:
    """An admin client for the broker in the settings."""
    return Admin(settings)


def greet_kafka(admin: Admin, topics: Collection[str]) -> None:
    """Ask the leader of each partition of these topics, as far as they exist.

    The other brokers answer while a leader is away, but nothing is read from its partitions.

    Raises:
        KafkaException: no broker, or not every leader, answered within seconds.
    """
    admin.poll(0)
    known = admin.list_topics(timeout=GREETING_SECONDS).topics
    places = [TopicPartition(t, p) for t in topics if t in known for p in known[t].partitions]
    if not places:
        return
    latest = dict.fromkeys(places, OffsetSpec.latest())
    asked = admin.list_offsets(latest, request_timeout=GREETING_SECONDS)
    # Of all, so that no request is open when its client ends.
    wait(asked.values())
    for answer in asked.values():
        offset_of(answer)


def offset_of(answer: Future[Any]) -> int:
    """The offset that `list_offsets` of an admin client answers.

    Raises:
        KafkaException: the leader of the partition refused or did not answer in time.
    """
    offset: int = answer.result().offset
    # The client library gives that, without an error, where the leader is away.
    if offset == OFFSET_INVALID:
        raise KafkaException(KafkaError(KafkaError.LEADER_NOT_AVAILABLE))
    return offset


def existing_topics(settings: Settings, admin: Admin | None = None) -> dict[str, int]:
    """Topic -> number of partitions.

    Raises:
        SinkUnavailable: the broker did not answer within `KAFKA_CONNECT_TIMEOUT_SECONDS`.
        SinkRejected: it refused the client; names the setting to check.
    """
    admin = admin or kafka_admin(settings)
    deadline = time.monotonic() + settings.kafka_connect_timeout_seconds
    while True:
        left = deadline - time.monotonic()
        try:
            metadata = admin.list_topics(timeout=max(min(left, SLICE_SECONDS), 0.1))
        except KafkaException as error:
            admin.poll(0)
            report = _most_specific(admin.reports)
            if report is not None and kafka_advice(report.str()):
                raise _refused(settings, report) from error
            if left <= SLICE_SECONDS:
                raise _unreachable(settings, report) from error
        else:
            return {name: len(topic.partitions) for name, topic in metadata.topics.items()}


def topics_by_broker(settings: Settings, admin: Admin) -> list[set[str]]:
    """The topics that each broker lists, as brokers learn of changes one after the other.

    Those that do not answer are left out.

    Raises:
        SinkError: none answered, or the client was refused.
    """
    listed = [{*existing_topics(settings, admin)}]
    try:
        brokers = admin.list_topics(timeout=SLICE_SECONDS).brokers.values()
        for broker in brokers if len(brokers) > 1 else ():
            host = f"[{broker.host}]" if ":" in broker.host else broker.host
            servers = {"kafka_bootstrap_servers": f"{host}:{broker.port}"}
            # A client asks the others too once it knows them, so each is asked by a new one.
            alone = kafka_admin(settings.model_copy(update=servers))
            with suppress(KafkaException):
                listed.append({*alone.list_topics(timeout=SLICE_SECONDS).topics})
    except KafkaException as error:
        raise _unreachable(settings, error.args[0]) from error
    return listed


def _most_specific(reports: Iterable[KafkaError]) -> KafkaError | None:
    """The last report with a reason, which "all brokers are down" does not give."""
    specific = [report for report in reports if report.code() != ALL_BROKERS_DOWN]
    return specific[-1] if specific else None


def _refused(settings: Settings, report: KafkaError) -> SinkError:
    return SinkRejected(
        f"Kafka at `{settings.kafka_bootstrap_servers}` refused this client ({report.name()})."
        f" {kafka_advice(report.str())}"
    )


def _unreachable(settings: Settings, report: KafkaError | None) -> SinkError:
    # The report names addresses and options, never a record's value.
    why = f": {report.str()}" if report is not None else ""
    return SinkUnavailable(
        f"Cannot reach Kafka at `{settings.kafka_bootstrap_servers}` after"
        f" {settings.kafka_connect_timeout_seconds:g} s{why}. Start it with `make up` or correct"
        " `KAFKA_BOOTSTRAP_SERVERS`, `KAFKA_SECURITY_PROTOCOL`."
    )
