"""Fixtures of this tier; none needs a service that runs."""

from __future__ import annotations

import os
import pwd
import socket
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
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

__all__ = ["client", "listener", "loaded", "locked_folder", "send", "settings", "sleeper", "source"]


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


@pytest.fixture
def locked_folder() -> Iterator[Path]:
    """A folder that the test cannot enter: for that time, root becomes someone else."""
    with TemporaryDirectory() as made:
        Path(made).chmod(0o755)
        folder = Path(made, "locked")
        folder.mkdir(0)
        is_root = os.geteuid() == 0
        if is_root:
            other = pwd.getpwnam("nobody").pw_uid
            os.setresuid(other, other, 0)
        yield folder
        if is_root:
            os.setresuid(0, 0, 0)
        folder.chmod(0o700)


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
