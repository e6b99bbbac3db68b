"""One server of several: where it and the others listen, and how much memory it takes."""

from __future__ import annotations

from dataclasses import dataclass

from local_stack.ports import LOOPBACK

MOST_COPIES = 3


@dataclass(frozen=True)
class Node:
    """A server's place in its cluster; by itself, the only one of the embedded stack.

    Attributes:
        number: Which of the hosts it is, from 1.
        hosts: Loopback addresses of all servers, which use the same ports.
        heap_megabytes: Java's heap; that of the embedded stack when absent.
        cluster_id: The id that Kafka's servers share; a random one when absent.
    """

    number: int = 1
    hosts: tuple[str, ...] = (LOOPBACK,)
    heap_megabytes: int | None = None
    cluster_id: str | None = None

    @property
    def host(self) -> str:
        """The address that it listens on."""
        return self.hosts[self.number - 1]

    @property
    def is_alone(self) -> bool:
        """Whether there are no others."""
        return len(self.hosts) == 1

    @property
    def copies(self) -> int:
        """Copies that the cluster keeps of what it stores for itself."""
        return min(len(self.hosts), MOST_COPIES)

    def heap(self, least: str, most: str) -> tuple[str, str]:
        """Java's options of the heap, by default between these sizes."""
        if self.heap_megabytes is None:
            return f"-Xms{least}", f"-Xmx{most}"
        return f"-Xms{self.heap_megabytes}m", f"-Xmx{self.heap_megabytes}m"

    def addresses(self, port: int) -> list[str]:
        """All servers with a port, in order."""
        return [f"{host}:{port}" for host in self.hosts]


ALONE = Node()
