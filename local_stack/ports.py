"""Ports of the embedded stack: whether one is free, what holds it, which inner ports to use."""

from __future__ import annotations

import socket
from collections.abc import Collection
from typing import Final

import psutil

from errors import StackError
from local_stack.orphans import MARK

LOOPBACK: Final = "127.0.0.1"
LOOPBACK_NAMES: Final = frozenset({"127.0.0.1", "localhost"})
# Far enough from the clients' ports, which people set next to each other, and below the range from
# which most systems take the ports of outgoing connections.
INNER_PORT_DISTANCE: Final = 10_000
HIGHEST_PORT: Final = 65535


def is_free(port: int, host: str = LOOPBACK) -> bool:
    """Whether a server could listen on the port of a loopback address."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As servers do: connections in TIME_WAIT do not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
        return True


def ensure_free(service: str, port: int, setting: str, host: str = LOOPBACK) -> None:
    """Refuse a port that something else listens on.

    Raises:
        StackError: names the port, its holder if known, and the setting to change.
    """
    if not is_free(port, host):
        raise StackError(
            f"{service} cannot listen on {host}:{port}: {holder(port)} holds that port."
            f" Stop it, or set {setting} to another port."
        )


def holder(port: int) -> str:
    """The process that listens on a port, as far as this user may see it."""
    try:
        for connection in psutil.net_connections("tcp"):
            listens = connection.status == psutil.CONN_LISTEN
            if listens and connection.pid and tuple(connection.laddr)[1:] == (port,):
                process = psutil.Process(connection.pid)
                return f"process {process.pid} ({process.name()}){_whose(process)}"
    except psutil.Error:
        pass
    return "another process"


def _whose(process: psutil.Process) -> str:
    """The data folder, if it is a server of another checkout or state folder."""
    try:
        folder = process.environ().get(MARK, "").partition(":")[2]
    except psutil.Error:
        return ""
    return f" on `{folder}`" if folder else ""


def free_port_near(client_port: int, remembered: int | None, taken: Collection[int]) -> int:
    """A port for inner use: the one that the service had, one at a fixed distance, or any."""
    derived = client_port + INNER_PORT_DISTANCE
    if derived > HIGHEST_PORT:
        derived = client_port - INNER_PORT_DISTANCE
    for port in (remembered, derived):
        if port and port not in taken and is_free(port):
            return port
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind((LOOPBACK, 0))
        port = int(probe.getsockname()[1])
    return port if port not in taken else free_port_near(client_port, None, taken)


def loopback_port(server: str, setting: str, own_host: str = LOOPBACK) -> int:
    """Port of the one loopback `host:port` that an embedded service can listen on.

    `own_host` is the service's address, if it is one of several.

    Raises:
        StackError: the setting names another machine, or several servers.
    """
    host, _, port = server.rpartition(":")
    if host not in {*LOOPBACK_NAMES, own_host} or not port.isdecimal():
        raise StackError(
            f"{setting} names `{server}`, but STACK=embedded and STACK=docker start one server of"
            f" each kind, on {LOOPBACK}. Set STACK=external to use servers elsewhere, or remove"
            f" {setting}."
        )
    return int(port)
