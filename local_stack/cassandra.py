"""Cassandra: one node, or one of a ring, on a single machine, with storage-attached indexes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

from cql import client as cql_client
from errors import StackError
from local_stack.node import ALONE, Node
from local_stack.ports import loopback_port
from local_stack.service import Service
from runtime.files import write_whole
from runtime.jars import class_path
from runtime.java import LATE_OPTIMISATION, Java
from runtime.versions import pinned
from settings import Settings

# Jobs wait until the log is synced (see spark_jobs/sinks/cassandra_log.py), so it is synced often;
# to wait with each write (`commitlog_sync: batch`) would halve the rows that it takes.
# Batches of several partitions are intended (see spark_jobs/sinks/cassandra.py); by default
# Cassandra would warn about nearly all of them. It still refuses those over 50 KiB.
CONFIGURATION: Final = """cluster_name: millrace
partitioner: org.apache.cassandra.dht.Murmur3Partitioner
num_tokens: 1
endpoint_snitch: SimpleSnitch
listen_address: {host}
rpc_address: {host}
native_transport_port: {client}
storage_port: {storage}
seed_provider:
  - class_name: org.apache.cassandra.locator.SimpleSeedProvider
    parameters:
      - seeds: "{seeds}"
data_file_directories: [{data}]
commitlog_directory: {commitlog}
saved_caches_directory: {saved_caches}
hints_directory: {hints}
cdc_raw_directory: {cdc_raw}
commitlog_sync: periodic
commitlog_sync_period: 20ms
auto_snapshot: false
batch_size_warn_threshold: 50KiB
unlogged_batch_across_partitions_warn_threshold: 10000
"""

# Java refuses to start with two collectors, and JAVA_TOOL_OPTIONS may name another one.
COLLECTOR: Final = (
    *("-XX:+IgnoreUnrecognizedVMOptions", "-XX:-UseG1GC", "-XX:-UseSerialGC", "-XX:-UseZGC"),
    *("-XX:-UseShenandoahGC", "-XX:+UseParallelGC"),
)
NO_WAIT_FOR_OTHERS: Final = (
    "-Dcassandra.skip_wait_for_gossip_to_settle=0",
    "-Dcassandra.ring_delay_ms=0",
)
FOLDERS: Final = ("data", "commitlog", "saved_caches", "hints", "cdc_raw")

LOGBACK: Final = r"""<configuration>
  <appender name="STDOUT" class="ch.qos.logback.core.ConsoleAppender">
    <encoder><pattern>%d{ISO8601} %-5level %msg \(%logger{0}\)%n</pattern></encoder>
  </appender>
  <root level="INFO"><appender-ref ref="STDOUT"/></root>
  <logger name="org.apache.cassandra" level="WARN"/>
  <logger name="org.apache.cassandra.transport.PipelineConfigurator" level="INFO"/>
  <logger name="org.apache.cassandra.service.StartupChecks" level="ERROR"/>
  <logger name="com.datastax" level="WARN"/>
  <logger name="io.netty" level="WARN"/>
