"""Checks of the broker: endpoint, login, and whether the topics match what the code expects."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient, ConfigResource, ResourceType

from operations.doctor.check import Fault, Line, line_of, not_yet
from operations.doctor.endpoints import (
    CONNECT_SECONDS,
    absence,
    away_faults,
    how_to_start,
    kafka_endpoint,
)
from runtime import remedies
from runtime.config.topic_names import dead_letter_topic
from runtime.reachable import unreached
from settings import Settings
from spark_jobs.registry import pipelines_of
from spark_jobs.sources.topics import (
    KEEP_FOREVER,
    LIMIT,
    redriven_topic,
    roomier_limit,
)
from spark_jobs.state.acceptance import ACCEPT_PARTITIONS

ASK_SECONDS: Final = 4.0
NO_LEADER: Final = -1
# librdkafka's public names of its own codes begin with an underscore.
LOGIN_CODES: Final = {KafkaError._AUTHENTICATION, KafkaError.SASL_AUTHENTICATION_FAILED}  # noqa: SLF001
TLS_CODE: Final = KafkaError._SSL  # noqa: SLF001
TIMED_OUT: Final = KafkaError._TIMED_OUT  # noqa: SLF001


@dataclass(frozen=True)
class WantedTopic:
    """A topic that the code expects.

    Attributes:
        name: On the broker.
        source: The topic whose messages, plus 64 KiB, must fit; None for a source topic.
        is_kept: Whether its messages must never expire.
        is_optional: Whether the code creates it only when needed.
    """

    name: str
    source: str | None = None
    is_kept: bool = False
    is_optional: bool = False


@dataclass(frozen=True)
class FoundTopic:
    """A topic as the broker describes it; `replicas` is the lowest number of any partition."""

    partitions: int
    replicas: int = 1
    without_leader: int = 0
    config: Mapping[str, str] = field(default_factory=dict)


def wanted_topics(settings: Settings) -> list[WantedTopic]:
    """Every topic of the pipelines."""
    pipelines = pipelines_of(settings)
    sources = [pipeline.topic(settings) for pipeline in pipelines]
    return [
        *(WantedTopic(name) for name in sources),
        *(WantedTopic(dead_letter_topic(name), name, is_kept=True) for name in sources),
        *(
            WantedTopic(name, pipeline.topic(settings))
            for pipeline in pipelines
            for name in pipeline.forward_topics(settings)
        ),
        *(WantedTopic(redriven_topic(n), is_kept=True, is_optional=True) for n in sources),
    ]


def look_at_kafka(settings: Settings) -> list[Line]:
    """Whether Kafka accepts the login, every broker can be reached and the topics are right."""
    endpoint = kafka_endpoint(settings)
    if away := absence(endpoint, settings):
        return [line_of("kafka", [away], ""), *not_yet("topics", because="Kafka is away")]
    errors: list[KafkaError] = []
    options = settings.kafka_client_options() | {"log_level": 0, "error_cb": errors.append}
    admin = AdminClient(options)
    metadata = _metadata(admin, errors)
    if metadata is None:
        fault = refusal(errors, settings) or Fault(
            f"no answer at {settings.kafka_bootstrap_servers} within {ASK_SECONDS:g} s by"
            f" {settings.kafka_security_protocol}: check that KAFKA_SECURITY_PROTOCOL matches the"
            f" listener; {how_to_start(endpoint, settings)}"
        )
        return [line_of("kafka", [fault], ""), *not_yet("topics", because="Kafka does not answer")]
    brokers = sorted({(broker.host, broker.port) for broker in metadata.brokers.values()})
    advertised = [broker for broker in brokers if broker not in endpoint.addresses]
    # Of those that the cluster has given up only the settings know.
    gone = away_faults(endpoint.addresses, "broker")
    # Clients talk to each broker at the address that it advertises.
    faults = [
        Fault(f"a broker advertises an address that does not work here: {reason}: correct its"
              " `advertised.listeners`")
        for reason in unreached(advertised, CONNECT_SECONDS)
    ]  # fmt: skip
    number = f"{len(brokers)} broker{'s' if len(brokers) > 1 else ''}"
    kafka = line_of("kafka", gone + faults, f"{number} at {settings.kafka_bootstrap_servers}")
    if faults:
        return [kafka, *not_yet("topics", because="see kafka")]
    return [kafka, _topic_line(admin, metadata, settings)]


def _metadata(admin: AdminClient, errors: list[KafkaError]) -> Any:
    """The broker's metadata; None without an answer in time, or at once after a refusal."""
    deadline = time.monotonic() + ASK_SECONDS
    while time.monotonic() < deadline and not refused(errors):
        try:
            return admin.list_topics(timeout=1)
        except KafkaException:
            # Delivers the errors that the client has noticed meanwhile.
            admin.poll(0)
    return None


def refused(errors: list[KafkaError]) -> bool:
    """Whether another attempt is pointless."""
    return any(error.code() in {*LOGIN_CODES, TLS_CODE} for error in errors)


def refusal(errors: list[KafkaError], settings: Settings) -> Fault | None:
    """The login or TLS fault among the client's errors, if there is one."""
    codes = {error.code() for error in errors}
    if codes & LOGIN_CODES:
        return Fault(
            f"{settings.kafka_bootstrap_servers} refused the login: correct KAFKA_SASL_USERNAME,"
            " KAFKA_SASL_PASSWORD and KAFKA_SASL_MECHANISM"
        )
    if TLS_CODE in codes:
        return Fault(
            f"TLS with {settings.kafka_bootstrap_servers} failed: correct KAFKA_SSL_CA_LOCATION,"
            " or KAFKA_SECURITY_PROTOCOL if the broker does not use TLS"
        )
    return None


