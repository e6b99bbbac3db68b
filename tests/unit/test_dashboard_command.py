"""`millrace dashboard` as a program: its address, its answers without any service, its end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from settings import ENV_FILE_VARIABLE, PROJECT_ROOT
from tests.conftest import free_ports


def start(folder: Path) -> subprocess.Popen[str]:
    kafka, cassandra, mongodb, port = free_ports(4)
    environment = os.environ | {
        ENV_FILE_VARIABLE: os.devnull,
        "MILLRACE_HOME": str(folder / "home"),
        "KAFKA_BOOTSTRAP_SERVERS": f"127.0.0.1:{kafka}",
        "CASSANDRA_PORT": str(cassandra),
        "MONGO_URI": f"mongodb://127.0.0.1:{mongodb}",
        "DASHBOARD_PORT": str(port),
    }
    return subprocess.Popen(
        [sys.executable, "-m", "operations.cli", "dashboard"],
        cwd=PROJECT_ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["ctrl-c", "term"])
def test_it_prints_its_address_answers_and_ends_cleanly(
    number: signal.Signals, tmp_path: Path
) -> None:
    process = start(tmp_path)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        address = line.split()[1].rstrip(".")
        assert line == f"dashboard: {address}. Ctrl-C ends it.\n"
        with urllib.request.urlopen(address, timeout=20) as answer:  # noqa: S310 - loopback
            assert b"<title>Overview" in answer.read()
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(f"{address}/healthz", timeout=30)  # noqa: S310 - loopback
        assert caught.value.code == 503
        assert b'"kafka","cassandra","mongodb"' in caught.value.read()
        process.send_signal(number)
        out, err = process.communicate(timeout=20)
    finally:
        process.kill()
    assert (out, err) == ("dashboard: ended\n", "")
    assert process.returncode == 0


def test_idle_it_costs_next_to_nothing(tmp_path: Path) -> None:
    process = start(tmp_path)
    try:
        assert process.stdout is not None
        address = process.stdout.readline().split()[1].rstrip(".")
        with urllib.request.urlopen(address, timeout=20) as answer:  # noqa: S310 - loopback
            assert answer.status == 200
        time.sleep(4)
        before = _processor_seconds(process.pid)
        time.sleep(10)
        spent = _processor_seconds(process.pid) - before
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=20)
    finally:
        process.kill()

    # Two percent of a core.
    assert spent <= 0.2


def _processor_seconds(pid: int) -> float:
    words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")
