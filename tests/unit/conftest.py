"""Fixtures of this tier; none needs a service that runs."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from settings import Settings, load_settings
from tests.conftest import free_ports
from tests.support.container_settings import loaded
from tests.support.csv_files import send
from tests.support.stand_ins import Sleeper

if TYPE_CHECKING:
    from starlette.testclient import TestClient

    from tests.support.dashboard_source import HandMade

__all__ = ["client", "listener", "loaded", "send", "settings", "sleeper", "source"]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """With a state folder and a port that no other test has."""
    (port,) = free_ports(1)
    return load_settings(
        {"millrace_home": tmp_path / "home", "cassandra_port": port}, tmp_path / "no.env"
    )


@pytest.fixture
def sleeper(settings: Settings) -> Iterator[Sleeper]:
    service = Sleeper(settings)
    yield service
    service.stop()


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        yield server


# Of a dashboard over hand-made data; other tests need not load it.
@pytest.fixture
def source() -> HandMade:
    from tests.support.dashboard_source import HandMade

    return HandMade()


@pytest.fixture
def client(source: HandMade) -> Iterator[TestClient]:
    from starlette.testclient import TestClient

    from dashboard.app import build_app
    from tests.support.dashboard_source import ADDRESS

    with TestClient(build_app(source), base_url=ADDRESS) as found:
        yield found
