"""A broker in a process of its own, made of the client library's mock cluster: it can be frozen.

It makes topics when they are first used, and loses everything when it ends.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import psutil

PROGRAM: Final = """
import logging, time
from confluent_kafka import Producer
mute = logging.getLogger("mock")
mute.addHandler(logging.NullHandler())
broker = Producer({"bootstrap.servers": "x", "test.mock.num.brokers": 1}, logger=mute)
broker.list_topics("t", timeout=20)
(found,) = broker.list_topics(timeout=20).brokers.values()
print(f"{found.host}:{found.port}", flush=True)
time.sleep(300)
"""


class MockBroker:
    """A running broker with the topic `t`."""

    def __init__(self, process: subprocess.Popen[str], address: str) -> None:
        self._process, self.address = process, address

    def freeze(self) -> None:
        """Let it accept connections and answer nothing."""
        self._process.send_signal(signal.SIGSTOP)
        # Until then it may still answer.
        stopped = psutil.Process(self._process.pid)
        while stopped.status() != psutil.STATUS_STOPPED:
            time.sleep(0.001)

    def thaw(self) -> None:
        """Let it go on."""
        self._process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait()


@contextmanager
def mock_broker() -> Iterator[MockBroker]:
    """Run a broker while the block runs."""
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            yield MockBroker(process, process.stdout.readline().strip())
        finally:
            process.kill()