</configuration>
"""

# What Cassandra 5.0 uses inside Java 17 (its own conf/jvm17-server.options).
EXPORTS: Final = (
    *("java.base/jdk.internal.misc", "java.base/jdk.internal.ref", "java.base/sun.nio.ch"),
    *("java.management.rmi/com.sun.jmx.remote.internal.rmi", "java.rmi/sun.rmi.registry"),
    *("java.rmi/sun.rmi.server", "java.sql/java.sql"),
)
OPENS: Final = (
    *("java.base/java.io", "java.base/java.lang", "java.base/java.lang.module"),
    *("java.base/java.nio", "java.base/java.util", "java.base/java.util.concurrent"),
    *("java.base/java.util.concurrent.atomic", "java.base/jdk.internal.loader"),
    *("java.base/jdk.internal.math", "java.base/jdk.internal.module"),
    *("java.base/jdk.internal.ref", "java.base/jdk.internal.reflect"),
    *("java.base/jdk.internal.util.jar", "java.base/sun.nio.ch"),
    "jdk.management/com.sun.management.internal",
)


class Cassandra(Service):
    """The record store of the embedded stack."""

    name = "cassandra"
    port_setting = "CASSANDRA_PORT"
    inner_ports = ("storage",)
    inner_port_settings = MappingProxyType({"storage": "CASSANDRA_STORAGE_PORT"})
    ready_timeout_seconds = 240
    stop_timeout_seconds = 60

    def __init__(self, settings: Settings, java: Java | None = None, node: Node = ALONE) -> None:
        super().__init__(settings, node)
        self.java = java

    @property
    def port(self) -> int:
        """The clients' port."""
        host, port = self.settings.cassandra_contact_points, self.settings.cassandra_port
        return loopback_port(f"{host}:{port}", "CASSANDRA_CONTACT_POINTS", self.node.host)

    @property
    def version(self) -> str:
        """Name and version."""
        return f"Apache Cassandra {pinned('jars', 'cassandra')[0].rpartition(':')[2]}"

    def prepare(self, ports: Mapping[str, int]) -> None:
        """Write the configuration."""
        # JSON strings are valid YAML.
        folders = {name: json.dumps(str(self._config(name))) for name in FOLDERS}
        # All are seeds, so none waits for the others before its first start.
        seeds = ",".join(self.node.addresses(ports["storage"]))
        values = {"host": self.node.host, "seeds": seeds, **folders, **ports}
        write_whole(self._config("cassandra.yaml"), CONFIGURATION.format(**values))
        write_whole(self._config("logback.xml"), LOGBACK)
        options = "\n".join(_quoted(option) for option in self._options())
        write_whole(self._config("java.options"), options + "\n")

    def command(self) -> list[str]:
        """The command that stays in the foreground."""
        if self.java is None:
            raise StackError("cassandra cannot start without Java; `up` finds one first.")
        return [str(self.java.executable), *self.java.options, f"@{self._config('java.options')}"]

    def is_ready(self) -> bool:
        """Whether the node answers a SELECT."""
        return cql_client.is_ready(self.settings)

    def _options(self) -> list[str]:
        return [
            # On one machine throughput counts: G1, made for short pauses with large heaps, takes a
            # quarter more processor time for the same writes.
            *(*self.node.heap("512m", "1g"), *COLLECTOR, *LATE_OPTIMISATION),
            *("-XX:+HeapDumpOnOutOfMemoryError", "-XX:+ExitOnOutOfMemoryError"),
            f"-XX:HeapDumpPath={self.data_path}",
            # JNA and Netty would otherwise unpack libraries into the system's temporary folder.
            f"-Djava.io.tmpdir={self._config('tmp', make=True)}",
            f"-Dcassandra.config={self._config('cassandra.yaml').as_uri()}",
            f"-Dcassandra.storagedir={self.data_path}",
            f"-Dlogback.configurationFile={self._config('logback.xml').as_uri()}",
            *("-Dcassandra-foreground=yes", "-Djdk.attach.allowAttachSelf=true"),
            *(NO_WAIT_FOR_OTHERS if self.node.is_alone else ()),
            *(f"--add-exports={package}=ALL-UNNAMED" for package in EXPORTS),
            *(f"--add-opens={package}=ALL-UNNAMED" for package in OPENS),
            *("-cp", class_path(self.settings, "cassandra")),
            "org.apache.cassandra.service.CassandraDaemon",
        ]

    def _config(self, name: str, make: bool = False) -> Path:
        path = self.data_path / name
        if make:
            path.mkdir(parents=True, exist_ok=True)
        return path


def _quoted(option: str) -> str:
    """An option quoted for a Java argument file, so that paths may have blanks."""
    return '"' + option.replace("\\", "\\\\").replace('"', '\\"') + '"'
