"""STACK=docker: the same services as containers, through Docker Compose."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from typing import Final

from pymongo import uri_parser

from errors import EngineMissing, StackError
from local_stack.ports import loopback_port
from local_stack.secret_files import secrets_folder
from settings import PROJECT_ROOT, Settings

COMPOSE_FILE: Final = PROJECT_ROOT / "docker" / "compose.yaml"
# The services that `up` starts for programs on this machine. Spark, producers and jobs run as
# containers by profile; see docs/deployment.md.
SERVICES: Final = ("kafka", "console", "cassandra", "mongodb")
PROBE_SECONDS: Final = 60.0

Report = Callable[[str], object]


def up(settings: Settings, report: Report = print) -> None:
    """Start the containers and wait until their health checks pass.

    Raises:
        EngineMissing: no Docker, no Compose or no engine.
        StackError: a container did not become healthy, or a setting names another machine.
    """
    wanted = [*SERVICES, *(["postgres"] if settings.starts("postgres") else [])]
    _compose(settings, "up", "--detach", "--wait", *wanted, report=report)
    report(f"docker: {', '.join(wanted)} are up")


def down(settings: Settings, report: Report = print) -> None:
    """Stop the containers of all profiles; their volumes stay.

    Raises:
        EngineMissing: no Docker, no Compose or no engine.
        StackError: Compose failed.
    """
    _compose(settings, "--profile", "*", "down", report=report)
    report("docker: the containers are stopped; their volumes are kept")


def _compose(settings: Settings, *arguments: str, report: Report) -> None:
    check_engine()
    command = ["docker", "compose", "-f", str(COMPOSE_FILE), *arguments]
    environment = os.environ | compose_variables(settings)
    report(f"docker: docker compose {' '.join(arguments)}")
    # Line by line: on a terminal it would move the cursor, as this command does too.
    with subprocess.Popen(
        command,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    ) as process:
        for line in process.stdout or ():
            report(f"docker: {line.rstrip()}")
    if process.returncode:
        raise StackError(
            f"`docker compose` ended with {process.returncode}; its messages are above, the"
            " services' own in `docker compose -f docker/compose.yaml logs`."
        )


def check_engine() -> None:
    """Check that Compose can be used here.

    Raises:
        EngineMissing: no Docker, no Compose or no engine; lists the choices.
    """
    if reason := what_is_missing():
        raise EngineMissing(_no_docker(reason))


def what_is_missing(seconds: float = PROBE_SECONDS) -> str | None:
    """Why Compose cannot be used on this machine; None if it can."""
    docker = shutil.which("docker")
    if docker is None:
        return "there is no `docker` command on PATH"
    if not _succeeds(docker, "compose", "version", seconds=seconds):
        return "`docker compose` (the Compose plug-in, v2) is not installed"
    if not _succeeds(docker, "info", seconds=seconds):
        return "no Docker engine answers `docker info`"
    return None


def compose_variables(settings: Settings) -> dict[str, str]:
    """Variables of compose.yaml: published ports, from the same settings that clients use."""
    kafka = loopback_port(settings.kafka_bootstrap_servers, "KAFKA_BOOTSTRAP_SERVERS")
    host, port = settings.cassandra_contact_points, settings.cassandra_port
    cassandra = loopback_port(f"{host}:{port}", "CASSANDRA_CONTACT_POINTS")
    nodes = uri_parser.parse_uri(settings.mongo_uri.get_secret_value())["nodelist"]
    mongo = loopback_port(",".join(f"{host}:{port}" for host, port in nodes), "MONGO_URI")
    variables = {
        "KAFKA_PORT": str(kafka),
        "CASSANDRA_PORT": str(cassandra),
        "MONGO_PORT": str(mongo),
        "SECRETS_FOLDER": str(secrets_folder(settings.millrace_home)),
    }
    if settings.starts("postgres"):
        address = settings.postgres_address.partition("/")[0]
        variables["POSTGRES_PORT"] = str(loopback_port(address, "POSTGRES_DSN"))
    return variables


def _succeeds(*command: str, seconds: float) -> bool:
    try:
        outcome = subprocess.run(command, capture_output=True, timeout=seconds, check=False)
        return outcome.returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def _no_docker(reason: str) -> str:
    return (
        f"STACK=docker cannot be used: {reason}. Choices:\n"
        "  - install or start Docker with its Compose plug-in (https://docs.docker.com/engine),"
        " then run the command again\n"
        "  - STACK=embedded: the same services as processes on this machine, without Docker or"
        " root\n"
        "  - STACK=external: services that run elsewhere, at the addresses in the settings"
    )
