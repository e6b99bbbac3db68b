"""Servers that belong to a cluster: their addresses, configuration and memory."""

from __future__ import annotations

import socket
from itertools import pairwise
from pathlib import Path

import pytest
import yaml

from errors import StackError
from local_stack.cassandra import Cassandra
from local_stack.kafka import Kafka
from local_stack.mongodb import MongoDB
from local_stack.node import ALONE, Node
from runtime.java import LATE_OPTIMISATION, Java
from settings import Settings

HOSTS = ("127.0.0.1", "127.0.0.2", "127.0.0.3")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    (tmp_path / "jars").mkdir()
    return Settings(
        _env_file=None,
        millrace_home=tmp_path,
        jars_path=tmp_path / "jars",
        kafka_bootstrap_servers="127.0.0.2:9092",
        cassandra_contact_points="127.0.0.2",
    )


@pytest.fixture
def java(tmp_path: Path) -> Java:
    return Java(tmp_path / "jdk", tmp_path / "jdk" / "bin" / "java", 17)


def properties_of(broker: Kafka) -> dict[str, str]:
    meta = broker.data_path / "log" / "meta.properties"
    meta.parent.mkdir(parents=True)
    meta.write_text("")
    broker.prepare({"client": 9092, "controller": 19092})
    lines = (broker.data_path / "server.properties").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines)


def test_broker_of_three_knows_the_others_and_keeps_three_copies(
    settings: Settings, java: Java
) -> None:
    broker = Kafka(settings, java, Node(2, HOSTS, 256, "of-all"))

    found = properties_of(broker)

    assert broker.address == "127.0.0.2:9092"
    assert found["node.id"] == "2"
    assert found["controller.quorum.voters"] == (
        "1@127.0.0.1:19092,2@127.0.0.2:19092,3@127.0.0.3:19092"
    )
    assert found["listeners"] == "PLAINTEXT://127.0.0.2:9092,CONTROLLER://127.0.0.2:19092"
    assert found["advertised.listeners"] == "PLAINTEXT://127.0.0.2:9092"
    assert found["default.replication.factor"] == found["offsets.topic.replication.factor"] == "3"
    assert found["min.insync.replicas"] == "2"


def test_broker_alone_keeps_one_copy(settings: Settings, java: Java) -> None:
    found = properties_of(Kafka(settings, java))

    assert found["controller.quorum.voters"] == "1@127.0.0.1:19092"
    assert found["default.replication.factor"] == found["offsets.topic.replication.factor"] == "1"
    assert found["min.insync.replicas"] == "1"


@pytest.mark.parametrize(
    ("node", "seeds", "waits"),
    [
        (Node(2, HOSTS, 512), "127.0.0.1:7000,127.0.0.2:7000,127.0.0.3:7000", True),
        (ALONE, "127.0.0.1:7000", False),
    ],
    ids=["one of three", "alone"],
)
def test_cassandra_listens_on_its_address_and_waits_for_others_if_there_are_some(
    settings: Settings, java: Java, node: Node, seeds: str, waits: bool
) -> None:
    server = Cassandra(settings, java, node)

    server.prepare({"client": 9042, "storage": 7000})

    found = yaml.safe_load((server.data_path / "cassandra.yaml").read_text())
    assert found["listen_address"] == found["rpc_address"] == node.host
    assert found["seed_provider"][0]["parameters"] == [{"seeds": seeds}]
    options = (server.data_path / "java.options").read_text().splitlines()
    assert ('"-Dcassandra.skip_wait_for_gossip_to_settle=0"' not in options) is waits
    assert {f'"{option}"' for option in LATE_OPTIMISATION} <= {*options}


@pytest.mark.parametrize(
    ("node", "heap"),
    [(Node(1, HOSTS, 300), ("-Xms300m", "-Xmx300m")), (ALONE, ("-Xms256m", "-Xmx512m"))],
)
def test_heap_is_that_of_the_node(
    settings: Settings, java: Java, node: Node, heap: tuple[str, str]
) -> None:
    command = Kafka(settings, java, node).command()

    assert tuple(word for word in command if word.startswith("-Xm")) == heap
    assert {*LATE_OPTIMISATION} <= {*command}


@pytest.mark.parametrize(
    ("node", "host", "set_name"),
    [(Node(2, HOSTS), "127.0.0.2", ["millrace"]), (ALONE, "127.0.0.1", [])],
    ids=["one of three", "alone"],
)
def test_mongod_of_several_is_a_member_of_a_replica_set(
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    node: Node,
    host: str,
    set_name: list[str],
) -> None:
    monkeypatch.setattr("shutil.which", lambda name: f"/bin/{name}")
    address = type(settings.mongo_uri)(f"mongodb://{host}:27017")

    command = MongoDB(settings.model_copy(update={"mongo_uri": address}), node).command()

    assert command[command.index("--bind_ip") + 1] == host
    assert command[command.index("--port") + 1] == "27017"
    assert [b for a, b in pairwise(command) if a == "--replSet"] == set_name


def test_port_that_is_taken_on_another_loopback_address_is_no_hindrance(
    settings: Settings, java: Java
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.3", 0))
        taken.listen()
        port = taken.getsockname()[1]
        same = {"kafka_bootstrap_servers": f"127.0.0.3:{port}"}
        other = {"kafka_bootstrap_servers": f"127.0.0.2:{port}"}
        third = Kafka(settings.model_copy(update=same), java, Node(3, HOSTS))
        second = Kafka(settings.model_copy(update=other), java, Node(2, HOSTS))

        assert [text.partition(" of ")[0] for text in third.hindrances()] == [str(port)]
        assert second.hindrances() == []
        with pytest.raises(StackError, match=f"kafka cannot listen on 127.0.0.3:{port}"):
            third.start()


def test_address_of_another_node_is_refused(settings: Settings, java: Java) -> None:
    with pytest.raises(StackError, match="STACK=external"):
        _ = Kafka(settings, java, Node(3, HOSTS)).port
