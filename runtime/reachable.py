"""Whether somebody takes connections at an address."""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence

Address = tuple[str, int]


def unreached(
    addresses: Sequence[Address],
    seconds: float,
    objection: Callable[[socket.socket], str | None] = lambda peer: None,
) -> list[str]:
    """A reason for each address that takes no connection, or where someone else listens.

    Args:
        addresses: Hosts and ports, tried one after the other.
        seconds: For each of them.
        objection: What is wrong with who listens, to stand after "what listens on …".
    """
    reasons = []
    for host, port in addresses:
        try:
            with socket.create_connection((host, port), seconds) as peer:
                if wrong := objection(peer):
                    reasons.append(f"what listens on {host}:{port} {wrong}")
        except socket.gaierror:
            reasons.append(f"`{host}` is no known host name")
        except TimeoutError:
            reasons.append(f"no answer from {host}:{port} within {seconds:g} s")
        except OSError as error:
            why = (error.strerror or type(error).__name__).lower()
            reasons.append(f"cannot connect to {host}:{port} ({why})")
    return reasons
