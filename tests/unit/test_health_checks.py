"""Health checks of docker/compose.yaml: each runs a program that its image has."""

from __future__ import annotations

import shlex
from typing import Any

import pytest

from settings import PROJECT_ROOT
from tests.support.container_settings import SERVICES

DEBIAN = {"sh", "bash", "grep"}
# BusyBox, whose wget knows these options among others.
ALPINE = {"sh", "grep", "wget"}
WGET_OPTIONS = {"-q", "-O", "-T"}
# What each image is built on, by the last FROM of its Dockerfile, and what it adds. Slim Debian has
# no wget, Alpine no bash.
PROGRAMS = {
    "redpandadata/redpanda": DEBIAN | {"rpk"},
    "redpandadata/console": ALPINE,
    "cassandra": DEBIAN,  # eclipse-temurin: Ubuntu
    "mongo": DEBIAN,  # Ubuntu
    "postgres": DEBIAN | {"pg_isready"},
    "motoserver/moto": ALPINE,  # python:3.13-alpine
    "prom/prometheus": ALPINE,  # BusyBox alone
    "grafana/grafana": ALPINE,
    "millrace": DEBIAN | {path.name for path in (PROJECT_ROOT / "runtime/container").iterdir()},
}
CHECKED = {name: service for name, service in SERVICES.items() if "healthcheck" in service}


def programs(test: list[str]) -> list[list[str]]:
    """The command lines of a health check, those within a shell's text too."""
    kind, *words = test
    if kind == "CMD-SHELL":
        found: list[list[str]] = [[]]
        for word in shlex.shlex(words[0], posix=True, punctuation_chars=True):
            if set(word) <= set("|&;"):
                found.append([])
            else:
                found[-1].append(word)
        return [["sh"], *(line for line in found if line[0] != "exit")]
    assert kind == "CMD"
    return [words]


@pytest.mark.parametrize("name", CHECKED)
def test_health_check_runs_what_the_image_has(name: str) -> None:
    image = SERVICES[name]["image"].rpartition(":")[0]

    for program, *options in programs(CHECKED[name]["healthcheck"]["test"]):
        assert program in PROGRAMS[image]
        if program == "wget":
            assert {word for word in options if word.startswith("-")} <= WGET_OPTIONS


def test_ways_of_a_health_check_to_connect_belong_to_its_shell() -> None:
    """`/dev/tcp` is bash's own: `sh` of Debian and of Alpine would look for a file."""
    tests: dict[str, Any] = {n: s["healthcheck"]["test"] for n, s in CHECKED.items()}
    connecting = {name: test for name, test in tests.items() if "/dev/tcp" in test[-1]}

    assert set(connecting) == {"cassandra", "mongodb"}
    assert {test[1] for test in connecting.values()} == {"bash"}


def test_programs_within_a_shell_are_seen() -> None:
    seen = programs(["CMD-SHELL", "rpk cluster health | grep -E 'a|b' || exit 1"])

    assert [line[0] for line in seen] == ["sh", "rpk", "grep"]
