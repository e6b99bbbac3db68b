"""Kafka: one node in KRaft mode, or one of several, broker and controller in one process."""

from __future__ import annotations

import uuid
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from errors import StackError
from local_stack.node import ALONE, Node
from local_stack.ports import loopback_port
from local_stack.service import Service
from runtime.files import write_whole
from runtime.jars import class_path
from runtime.java import LATE_OPTIMISATION, Java
from runtime.versions import pinned
from settings import Settings

PROBE_TIMEOUT_SECONDS: Final = 2

# message.max.bytes stays at Kafka's default (1 MiB): it is only the topics' default, and a
# dead-letter topic sets its own larger max.message.bytes. Nothing ages out: Kafka goes by the
# messages' timestamps, so old ones could be gone before a job reads them. `make reset TOPICS=1`
# frees space.
SERVER_PROPERTIES: Final = """process.roles=broker,controller
node.id={number}
controller.quorum.voters={voters}
listeners=PLAINTEXT://{host}:{client},CONTROLLER://{host}:{controller}
advertised.listeners=PLAINTEXT://{host}:{client}
controller.listener.names=CONTROLLER
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs=log
log.retention.ms=-1
auto.create.topics.enable=false
num.partitions=3
default.replication.factor={copies}
min.insync.replicas={confirming}
offsets.topic.replication.factor={copies}
transaction.state.log.replication.factor={copies}
transaction.state.log.min.isr={confirming}
group.initial.rebalance.delay.ms=0
"""

LOG4J_PROPERTIES: Final = """log4j.rootLogger=WARN, stdout
log4j.logger.kafka.server.KafkaRaftServer=INFO
log4j.appender.stdout=org.apache.log4j.ConsoleAppender
log4j.appender.stdout.layout=org.apache.log4j.PatternLayout
log4j.appender.stdout.layout.ConversionPattern=%d{ISO8601} %p %m (%c)%n
"""


class Kafka(Service):
    """The broker of the embedded stack."""

    name = "kafka"
    port_setting = "KAFKA_BOOTSTRAP_SERVERS"
    inner_ports = ("controller",)
    inner_port_settings = MappingProxyType({"controller": "KAFKA_CONTROLLER_PORT"})

    def __init__(self, settings: Settings, java: Java | None = None, node: Node = ALONE) -> None:
        super().__init__(settings, node)
        self.java = java

    @property
    def port(self) -> int:
        """The clients' port."""
        servers = self.settings.kafka_bootstrap_servers
        return loopback_port(servers, self.port_setting, self.node.host)

    @property
    def version(self) -> str:
        """Name and version."""
        return f"Apache Kafka {pinned('jars', 'kafka')[0].rpartition(':')[2]}"

    def prepare(self, ports: Mapping[str, int]) -> None:
        """Write the configuration; format the data folder once.

        Paths in it are relative to the data folder, in which the broker runs, because the broker
        splits paths at commas and removes backslashes.
        """
        write_whole(self._config("server.properties"), self._properties(ports))
        write_whole(self._config("log4j.properties"), LOG4J_PROPERTIES)
        if not (self.data_path / "log" / "meta.properties").exists():
            self._format()

    def command(self) -> list[str]:
        """The command that stays in the foreground."""
        options = (*self.node.heap("256m", "512m"), *LATE_OPTIMISATION)
        return self._java(*options, "kafka.Kafka", self._config("server.properties"))

    def is_ready(self) -> bool:
        """Whether the broker lists its topics and knows a controller."""
        # Log level 0: while the broker starts, refused connections are expected.
        options = self.settings.kafka_client_options() | {"log_level": "0"}
        client = AdminClient({**options, "error_cb": lambda error: None})
        try:
            return bool(client.list_topics(timeout=PROBE_TIMEOUT_SECONDS).controller_id >= 0)
        except KafkaException:
            return False

    def _properties(self, ports: Mapping[str, int]) -> str:
        controllers = enumerate(self.node.addresses(ports["controller"]), 1)
        return SERVER_PROPERTIES.format(
            number=self.node.number,
            host=self.node.host,
            voters=",".join(f"{number}@{address}" for number, address in controllers),
            copies=self.node.copies,
            confirming=min(self.node.copies, 2),
            **ports,
        )

    def _format(self) -> None:
        cluster_id = self.node.cluster_id or new_cluster_id()
        arguments = ("format", "--cluster-id", cluster_id, "--ignore-formatted", "--config")
        self.run_to_its_end(
            self._java("kafka.tools.StorageTool", *arguments, self._config("server.properties")),
            f"or remove the folder `{self.data_path}`, which deletes every topic and message, and"
            " run the command again.",
        )

    def _java(self, *arguments: str | Path) -> list[str]:
        if self.java is None:
            raise StackError("kafka cannot start without Java; `up` finds one first.")
        log_config = f"-Dlog4j.configuration={self._config('log4j.properties').as_uri()}"
        scratch = self._config("tmp")
        scratch.mkdir(parents=True, exist_ok=True)
        command = [str(self.java.executable), *self.java.options, log_config]
        command.append(f"-Djava.io.tmpdir={scratch}")
        return [*command, "-cp", class_path(self.settings, "kafka"), *map(str, arguments)]

    def _config(self, name: str) -> Path:
        return self.data_path / name


def new_cluster_id() -> str:
    """A random cluster id: 22 characters of URL-safe base64 that do not begin with a dash.

    One random id in 64 begins with a dash, and the format command would take it for an option. Like
    Kafka's `Uuid.randomUuid`, this draws such an id again.
    """
    while True:
        cluster_id = urlsafe_b64encode(uuid.uuid4().bytes).rstrip(b"=").decode()
        if not cluster_id.startswith("-"):
            return cluster_id
