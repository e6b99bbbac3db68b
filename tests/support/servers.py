"""Servers on a socket that answer whatever is asked, or accept connections and stay silent."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress


class Server:
    """Answers every request with one byte, unless it is frozen."""

    def __init__(self, listening: socket.socket) -> None:
        self.port = int(listening.getsockname()[1])
        self._listening = listening
        self._thawed = threading.Event()
        self._thawed.set()
        threading.Thread(target=self._accept, daemon=True).start()

    def freeze(self) -> None:
        """Go on taking connections, and answer nothing."""
        self._thawed.clear()

    def thaw(self) -> None:
        """Answer again, also what was asked meanwhile."""
        self._thawed.set()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                peer, _ = self._listening.accept()
                threading.Thread(target=self._answer, args=(peer,), daemon=True).start()

    def _answer(self, peer: socket.socket) -> None:
        with suppress(OSError), peer:
            while peer.recv(100):
                self._thawed.wait(60)
                peer.sendall(b"x")


@contextmanager
def server() -> Iterator[Server]:
    """A server on a free port of the loopback address."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield Server(listening)
        # Closing alone would let the thread take one more connection.
        listening.shutdown(socket.SHUT_RDWR)
