"""STACK=docker: the same services as containers, through Docker Compose."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from typing import Final

from pymongo import uri_parser

from local_stack.ports import loopback_port
from settings import PROJECT_ROOT, Settings, StackError

COMPOSE_FILE: Final = PROJECT_ROOT / "docker" / "compose.yaml"

Report = Callable[[str], object]


def up(settings: Settings, report: Report = print) -> None:
    """Start the containers and wait until their health checks pass.

    Raises:
        StackError: no Docker engine, or a container did not become healthy.
    """
    report("docker: starting the containers of docker/compose.yaml")
    _compose(settings, "up", "-d", "--wait")
    report("docker: kafka, cassandra, mongodb and the console are up")


def down(settings: Settings, report: Report = print) -> None:
    """Stop the containers; their volumes stay.

    Raises:
        StackError: no Docker engine, or Compose failed.
    """
    _compose(settings, "down")
    report("docker: the containers are stopped; their volumes are kept")


def _compose(settings: Settings, *arguments: str) -> None:
    docker = shutil.which("docker")
    if docker is None:
        raise StackError(_no_docker("there is no `docker` command on PATH"))
    if not _succeeds(docker, "compose", "version"):
        raise StackError(_no_docker("`docker compose` (the Compose plug-in, v2) is not installed"))
    if not _succeeds(docker, "info"):
        raise StackError(_no_docker("no Docker engine answers `docker info`"))
    command = [docker, "compose", "-f", str(COMPOSE_FILE), *arguments]
    # Compose shows its own progress on the terminal.
    outcome = subprocess.run(command, env=os.environ | compose_ports(settings), check=False)
    if outcome.returncode:
        raise StackError(
            f"`docker compose {arguments[0]}` ended with {outcome.returncode}; its messages are"
            " above, the services' own in `docker compose -f docker/compose.yaml logs`."
        )


def compose_ports(settings: Settings) -> dict[str, str]:
    """Published ports for compose.yaml, from the same settings that clients use."""
    kafka = loopback_port(settings.kafka_bootstrap_servers, "KAFKA_BOOTSTRAP_SERVERS")
    host, port = settings.cassandra_contact_points, settings.cassandra_port
    cassandra = loopback_port(f"{host}:{port}", "CASSANDRA_CONTACT_POINTS")
    nodes = uri_parser.parse_uri(settings.mongo_uri.get_secret_value())["nodelist"]
    mongo = loopback_port(",".join(f"{host}:{port}" for host, port in nodes), "MONGO_URI")
    return {
        "KAFKA_PORT": str(kafka),
        "CASSANDRA_PORT": str(cassandra),
        "MONGO_PORT": str(mongo),
    }


def _succeeds(*command: str) -> bool:
    try:
        return not subprocess.run(command, capture_output=True, timeout=60, check=False).returncode
    except (OSError, subprocess.TimeoutExpired):
        return False


def _no_docker(reason: str) -> str:
    return (
        f"STACK=docker cannot be used: {reason}."
        " Install or start Docker with its Compose plug-in,"
        " or set STACK=embedded, which needs neither."
    )
