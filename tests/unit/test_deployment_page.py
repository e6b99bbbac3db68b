"""docs/deployment.md: every command, variable and test that it names exists."""

from __future__ import annotations

import re
import shlex

import pytest

from settings import PROJECT_ROOT
from tests.support.container_settings import PORTS, SERVICES
from tests.support.containers import DOCKERFILE


def test_commands_of_the_deployment_page_exist() -> None:
    page = (PROJECT_ROOT / "docs" / "deployment.md").read_text()
    blocks = "\n".join(re.findall(r"```sh\n(.*?)```", page, re.DOTALL))
    targets = re.findall(r"^([a-z0-9-]+):.*## ", (PROJECT_ROOT / "Makefile").read_text(), re.M)
    profiles = {p for s in SERVICES.values() for p in s.get("profiles", [])}
    beginning = "docker compose -f docker/compose.yaml "
    composed = [line for line in blocks.splitlines() if line.startswith(beginning)]

    assert set(re.findall(r"^(?:[A-Z_]+=\S+ )*make ([a-z-]+)", blocks, re.M)) <= set(targets)
    assert len(composed) >= 5
    for line in composed:
        words = shlex.split(line.removeprefix(beginning))
        named = {words[n + 1] for n, word in enumerate(words) if word == "--profile"}
        assert named <= profiles | {"*"}
        known = {word.partition(":")[0] for word in words} & set(SERVICES)
        assert known or named
    cells = set(re.findall(r"^\| (`[a-z`, ]+`) \|", page, re.M))
    assert {name for cell in cells for name in re.findall(r"`([a-z0-9]+)`", cell)} >= profiles - {
        "s3"
    }
    assert PORTS <= set(re.findall(r"`([A-Z0-9_]+)`", page))


@pytest.mark.parametrize("name", ["deployment.md", "kubernetes.md"])
def test_every_test_that_a_page_of_deployment_names_exists(name: str) -> None:
    page = (PROJECT_ROOT / "docs" / name).read_text()
    tests = "\n".join(path.read_text() for path in (PROJECT_ROOT / "tests").rglob("test_*.py"))

    named = set(re.findall(r"`(test_\w+)`", page))
    assert len(named) >= 2
    assert named <= set(re.findall(r"^def (test_\w+)", tests, re.MULTILINE))


@pytest.mark.parametrize("path", ["docs/deployment.md", "docker/images/millrace/Dockerfile"])
def test_an_image_built_by_hand_has_the_time_of_the_dockerfile(path: str) -> None:
    (default,) = re.findall(r"^ARG SOURCE_DATE_EPOCH=(\d+)$", DOCKERFILE.read_text(), re.MULTILINE)

    commands = re.findall(r"docker build [^`\n]+", (PROJECT_ROOT / path).read_text())
    assert len(commands) == 1
    assert f"--build-arg SOURCE_DATE_EPOCH={default} " in commands[0]
