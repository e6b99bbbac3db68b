"""What a job leaves running when its Spark has stopped: nothing."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import psutil
import pytest

from runtime.processes import EXECUTOR
from spark_jobs.session import stopping
from tests.support.processes import wait_for

# It ends on no signal that can be ignored.
DEAF = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("ready", flush=True)
time.sleep(600)
"""
# A JVM with two children: the second one is no executor.
JVM = f"""
import subprocess, sys, time
for name in ({EXECUTOR!r}, "another"):
    child = subprocess.Popen([sys.executable, "-c", {DEAF!r}, name], stdout=subprocess.PIPE)
    child.stdout.readline()
    print(child.pid, flush=True)
time.sleep(600)
"""


@pytest.fixture
def jvm(monkeypatch: pytest.MonkeyPatch) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen([sys.executable, "-c", JVM], stdout=subprocess.PIPE, text=True)
    monkeypatch.setattr(stopping, "jvm_process", lambda: process)
    monkeypatch.setattr(stopping, "_stop", lambda spark: None)
    monkeypatch.setattr(stopping, "EXECUTOR_END_SECONDS", 0.2)
    yield process
    for child in psutil.Process(process.pid).children():
        child.kill()
    process.kill()
    process.communicate()


def test_executor_that_does_not_end_with_spark_is_killed_and_nothing_else(jvm: Any) -> None:
    executor, other = (psutil.Process(int(jvm.stdout.readline())) for _ in range(2))

    stopping.stop_spark(None)  # type: ignore[arg-type]

    # Its parent does not ask for how it ended.
    wait_for(lambda: executor.status() == psutil.STATUS_ZOMBIE, 10, "the executor's end")
    assert other.status() != psutil.STATUS_ZOMBIE
    assert jvm.poll() is None
