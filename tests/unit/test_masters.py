"""Masters that do not answer are named within seconds, before Spark tries them for minutes."""

from __future__ import annotations

import os
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from errors import JobError
from operations import cli
from settings import Settings
from spark_jobs.session.masters import refuse_unreachable, unreachable
from tests.conftest import free_ports

Answer = Callable[[socket.socket], None]
NOT_FOUND = b"Stream '/files/none' was not found."


def as_spark(peer: socket.socket) -> None:
    """As Spark 3.5 does: the failure of the stream that was asked for."""
    asked = peer.recv(1000)
    length, kind, size = struct.unpack(">QBI", asked[:13])
    assert (length, kind, asked[13:]) == (len(asked), 6, asked[-size:])
    body = struct.pack(">I", size) + asked[13:] + struct.pack(">I", len(NOT_FOUND)) + NOT_FOUND
    frame = struct.pack(">QB", 9 + len(body), 8) + body
    peer.sendall(frame[:5])
    peer.sendall(frame[5:])
    assert peer.recv(1) == b""


def as_a_web_server(peer: socket.socket) -> None:
    peer.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")


def at_once_gone(peer: socket.socket) -> None:
    pass


@contextmanager
def listening(answer: Answer) -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            try:
                peer, _ = server.accept()
            except OSError:
                return
            with peer:
                answer(peer)

        thread = threading.Thread(target=serve)
        thread.start()
        yield server.getsockname()[1]
        thread.join(10)


def settings(master: str, **others: Path) -> Settings:
    return Settings(_env_file=None, spark_master=master, **others)


def test_master_that_answers_is_taken() -> None:
    with listening(as_spark) as port:
        assert unreachable(settings(f"spark://127.0.0.1:{port}")) == []


@pytest.mark.parametrize("answer", [as_a_web_server, at_once_gone])
def test_other_server_on_the_port_is_no_master(answer: Answer) -> None:
    with listening(answer) as port:
        (reason,) = unreachable(settings(f"spark://127.0.0.1:{port}"))

    assert "is not a Spark master" in reason or "cannot connect" in reason


def test_one_of_several_masters_is_enough() -> None:
    (free,) = free_ports(1)
    with listening(as_spark) as port:
        master = f"spark://127.0.0.1:{free},127.0.0.1:{port}"
        assert unreachable(settings(master)) == []


def test_all_masters_that_are_away_are_named_once() -> None:
    one, two = free_ports(2)
    with pytest.raises(JobError) as refused:
        refuse_unreachable(settings(f"spark://127.0.0.1:{one},127.0.0.1:{two}"))

    assert str(refused.value) == (
        f"No Spark master at `spark://127.0.0.1:{one},127.0.0.1:{two}`: cannot connect to"
        f" 127.0.0.1:{one} (connection refused); cannot connect to 127.0.0.1:{two} (connection"
        " refused). Start the master, or set another one with `--master` or SPARK_MASTER. Nothing"
        " was started."
    )


@pytest.mark.parametrize("server", ["host", "host:", "host:x", ":7077", "host:0", "host:99999"])
def test_invalid_address_is_named(server: str) -> None:
    with pytest.raises(JobError, match=f"`{server}` is not the address of a Spark master"):
        unreachable(settings(f"spark://{server}"))


@pytest.mark.parametrize("master", ["local[*]", "local-cluster[2,1,1024]", "k8s://https://a:1"])
def test_masters_without_an_address_here_are_not_asked(master: str) -> None:
    assert unreachable(settings(master)) == []


def yarn_site(folder: Path, options: dict[str, str]) -> Path:
    rows = "".join(
        f"<property><name>yarn.resourcemanager.{name}</name><value>{value}</value></property>"
        for name, value in options.items()
    )
    (folder / "yarn-site.xml").write_text(f"<configuration>{rows}</configuration>")
    return folder


def test_resource_manager_that_is_away_is_named(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    folder = yarn_site(tmp_path, {"address": f"127.0.0.1:{port}"})

    with pytest.raises(JobError, match=r"(?s)No Spark master at `yarn`.*Start YARN's Resource"):
        refuse_unreachable(settings("yarn", hadoop_conf_dir=folder))


def test_every_resource_manager_of_a_highly_available_yarn_is_tried(tmp_path: Path) -> None:
    (free,) = free_ports(1)
    addresses = {"address.rm1": f"127.0.0.1:{free}", "hostname.rm2": "nowhere.invalid"}
    folder = yarn_site(tmp_path, {"ha.rm-ids": "rm1, rm2", **addresses})

    assert unreachable(settings("yarn", hadoop_conf_dir=folder)) == [
        f"cannot connect to 127.0.0.1:{free} (connection refused)",
        "`nowhere.invalid` is not a known host name",
    ]


def test_yarn_whose_address_only_hadoop_knows_is_not_asked(tmp_path: Path) -> None:
    folder = yarn_site(tmp_path, {"hostname": "${env.RM_HOST}"})

    assert unreachable(settings("yarn", hadoop_conf_dir=folder)) == []


def test_broken_configuration_of_yarn_is_named(tmp_path: Path) -> None:
    (tmp_path / "yarn-site.xml").write_text("<configuration>")

    with pytest.raises(JobError, match=r"yarn-site.xml` cannot be read \(ParseError\)"):
        unreachable(settings("yarn", hadoop_conf_dir=tmp_path))


def test_submit_to_an_absent_master_ends_with_one_message(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("MILLRACE_ENV_FILE", os.devnull)
    monkeypatch.setenv("MILLRACE_HOME", str(tmp_path / "home"))
    (port,) = free_ports(1)

    code = cli.main(["submit", "tickets", "--master", f"spark://127.0.0.1:{port}"])

    assert code == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"No Spark master at `spark://127.0.0.1:{port}`")
