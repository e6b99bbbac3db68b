"""Rings of stores on three loopback addresses: three Cassandra nodes, three brokers, MongoDB.

PostgreSQL stays one, and so does SecantusDB where there is no `mongod` for a replica set.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager

from local_stack.cassandra import Cassandra
from local_stack.kafka import Kafka, new_cluster_id
from local_stack.mongodb import MongoDB
from local_stack.node import Node
from local_stack.postgres import Postgres
from local_stack.service import Service
from runtime.java import Java
from runtime.processes import kill_family
from settings import Settings
from spark_jobs.sources.broker import kafka_admin
from tests.cluster.replica_set import start_replica_set
from tests.support.processes import wait_for

HOSTS = ("127.0.0.1", "127.0.0.2", "127.0.0.3")
CASSANDRA_HEAP_MEGABYTES, BROKER_HEAP_MEGABYTES = 512, 256
END_SECONDS, STOP_SECONDS = 30, 15

Report = Callable[[str], object]


class Nodes:
    """All servers, each with a folder of its own below the cluster's."""

    def __init__(self, settings: Settings, java: Java) -> None:
        """Prepare; `settings` name all nodes, at one port for each kind."""
        cluster_id, numbers = new_cluster_id(), range(1, len(HOSTS) + 1)
        self.settings = settings
        self.cassandra = [
            Cassandra(_own(settings, n), java, Node(n, HOSTS, CASSANDRA_HEAP_MEGABYTES))
            for n in numbers
        ]
        self.brokers = [
            Kafka(_own(settings, n), java, Node(n, HOSTS, BROKER_HEAP_MEGABYTES, cluster_id))
            for n in numbers
        ]
        self.mongodb = [MongoDB(settings)]
        if is_replica_set(settings):
            self.mongodb = [MongoDB(_own(settings, n), Node(n, HOSTS)) for n in numbers]
        self.postgres = Postgres(settings, lambda text: None)

    @property
    def all(self) -> list[Service]:
        return [*self.cassandra, *self.brokers, *self.mongodb, self.postgres]

    def start(self, report: Report) -> None:
        """Start all; Cassandra's nodes one after the other, as a new ring wants."""
        for service in (*self.brokers, *self.mongodb, self.postgres):
            service.start()
        for service in self.cassandra:
            service.start()
            service.wait_ready()
            report(f"{name_of(service)} is up at {service.address}")
        if len(self.mongodb) > 1:
            start_replica_set([service.address for service in self.mongodb])
        for service in (*self.brokers, *self.mongodb, self.postgres):
            service.wait_ready()
            report(f"{name_of(service)} is up at {service.address}")

    def stop(self) -> None:
        """End all at once; the last brokers wait for others in vain, and are killed."""
        for service in self.all:
            service.stop_timeout_seconds = STOP_SECONDS
        with ThreadPoolExecutor(len(self.all)) as pool:
            list(pool.map(lambda service: service.stop(), self.all))


@contextmanager
def killed(*services: Service) -> Iterator[None]:
    """Servers are away, by `kill -9`, within the block; after it they answer again."""
    for service in services:
        kill(service)
    with ExitStack() as back:
        for service in services:
            back.callback(service.wait_ready)
        for service in services:
            back.callback(service.start)
        yield


def kill(service: Service) -> None:
    process = service.process()
    assert process is not None, f"{name_of(service)} was not running. {service.log_excerpt()}"
    kill_family(process)
    wait_for(lambda: service.process() is None, END_SECONDS, f"end of {name_of(service)}")


def replace_disk(broker: Kafka) -> None:
    """Kill a broker and start it with an empty data folder."""
    kill(broker)
    shutil.rmtree(broker.data_path)
    broker.start()
    broker.wait_ready()


def bytes_on(broker: Kafka) -> int:
    """Bytes of messages on a broker's disk, without those that Kafka keeps for itself."""
    logs = (broker.data_path / "log").glob("[!_]*-[0-9]*/*.log")
    return sum(path.stat().st_size for path in logs)


def are_in_sync(settings: Settings) -> bool:
    """Whether every partition has a copy on each broker, and all of them are in sync."""
    topics = kafka_admin(settings).list_topics(timeout=10).topics.values()
    partitions = [each for topic in topics for each in topic.partitions.values()]
    return bool(partitions) and all(len(each.isrs) == len(HOSTS) for each in partitions)


def name_of(service: Service) -> str:
    """Such as `cassandra 2`; without a number where there is only one."""
    return service.name if service.node.is_alone else f"{service.name} {service.node.number}"


def is_replica_set(settings: Settings) -> bool:
    return "replicaSet=" in settings.mongo_uri.get_secret_value()


def _own(settings: Settings, number: int) -> Settings:
    """A node's settings: its address alone, and its folder."""
    host = HOSTS[number - 1]
    kafka_port = settings.kafka_bootstrap_servers.rpartition(":")[2]
    uri = settings.mongo_uri.get_secret_value()
    changes = {
        "millrace_home": settings.millrace_home / f"node-{number}",
        "kafka_bootstrap_servers": f"{host}:{kafka_port}",
        "cassandra_contact_points": host,
    }
    if is_replica_set(settings):
        port = uri.partition("?")[0].rstrip("/").rpartition(":")[2]
        address = f"mongodb://{host}:{port}/?directConnection=true"
        changes["mongo_uri"] = type(settings.mongo_uri)(address)
    return settings.model_copy(update=changes)
