"""Checks whether the Spark masters in the settings answer.

Spark itself retries a missing master for over a minute and floods the terminal meanwhile.
"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from errors import JobError
from runtime.reachable import Address, unreached
from settings import Settings
from spark_jobs.session.hadoop_conf import site_options

STANDALONE: Final = "spark://"
YARN_PORT: Final = 8032
# Spark's network protocol: a frame is its length (8 bytes), its type, then the type's content.
# The types are those of `org.apache.spark.network.protocol.Message.Type`.
STREAM_REQUEST, STREAM_FAILURE = 6, 8
MOST_BYTES: Final = 4096
NO_FILE: Final = b"/files/millrace-asks-who-is-there"
# For all addresses together.
LOOK_SECONDS: Final = 15.0
NO_MASTER: Final = "is not a Spark master"


def refuse_unreachable(settings: Settings) -> None:
    """Check that a master accepts connections; one of several is enough.

    Raises:
        JobError: none does; names each with the reason.
    """
    if reasons := unreachable(settings):
        remedy = (
            "Start YARN's ResourceManager, or correct HADOOP_CONF_DIR"
            if settings.spark_master == "yarn"
            else "Start the master, or set another one with `--master` or SPARK_MASTER"
        )
        raise JobError(
            f"No Spark master at `{settings.spark_master}`: {'; '.join(reasons)}. {remedy}."
            " Nothing was started."
        )


def unreachable(settings: Settings) -> list[str]:
    """Why each master of a standalone cluster or YARN cannot be reached; empty if one can."""
    addresses = list(_addresses(settings))
    if not addresses:
        return []
    is_standalone = settings.spark_master.startswith(STANDALONE)
    objection = _is_not_spark if is_standalone else lambda peer: None
    reasons = unreached(addresses, LOOK_SECONDS / len(addresses), objection)
    return reasons if len(reasons) == len(addresses) else []


def _is_not_spark(peer: socket.socket) -> str | None:
    """The objection if no Spark answers: asked for a missing file, it reports a failure."""
    name = struct.pack(">I", len(NO_FILE)) + NO_FILE
    peer.sendall(struct.pack(">QB", 9 + len(name), STREAM_REQUEST) + name)
    answer, length = b"", 9
    # To the end: the master would log an error for a connection closed with unread bytes.
    while len(answer) < length:
        part = peer.recv(MOST_BYTES)
        if not part:
            return NO_MASTER
        answer += part
        if len(answer) >= 9:
            length = min(int.from_bytes(answer[:8]), MOST_BYTES)
    return None if answer[8] == STREAM_FAILURE else NO_MASTER


def _addresses(settings: Settings) -> Iterator[Address]:
    """The masters' addresses; none for local masters, Kubernetes, and YARN's unresolved names."""
    master = settings.spark_master
    if master.startswith(STANDALONE):
        for server in master.removeprefix(STANDALONE).split(","):
            yield _split(server)
    elif master == "yarn":
        folder = settings.hadoop_conf_dir or os.environ.get("YARN_CONF_DIR")
        yield from _resource_managers(
            site_options(Path(folder) if folder else None, "yarn-site.xml")
        )


def _split(server: str, default_port: int | None = None) -> Address:
    host, colon, port = server.strip().rpartition(":")
    if not colon and default_port:
        return server.strip(), default_port
    if not (host and port.isascii() and port.isdigit() and 0 < int(port) < 65_536):
        raise JobError(f"`{server}` is not the address of a Spark master; expected host:port.")
    return host.strip("[]"), int(port)


def _resource_managers(options: dict[str, str]) -> Iterator[Address]:
    ids = options.get("yarn.resourcemanager.ha.rm-ids", "")
    for suffix in [f".{each.strip()}" for each in ids.split(",") if each.strip()] or [""]:
        server = options.get(
            f"yarn.resourcemanager.address{suffix}",
            options.get(f"yarn.resourcemanager.hostname{suffix}"),
        )
        # Values may refer to other properties, which only Hadoop resolves.
        if server and "$" not in server:
            yield _split(server, YARN_PORT)
