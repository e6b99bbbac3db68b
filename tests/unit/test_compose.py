"""`STACK=docker`, with a `docker` that only records what it is asked."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from errors import StackError
from local_stack import compose
from local_stack.secret_files import make_secret_files
from local_stack.stack import down, up
from operations import cli
from operations.doctor.machine_checks import look_at_docker
from settings import ENV_FILE_VARIABLE, PROJECT_ROOT, SECRETS_VARIABLE, load_settings


def fake_docker(folder: Path, *working: str) -> Path:
    """A `docker` in its own folder: commands that begin with one of `working` succeed, others fail.

    It writes its arguments and the ports in its environment to a file in that folder.
    """
    folder.mkdir()
    cases = "".join(f'  "{beginning}"*) exit 0 ;;\n' for beginning in working)
    docker = folder / "docker"
    docker.write_text(
        f'#!/bin/sh\necho "$* $KAFKA_PORT $POSTGRES_PORT" >> "{folder}/calls"\n'
        'echo "a container starts" >&2\n'
        f'case "$*" in\n{cases}  *) exit 1 ;;\nesac\n'
    )
    docker.chmod(0o755)
    return folder


@pytest.mark.parametrize(
    ("working", "reason"),
    [
        pytest.param(None, "there is no `docker` command on PATH", id="nothing"),
        pytest.param([], "the Compose plug-in, v2) is not installed", id="client"),
        pytest.param(["compose version"], "no Docker engine answers", id="client-and-compose"),
    ],
)
@pytest.mark.parametrize("command", ["up", "down"])
def test_missing_docker_is_reported_with_the_choices_and_exit_code_2(
    command: str,
    working: list[str] | None,
    reason: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = "" if working is None else str(fake_docker(tmp_path / "bin", *working))
    monkeypatch.setenv("PATH", path)
    monkeypatch.setenv("STACK", "docker")
    monkeypatch.setenv(ENV_FILE_VARIABLE, os.devnull)

    code = cli.main([command])

    printed = capsys.readouterr()
    assert code == 2
    assert printed.out == ""
    assert reason in printed.err
    for choice in ("install or start Docker", "STACK=embedded: ", "STACK=external: "):
        assert f"  - {choice}" in printed.err
    (line,) = look_at_docker(load_settings())
    assert line.status == "fix"
    assert reason in line.text


def test_docker_starts_the_services_that_settings_ask_for_and_stops_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = fake_docker(tmp_path / "bin", "compose", "info")
    monkeypatch.setenv("PATH", str(folder))
    plain = load_settings({"stack": "docker", "kafka_bootstrap_servers": "127.0.0.1:19092"})
    with_postgres = plain.model_copy(update={"sinks": ("mongodb", "postgres")})

    said: list[str] = []
    for settings in (plain, with_postgres):
        up(settings, said.append)
    down(plain, lambda line: None)

    file = PROJECT_ROOT / "docker" / "compose.yaml"
    calls = (folder / "calls").read_text().splitlines()
    assert [call.removeprefix(f"compose -f {file} ") for call in calls if str(file) in call] == [
        "up --detach --wait kafka console cassandra mongodb 19092 ",
        "up --detach --wait kafka console cassandra mongodb postgres 19092 5432",
        "--profile * down 19092 ",
    ]
    # What Compose says passes through, so that it disturbs no line that renews itself.
    assert said[:3] == [
        "docker: docker compose up --detach --wait kafka console cassandra mongodb",
        "docker: a container starts",
        "docker: kafka, console, cassandra, mongodb are up",
    ]


def test_containers_that_do_not_become_healthy_are_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(fake_docker(tmp_path / "bin", "compose version", "info")))

    with pytest.raises(StackError, match="`docker compose` ended with 1") as caught:
        up(load_settings({"stack": "docker"}), lambda line: None)
    assert caught.value.exit_code == 1


def test_compose_publishes_the_ports_of_the_settings() -> None:
    settings = load_settings(
        {
            "kafka_bootstrap_servers": "localhost:19092",
            "cassandra_port": 19042,
            "mongo_uri": "mongodb://localhost:28017",
        }
    )

    assert compose.compose_variables(settings) == {
        "KAFKA_PORT": "19092",
        "CASSANDRA_PORT": "19042",
        "MONGO_PORT": "28017",
        "SECRETS_FOLDER": str(settings.millrace_home / "secrets"),
    }


def test_secret_files_are_made_once_and_hold_what_was_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = load_settings(
        {
            "millrace_home": tmp_path,
            "pii_hash_key": "my own key",
            "postgres_dsn": "postgresql://me@127.0.0.1:15432/mine",
        }
    )
    lines: list[str] = []

    make_secret_files(settings, lines.append)
    folder = tmp_path / "secrets"
    first = {path: path.read_text() for path in folder.rglob("*") if path.is_file()}
    make_secret_files(settings, lines.append)

    assert first[folder / "pii_hash_key"] == "my own key\n"
    assert {path: path.read_text() for path in first} == first
    report = "\n".join(lines)
    assert (report.count(": created"), report.count(": exists already")) == (6, 6)
    assert not [text for text in first.values() if text.strip() in report]
    monkeypatch.setenv(SECRETS_VARIABLE, str(folder))
    here = load_settings(env_file=tmp_path / "no.env")
    assert here.postgres_address == "127.0.0.1:15432/millrace"
