"""A MongoDB that needs a login: what is said to one who has none, or a wrong one."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pymongo
import pytest
from pymongo.errors import PyMongoError

from errors import SinkRejected
from operations.doctor.check import Check, Status, run_checks
from operations.doctor.store_checks import look_at_mongodb
from settings import Settings, load_settings
from spark_jobs.sinks.mongodb import check_mongodb, connect_mongodb
from tests.conftest import free_ports

USER, PASSWORD = "reader", "a-secret-of-tests"


def start(folder: Path, port: int, *options: str) -> subprocess.Popen[bytes]:
    config = folder / "empty.toml"
    config.write_text("")
    command = [str(Path(sys.executable).with_name("secantusd-py")), "--config", str(config)]
    command += ["--host", "127.0.0.1", "--port", str(port), "--storage-path", str(folder / "data")]
    process = subprocess.Popen(
        [*command, *options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 30
    with pymongo.MongoClient(port=port, serverSelectionTimeoutMS=500) as client:
        while True:
            try:
                client.admin.command("ping")
                return process
            except PyMongoError:
                assert process.poll() is None
                assert time.monotonic() < deadline


def end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    process.wait(30)


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of a server that needs a login, and knows one user."""
    folder = tmp_path_factory.mktemp("mongodb")
    (port,) = free_ports(1)
    process = start(folder, port)
    with pymongo.MongoClient(port=port) as client:
        roles = [{"role": "readWrite", "db": "millrace"}]
        client.admin.command("createUser", USER, pwd=PASSWORD, roles=roles)
    end(process)
    process = start(folder, port, "--auth")
    yield port
    end(process)


def settings_with(uri: str) -> Settings:
    return load_settings({"mongo_uri": uri}, Path("no.env"))


@pytest.mark.parametrize("login", ["", f"{USER}:wrong@"])
def test_missing_or_wrong_login_is_reported_before_anything_is_done(port: int, login: str) -> None:
    settings = settings_with(f"mongodb://{login}127.0.0.1:{port}")

    with connect_mongodb(settings) as client, pytest.raises(SinkRejected) as caught:
        check_mongodb(client, settings)

    assert "needs a login" in str(caught.value)
    assert "`MONGO_URI`" in str(caught.value)
    assert "wrong" not in str(caught.value)


def test_doctor_reports_a_wrong_login_and_missing_rights(port: int) -> None:
    wrong = settings_with(f"mongodb://{USER}:wrong-password@127.0.0.1:{port}")
    right = settings_with(f"mongodb://{USER}:{PASSWORD}@127.0.0.1:{port}")
    checks = [Check(("mongodb", "collections"), look_at_mongodb)]

    refused, unseen = run_checks(checks, wrong.model_copy(update={"stack": "external"}))
    taken, _ = run_checks(checks, right.model_copy(update={"stack": "external"}))

    assert "needs a login" in refused.text
    assert "wrong-password" not in refused.text
    assert unseen.status is Status.NOT_YET
    assert taken.status is Status.OK


def test_right_login_passes(port: int) -> None:
    settings = settings_with(f"mongodb://{USER}:{PASSWORD}@127.0.0.1:{port}")

    with connect_mongodb(settings) as client:
        check_mongodb(client, settings)
