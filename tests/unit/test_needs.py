"""Which services a command asks for before it starts."""

from __future__ import annotations

import socket

import pytest
from pydantic import SecretStr

from errors import MillraceError
from operations.needs import require_services
from operations.options import build_parser
from settings import Settings
from tests.conftest import free_ports


@pytest.fixture
def without_postgres(listener: socket.socket) -> Settings:
    """Kafka and MongoDB answer; PostgreSQL, which is a sink, does not."""
    (away,) = free_ports(1)
    host, port = listener.getsockname()
    return Settings(
        _env_file=None,
        stack="external",
        sinks="mongodb,postgres",
        kafka_bootstrap_servers=f"{host}:{port}",
        mongo_uri=SecretStr(f"mongodb://{host}:{port}"),
        postgres_dsn=SecretStr(f"postgresql://me@127.0.0.1:{away}/x"),
    )


def test_reset_asks_for_every_sink(without_postgres: Settings) -> None:
    options = build_parser().parse_args(["reset", "--pipeline", "tickets"])

    with pytest.raises(MillraceError, match=r"Not up, so nothing was done:\n  - postgres: .*"):
        require_services(without_postgres, options)


def test_reset_does_not_ask_for_a_sink_that_it_leaves(without_postgres: Settings) -> None:
    options = build_parser().parse_args(["reset", "--pipeline", "tickets", "--leave", "postgres"])

    require_services(without_postgres, options)