def _topic_line(admin: AdminClient, metadata: Any, settings: Settings) -> Line:
    wanted = wanted_topics(settings)
    try:
        found = _found(admin, metadata, [topic.name for topic in wanted])
    except (KafkaException, TimeoutError) as error:
        reason = error.args[0] if isinstance(error, KafkaException) else KafkaError(TIMED_OUT)
        text = f"Kafka does not describe them ({reason.name()}): check this user's rights"
        if reason.code() == TIMED_OUT:
            text = f"Kafka did not describe them within {ASK_SECONDS:g} s: check its load"
        return line_of("topics", [Fault(text)], "")
    return line_of("topics", list(topic_faults(wanted, found, settings)), _counted(found))


def _found(admin: AdminClient, metadata: Any, names: list[str]) -> dict[str, FoundTopic]:
    """The topics that exist.

    Raises:
        KafkaException: the broker does not let this user describe them.
        TimeoutError: it did not answer in time.
    """
    present = [name for name in names if name in metadata.topics]
    resources = [ConfigResource(ResourceType.TOPIC, name) for name in present]
    configs = admin.describe_configs(resources, request_timeout=ASK_SECONDS) if resources else {}
    by_name = {resource.name: future.result(ASK_SECONDS) for resource, future in configs.items()}
    found = {}
    for name in present:
        partitions = list(metadata.topics[name].partitions.values())
        found[name] = FoundTopic(
            len(partitions),
            min((len(partition.replicas) for partition in partitions), default=0),
            sum(partition.leader == NO_LEADER for partition in partitions),
            {key: str(entry.value) for key, entry in by_name[name].items()},
        )
    return found


def _counted(found: Mapping[str, FoundTopic]) -> str:
    return f"all {len(found)} there, {sum(topic.partitions for topic in found.values())} partitions"


def topic_faults(
    wanted: list[WantedTopic], found: Mapping[str, FoundTopic], settings: Settings
) -> Iterator[Fault]:
    """Where topics differ from what the code expects."""
    absent = [t.name for t in wanted if t.name not in found and not t.is_optional]
    if absent:
        yield Fault(f"missing: {', '.join(absent)}: `make up` creates them", by_itself=True)
    for topic in wanted:
        if there := found.get(topic.name):
            yield from _size_faults(topic, there, settings)
            yield from _config_faults(topic, there, found)


def _size_faults(topic: WantedTopic, there: FoundTopic, settings: Settings) -> Iterator[Fault]:
    if there.without_leader:
        yield Fault(
            f"{topic.name} has {there.without_leader} partitions without a leader: check that all"
            " brokers are up"
        )
    is_source = topic.source is None and not topic.is_kept
    if is_source and there.partitions < settings.topic_partitions:
        yield Fault(
            f"{topic.name} has {there.partitions} partitions, TOPIC_PARTITIONS is"
            f" {settings.topic_partitions}: set it to {there.partitions}; or add some, then"
            f" `{remedies.run(ACCEPT_PARTITIONS)}`"
        )
    if there.replicas < settings.topic_replication_factor:
        yield Fault(
            f"{topic.name} has {there.replicas} replicas, TOPIC_REPLICATION_FACTOR is"
            f" {settings.topic_replication_factor}: reassign its partitions, or set it to"
            f" {there.replicas}"
        )


def _config_faults(
    topic: WantedTopic, there: FoundTopic, found: Mapping[str, FoundTopic]
) -> Iterator[Fault]:
    policy = there.config.get("cleanup.policy", "delete")
    source = found.get(topic.source or "", FoundTopic(0))
    # A broker that does not report a limit has none per topic.
    limit, of_source = there.config.get(LIMIT), source.config.get(LIMIT)
    needed = roomier_limit(int(of_source or 0))
    if limit and of_source and int(limit) < needed:
        yield Fault(
            f"{topic.name} takes messages of up to {limit} bytes, but those of {topic.source} need"
            f" {needed} with their headers: `make up` raises `{LIMIT}`",
            by_itself=True,
        )
    if topic.is_kept:
        differing = {
            key: there.config[key]
            for key, value in KEEP_FOREVER.items()
            if there.config.get(key, value) != value
        }
        if differing:
            shown = ", ".join(f"{key}={value}" for key, value in differing.items())
            right = ",".join(f"{key}={KEEP_FOREVER[key]}" for key in differing)
            yield Fault(
                f"{topic.name} may lose messages ({shown}): {_configure(topic.name, right)}"
            )
    elif "compact" in policy:
        yield Fault(
            f"{topic.name} drops older messages of a key (cleanup.policy={policy}):"
            f" {_configure(topic.name, 'cleanup.policy=delete')}"
        )


def _configure(topic: str, right: str) -> str:
    """How to set a topic's options with the tools that come with the broker."""
    rpk = f"rpk topic alter-config {topic} --set {right.replace(',', ' --set ')}"
    kafka = f"kafka-configs.sh --alter --entity-type topics --entity-name {topic}"
    return f"set {right} on it, by `{rpk}` or `{kafka} --add-config {right}`"
