"""Ports of the embedded stack: which are taken, and which are chosen."""

from __future__ import annotations

import os
import socket

import pytest

from errors import StackError
from local_stack.kafka import Kafka
from local_stack.mongodb import MongoDB
from local_stack.ports import ensure_free, free_port_near, loopback_port
from local_stack.stack import up
from settings import Settings, load_settings
from tests.conftest import free_ports


def test_taken_port_is_named_with_its_holder_and_its_setting(listener: socket.socket) -> None:
    port = listener.getsockname()[1]

    with pytest.raises(StackError) as caught:
        ensure_free("kafka", port, "KAFKA_BOOTSTRAP_SERVERS")

    assert f"127.0.0.1:{port}: process {os.getpid()} (" in str(caught.value)
    assert "set KAFKA_BOOTSTRAP_SERVERS to another port" in str(caught.value)


def test_taken_ports_are_all_named_before_anything_is_fetched(
    listener: socket.socket, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("local_stack.stack.find_java", lambda *_: pytest.fail("looked for Java"))
    taken, (free,) = listener.getsockname()[1], free_ports(1)
    own = settings.model_copy(
        update={
            "kafka_bootstrap_servers": f"127.0.0.1:{free}",
            "kafka_controller_port": taken,
            "cassandra_port": taken,
        }
    )

    with pytest.raises(StackError) as caught:
        up(own, lambda line: None)

    message = str(caught.value)
    for service, setting in (("kafka", "KAFKA_CONTROLLER_PORT"), ("cassandra", "CASSANDRA_PORT")):
        assert f"{taken} of {service} is taken by process {os.getpid()} (" in message
        assert f"set {setting} to another port" in message
    assert message.endswith("Nothing was started.")


@pytest.mark.parametrize("given", [None, 25_002])
def test_second_port_is_the_one_set_and_never_one_that_another_setting_takes(
    given: int | None, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("local_stack.ports.is_free", lambda port: True)
    # Ten thousand beyond Kafka's, where its second port would be.
    own = settings.model_copy(
        update={"cassandra_port": 19092, "kafka_controller_port": given, "sinks": ("files",)}
    )

    chosen = Kafka(own)._choose_inner_ports()  # noqa: SLF001 - what `start` asks for

    assert chosen["controller"] == given if given else chosen["controller"] not in {9092, 19092}


def test_inner_port_follows_the_clients_port(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("local_stack.ports.is_free", lambda port: True)

    assert free_port_near(9092, None, {9092}) == 19092
    assert free_port_near(60000, None, {60000}) == 50000
    assert free_port_near(9092, 25000, {9092}) == 25000


def test_inner_port_avoids_what_is_taken(listener: socket.socket) -> None:
    taken = listener.getsockname()[1]

    port = free_port_near(taken - 10_000, taken, {taken - 10_000})

    assert port != taken
    ensure_free("kafka", port, "KAFKA_BOOTSTRAP_SERVERS")


@pytest.mark.parametrize("server", ["broker.example:9092", "127.0.0.1:9092,127.0.0.1:9093", "x"])
def test_server_elsewhere_is_refused_by_the_embedded_stack(server: str) -> None:
    with pytest.raises(StackError, match="STACK=external"):
        loopback_port(server, "KAFKA_BOOTSTRAP_SERVERS")


def test_port_of_mongodb_comes_from_its_address(settings: Settings) -> None:
    moved = load_settings({"mongo_uri": "mongodb://localhost:27999/?retryWrites=false"})

    assert MongoDB(settings).port == 27017
    assert MongoDB(moved).port == 27999
