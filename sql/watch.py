"""Closes the connection to a database that does not answer.

A server that is stopped, or a network that drops everything after acknowledging it, would keep a
client waiting forever: libpq has no time-out for answers.
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

LOOK_SECONDS = 0.5


class Watch:
    """Shuts a connection's socket down if `alive` is not called for `patience_seconds`.

    Code that waits for an answer then fails as with any lost connection.
    """

    def __init__(self, descriptor: int, patience_seconds: float) -> None:
        self.patience_seconds = patience_seconds
        # A duplicate: once the connection is closed, its descriptor may belong to another file.
        self._socket = socket.socket(fileno=os.dup(descriptor))
        self._done = threading.Event()
        self._last = time.monotonic()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def alive(self) -> None:
        """Note that something was sent or received."""
        self._last = time.monotonic()

    def close(self) -> None:
        """End the watch; the connection stays."""
        self._done.set()
        self._thread.join()
        self._socket.close()

    def _look(self) -> None:
        while not self._done.wait(LOOK_SECONDS):
            if time.monotonic() - self._last > self.patience_seconds:
                with contextlib.suppress(OSError):
                    self._socket.shutdown(socket.SHUT_RDWR)
                return


@contextmanager
def watched(connection: Any, patience_seconds: float) -> Iterator[Watch]:
    """Watch a connection while the block runs."""
    watch = Watch(connection.fileno(), patience_seconds)
    try:
        yield watch
    finally:
        watch.close()
