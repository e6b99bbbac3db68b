"""The stack without its services: which belong to it, and what each needs before it starts."""

from __future__ import annotations

from pathlib import Path
from uuid import UUID

import pytest

from errors import StackError
from local_stack.cassandra import Cassandra
from local_stack.kafka import Kafka, new_cluster_id
from local_stack.mongodb import MongoDB
from local_stack.stack import down, states, up
from settings import Settings, load_settings
from tests.conftest import free_ports
from tests.support.stand_ins import fake_java


def test_stack_without_mongod_and_stand_in_says_what_to_install_and_starts_nothing(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("local_stack.mongodb.shutil.which", lambda name: None)
    monkeypatch.setattr("local_stack.mongodb.installed_version", lambda name: None)
    monkeypatch.setattr("local_stack.mongodb.sys.executable", str(tmp_path / "python"))

    assert MongoDB(settings).state().version == "SecantusDB not installed (stand-in for mongod)"
    with pytest.raises(StackError, match=r"pip install -e '\.\[embedded\]'"):
        up(settings)
    assert not settings.jars.exists()
    assert [each.name for each in settings.millrace_home.iterdir()] == ["run"]


def test_services_elsewhere_are_those_that_sinks_need(monkeypatch: pytest.MonkeyPatch) -> None:
    for service in (Kafka, Cassandra, MongoDB):
        monkeypatch.setattr(service, "is_ready", lambda self: True)
    every = Settings(_env_file=None, stack="external", sinks="cassandra,mongodb,files")
    without = Settings(_env_file=None, stack="external", sinks="mongodb,files")

    assert [state.name for state in states(every)] == ["kafka", "cassandra", "mongodb"]
    assert [state.name for state in states(without)] == ["kafka", "mongodb"]


def test_external_stack_is_neither_started_nor_stopped(tmp_path: Path) -> None:
    settings = load_settings({"stack": "external", "millrace_home": tmp_path / "home"})
    lines: list[str] = []

    up(settings, lines.append)
    down(settings, lines.append)

    assert lines == ["STACK=external: Millrace neither starts nor stops these services"] * 2
    assert not (tmp_path / "home").exists()


def test_cluster_id_never_looks_like_an_option(monkeypatch: pytest.MonkeyPatch) -> None:
    """0xf8 is the first byte of an id that begins with a dash: `-AAA…`."""
    drawn = iter([UUID(bytes=b"\xf8" + bytes(15)), UUID(bytes=b"\x04" + bytes(15))])
    monkeypatch.setattr("local_stack.kafka.uuid.uuid4", lambda: next(drawn))

    assert new_cluster_id() == "BA" + 20 * "A"


def test_data_folder_that_kafka_cannot_prepare_is_named(settings: Settings, tmp_path: Path) -> None:
    (port,) = free_ports(1)
    own = settings.model_copy(update={"kafka_bootstrap_servers": f"127.0.0.1:{port}"})
    service = Kafka(own, fake_java(tmp_path, "17", "echo Invalid cluster.id; exit 1"))

    with pytest.raises(StackError) as caught:
        service.start()

    assert "Invalid cluster.id" in str(caught.value)
    assert f"remove the folder `{settings.millrace_home}/data/kafka`" in str(caught.value)
    assert "make reset" not in str(caught.value)
