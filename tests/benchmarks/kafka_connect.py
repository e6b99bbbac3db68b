"""A PEER in `make bench`: Kafka Connect standalone. Not part of Millrace.

One worker, a process with the heap of a job, which lasts as long as the benchmark's session: both
are warm when they are measured. Its sink is `TicketsSink.java`, compiled as Millrace compiles its
own classes. Each run is a connector and so a consumer group of its own.
"""

from __future__ import annotations

import os
import subprocess
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests
from confluent_kafka import (
    ConsumerGroupState,
    ConsumerGroupTopicPartitions,
    KafkaException,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient
from pyspark.sql import SparkSession

from errors import MillraceError
from local_stack.ports import LOOPBACK, free_port_near
from producers.processes import end_with_parent
from runtime.jars import class_path, folder
from runtime.java import Java
from runtime.surroundings import service_environment
from settings import Settings
from spark_jobs.session.jvm_classes import compile_sources

SOURCE = Path(__file__).with_name("TicketsSink.java")
CONNECTOR_CLASS = "peer.TicketsSink"
# Lets Connect find the sink without a search through all jars.
MANIFEST = "META-INF/services/org.apache.kafka.connect.sink.SinkConnector"
REST_PORT = 8083
START_SECONDS, RUN_SECONDS, REQUEST_SECONDS = 120, 1800, 60
POLL_SECONDS, LOOK_SECONDS = 0.05, 2.0
# Rows of an unlogged batch, and batches of a task that wait for Cassandra: those of three tasks are
# as many as the plain consumer has. Of 48, some timed out where other work held the processors.
BATCH_ROWS, BATCHES_IN_FLIGHT = 20, 5
CAUSE = "Caused by: "
LOG4J = """log4j.rootLogger=WARN, stdout
log4j.appender.stdout=org.apache.log4j.ConsoleAppender
log4j.appender.stdout.layout=org.apache.log4j.PatternLayout
log4j.appender.stdout.layout.ConversionPattern=%d{ISO8601} %p %m (%c)%n
"""


class ConnectError(MillraceError):
    """The worker or a task failed, so its time is meaningless."""


def worker_properties(servers: str, port: int, place: Path) -> dict[str, str]:
    """The worker's configuration: JSON without schemas, and large reads."""
    return {
        "bootstrap.servers": servers,
        "listeners": f"http://{LOOPBACK}:{port}",
        "offset.storage.file.filename": str(place / "offsets"),
        "plugin.discovery": "service_load",
        "key.converter": "org.apache.kafka.connect.converters.ByteArrayConverter",
        "value.converter": "org.apache.kafka.connect.json.JsonConverter",
        "value.converter.schemas.enable": "false",
        # As many messages at once as the plain Python consumer takes.
        "consumer.max.poll.records": "10000",
        "consumer.max.partition.fetch.bytes": str(4 * 1024 * 1024),
        # Offsets after nearly every read: by default a minute would pass before the end is seen.
        # The answer to a commit arrives with the next read, after a write that may take long.
        "offset.flush.interval.ms": "200",
        "offset.flush.timeout.ms": "60000",
        # The tasks start one after the other: the earlier ones hear of the later ones sooner.
        "consumer.heartbeat.interval.ms": "200",
    }


def connector_config(
    settings: Settings, topic: str, partitions: int, keyspace: str, database: str
) -> dict[str, str]:
    """The connector's configuration: a task for each partition; what is no JSON is skipped."""
    return {
        "connector.class": CONNECTOR_CLASS,
        "tasks.max": str(partitions),
        "topics": topic,
        "errors.tolerance": "all",
        "cassandra.host": settings.cassandra_contact_points.partition(",")[0],
        "cassandra.port": str(settings.cassandra_port),
        "cassandra.datacenter": settings.cassandra_local_datacenter,
        "cassandra.consistency": settings.cassandra_consistency,
        "cassandra.keyspace": keyspace,
        "mongo.uri": settings.mongo_uri.get_secret_value(),
        "mongo.database": database,
        "batch.rows": str(BATCH_ROWS),
        "batches.in.flight": str(BATCHES_IN_FLIGHT),
    }


def properties_text(properties: Mapping[str, str]) -> str:
    """A file of properties as Java reads it."""
    return "".join(f"{name}={value}\n" for name, value in properties.items())


@dataclass(frozen=True)
class Worker:
    """A running worker."""

    settings: Settings
    address: str
    process: subprocess.Popen[bytes]
    log_path: Path

    def run(
        self,
        topic: str,
        ends: Mapping[int, int],
        keyspace: str,
        database: str,
    ) -> float:
        """Process the topic to the given end of each partition; returns messages per second.

        Counted from the moment when each task has its partition, less what they had done by then:
        starting tasks takes a peer seconds once, and then runs for months.
        """
        name = f"tickets-{time.monotonic_ns()}"
        group = f"connect-{name}"
        config = connector_config(self.settings, topic, len(ends), keyspace, database)
        admin = AdminClient(self.settings.kafka_client_options())
        self._ask("POST", "/connectors", {"name": name, "config": config})
        try:
            self._wait(name, START_SECONDS, lambda: is_assigned(admin, group, len(ends)))
            before = sum(committed(admin, group, topic, ends).values())
            started = time.monotonic()
            self._wait(
                name, RUN_SECONDS, lambda: reached(committed(admin, group, topic, ends), ends)
            )
            return (sum(ends.values()) - before) / (time.monotonic() - started)
        finally:
            self._ask("DELETE", f"/connectors/{name}")

    def _wait(self, name: str, seconds: float, is_done: Callable[[], bool]) -> None:
        deadline = time.monotonic() + seconds
        looked = time.monotonic()
        while not is_done():
            if time.monotonic() > looked + LOOK_SECONDS:
                looked = time.monotonic()
                refuse_failed(self._ask("GET", f"/connectors/{name}/status"), self.log_path)
            if time.monotonic() > deadline:
                raise ConnectError(
                    f"Kafka Connect was not done after {seconds:g} s. See {self.log_path}."
                )
            time.sleep(POLL_SECONDS)

    def _ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        try:
            answer = requests.request(
                method, self.address + path, json=body, timeout=REQUEST_SECONDS
            )
            answer.raise_for_status()
        except requests.RequestException as error:
            raise ConnectError(
                f"Kafka Connect did not do {method} {path}: {type(error).__name__}."
                f" See {self.log_path}."
            ) from error
        return answer.json() if answer.content else None

    def wait_until_ready(self) -> None:
        """Wait until the worker answers.

        Raises:
            ConnectError: it ended or does not answer.
        """
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                requests.get(f"{self.address}/connectors", timeout=1).raise_for_status()
                return
            except requests.RequestException:
                time.sleep(POLL_SECONDS)
        raise ConnectError(f"Kafka Connect did not start. See {self.log_path}.")


@contextmanager
def running_worker(settings: Settings, spark: SparkSession, java: Java) -> Iterator[Worker]:
    """A worker that ends with the block, and with this process."""
    place = settings.millrace_home / "connect"
    place.mkdir(parents=True, exist_ok=True)
    sink, properties, log4j = place / "sink.jar", place / "worker.properties", place / "log4j"
    compile_sink(spark, folder(settings, "connect"), sink)
    port = free_port_near(REST_PORT, None, ())
    properties.write_text(
        properties_text(worker_properties(settings.kafka_bootstrap_servers, port, place))
    )
    log4j.write_text(LOG4J)
    # The whole heap from the start, as a job has it.
    heap = settings.spark_driver_memory
    command = [str(java.executable), *java.options, f"-Xms{heap}", f"-Xmx{heap}"]
    command += [f"-Dlog4j.configuration={log4j.as_uri()}"]
    command += ["-cp", f"{class_path(settings, 'connect')}:{sink}"]
    command += ["org.apache.kafka.connect.cli.ConnectStandalone", str(properties)]
    log_path = settings.millrace_home / "logs" / "connect.log"
    log_path.parent.mkdir(parents=True, exist_ok=True)
    with log_path.open("wb") as log:
        process = subprocess.Popen(
            command,
            cwd=place,
            env=service_environment(os.environ),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=end_with_parent,
        )
    worker = Worker(settings, f"http://{LOOPBACK}:{port}", process, log_path)
    try:
        worker.wait_until_ready()
        yield worker
    finally:
        process.kill()
        process.wait()


def compile_sink(spark: SparkSession, jars: Path, sink: Path) -> None:
    """Compile the sink against Connect's jars, apart from Spark's."""
    jvm: Any = spark._jvm  # noqa: SLF001 - PySpark has no public API
    paths = sorted(jars.glob("*.jar"))
    gateway: Any = spark.sparkContext._gateway  # noqa: SLF001 - PySpark has no public API
    urls = gateway.new_array(jvm.java.net.URL, len(paths))
    for number, path in enumerate(paths):
        urls[number] = jvm.java.io.File(str(path)).toURI().toURL()
    loader = jvm.java.net.URLClassLoader(urls, jvm.java.lang.ClassLoader.getPlatformClassLoader())
    compile_sources(jvm, loader, [SOURCE], sink)
    loader.close()
    with zipfile.ZipFile(sink, "a") as archive:
        archive.writestr(MANIFEST, f"{CONNECTOR_CLASS}\n")


def is_assigned(admin: AdminClient, group: str, tasks: int) -> bool:
    """Whether every task of the group has its partition."""
    try:
        found = admin.describe_consumer_groups([group])[group].result()
    except KafkaException:
        return False  # it has not been made yet
    assigned = [member for member in found.members if member.assignment.topic_partitions]
    return found.state == ConsumerGroupState.STABLE and len(assigned) == tasks


def committed(
    admin: AdminClient, group: str, topic: str, ends: Mapping[int, int]
) -> dict[int, int]:
    """The group's committed offset of each partition; 0 without one."""
    asked = [TopicPartition(topic, partition) for partition in ends]
    request = ConsumerGroupTopicPartitions(group, asked)
    found = admin.list_consumer_group_offsets([request])[group].result()
    return {each.partition: max(each.offset, 0) for each in found.topic_partitions}


def reached(offsets: Mapping[int, int], ends: Mapping[int, int]) -> bool:
    """Whether each partition was processed to its end."""
    return all(offsets.get(partition, 0) >= end for partition, end in ends.items())


def refuse_failed(status: Mapping[str, Any], log_path: Path) -> None:
    """Refuse a connector of which something failed.

    Raises:
        ConnectError: with the innermost cause.
    """
    for part in (status["connector"], *status["tasks"]):
        if part["state"] == "FAILED":
            # The first line says only that the task ends.
            lines = str(part.get("trace", "")).splitlines() or ["no reason given"]
            causes = [line for line in lines if line.startswith(CAUSE)]
            reason = [lines[0], *causes][-1].removeprefix(CAUSE)
            raise ConnectError(f"A part of Kafka Connect failed: {reason}. See {log_path}.")
