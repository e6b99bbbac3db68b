"""Checks whether a server accepts connections at an address."""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence

Address = tuple[str, int]


def unreached(
    addresses: Sequence[Address],
    seconds: float,
    objection: Callable[[socket.socket], str | None] = lambda peer: None,
) -> list[str]:
    """A reason for each address at which no server, or the wrong one, accepts a connection.

    Args:
        addresses: Hosts and ports, tried one at a time.
        seconds: Time-out for each of them.
        objection: What is wrong with the server, as the rest of a sentence; None if nothing is.
    """
    reasons = []
    for host, port in addresses:
        try:
            with socket.create_connection((host, port), seconds) as peer:
                if wrong := objection(peer):
                    reasons.append(f"the server at {host}:{port} {wrong}")
        except socket.gaierror:
            reasons.append(f"`{host}` is not a known host name")
        except TimeoutError:
            reasons.append(f"no answer from {host}:{port} within {seconds:g} s")
        except OSError as error:
            why = (error.strerror or type(error).__name__).lower()
            reasons.append(f"cannot connect to {host}:{port} ({why})")
    return reasons
