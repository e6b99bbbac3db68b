"""Addresses of services as `make doctor` tries them."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from pathlib import Path

import pytest

from local_stack.stack import services
from operations.doctor.check import Fault
from operations.doctor.endpoints import Endpoint, absence, away_faults
from operations.doctor.machine_checks import (
    port_faults,
)
from settings import load_settings

NO_FILE = Path("no.env")


def texts(faults: Sequence[Fault]) -> list[str]:
    return [fault.text for fault in faults]


@pytest.mark.parametrize(
    ("stack", "remedy", "by_itself"),
    [
        ("external", "start it, or correct KAFKA_BOOTSTRAP_SERVERS", False),
        ("docker", "`STACK=docker make up` starts it", True),
    ],
)
def test_endpoint_at_which_nothing_listens_is_named_with_the_fix(
    stack: str, remedy: str, by_itself: bool
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        endpoint = Endpoint("kafka", "KAFKA_BOOTSTRAP_SERVERS", (("127.0.0.1", port),))
        settings = load_settings({"stack": stack}, NO_FILE)
        assert absence(endpoint, settings) is None

    fault = absence(endpoint, settings)

    assert fault is not None
    assert f"cannot connect to 127.0.0.1:{port} (connection refused)" in fault.text
    assert remedy in fault.text
    assert fault.by_itself is by_itself


def test_member_that_is_away_is_named_and_the_others_are_counted() -> None:
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as b:
        ports = [one.getsockname()[1], b.getsockname()[1]]
        members = [("127.0.0.1", port) for port in ports]
        assert away_faults(members, "node") == []
        b.close()

        faults = away_faults(members, "node")

    assert texts(faults) == [
        f"a node is away: cannot connect to 127.0.0.1:{ports[1]} (connection refused): start it;"
        " 1 of 2 answer"
    ]
    assert not faults[0].by_itself


def test_port_that_another_program_has_is_named_with_its_holder(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        settings = load_settings({"cassandra_port": port, "millrace_home": tmp_path}, NO_FILE)
        cassandra = [each for each in services(settings) if each.name == "cassandra"]

        (fault,) = port_faults(cassandra)

    assert fault.text.startswith(f"{port} of cassandra is taken by process ")
    assert "set CASSANDRA_PORT to another port" in fault.text
