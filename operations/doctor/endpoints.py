"""Endpoints of the settings: where they are, whether they accept connections, how to start them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from local_stack.stack import services
from operations.doctor.check import Fault
from runtime.config.addresses import mongo_nodes
from runtime.reachable import Address, unreached
from settings import Settings
from sql.client import login

CONNECT_SECONDS: Final = 2.0
KAFKA_PORT: Final = 9092


@dataclass(frozen=True)
class Endpoint:
    """A service's addresses; `service` is its name in the embedded stack."""

    service: str
    setting: str
    addresses: tuple[Address, ...]


def kafka_endpoint(settings: Settings) -> Endpoint:
    """The brokers."""
    servers = settings.kafka_bootstrap_servers.split(",")
    return Endpoint("kafka", "KAFKA_BOOTSTRAP_SERVERS", tuple(map(split_address, servers)))


def cassandra_endpoint(settings: Settings) -> Endpoint:
    """The contact points."""
    hosts = [host.strip() for host in settings.cassandra_contact_points.split(",")]
    addresses = tuple((host, settings.cassandra_port) for host in hosts)
    return Endpoint("cassandra", "CASSANDRA_CONTACT_POINTS and CASSANDRA_PORT", addresses)


def mongodb_endpoint(settings: Settings) -> Endpoint:
    """The nodes; none if only DNS knows them (`mongodb+srv:`)."""
    return Endpoint("mongodb", "MONGO_URI", tuple(mongo_nodes(settings.mongo_uri)))


def postgres_endpoint(settings: Settings) -> Endpoint:
    """The server, or the pooler before it."""
    access = login(settings)
    return Endpoint("postgres", "POSTGRES_DSN", ((access.host, access.port),))


def all_of(settings: Settings) -> list[Endpoint]:
    """Every endpoint in the settings."""
    known = (kafka_endpoint, cassandra_endpoint, mongodb_endpoint, postgres_endpoint)
    return [endpoint(settings) for endpoint in known]


def split_address(server: str, default_port: int = KAFKA_PORT) -> Address:
    """Host and port of `host:port`."""
    host, _, port = server.strip().rpartition(":")
    return (host.strip("[]"), int(port)) if host else (server.strip(), default_port)


def absence(endpoint: Endpoint, settings: Settings) -> Fault | None:
    """Why the service is unavailable, and how to start it; None if it accepts connections.

    In the embedded stack the process counts: another program may listen on that port.
    """
    place = ", ".join(f"{host}:{port}" for host, port in endpoint.addresses)
    if settings.stack == "embedded":
        own = [each for each in services(settings, report=_silent) if each.name == endpoint.service]
        if own and (left := own[0].abandoned()):
            ends = "`make down YES=1` ends it, then `make up`"
            return Fault(f"process {left.pid} still runs, but its files are deleted: {ends}")
        if own and own[0].process() is None:
            ended = "has crashed" if own[0].crashed() else "not up"
            return Fault(f"{ended} at {place}: `make up` starts it", by_itself=True)
    reasons = unreached(endpoint.addresses, CONNECT_SECONDS)
    if not endpoint.addresses or len(reasons) < len(endpoint.addresses):
        return None
    by_itself = settings.stack != "external"
    return Fault(f"{'; '.join(reasons)}: {how_to_start(endpoint, settings)}", by_itself)


def away_faults(addresses: Sequence[Address], what: str) -> list[Fault]:
    """Members of a cluster, such as a `broker`, that do not answer while others do."""
    reasons = unreached(addresses, CONNECT_SECONDS)
    left = len(addresses) - len(reasons)
    return [
        Fault(f"a {what} is away: {reason}: start it; {left} of {len(addresses)} answer")
        for reason in reasons
    ]


def _silent(text: str) -> None:
    """Ignore the text: nothing is started here."""


def how_to_start(endpoint: Endpoint, settings: Settings) -> str:
    """What to do when the service does not answer."""
    return {
        "embedded": f"it may be starting; see `make logs SERVICE={endpoint.service}`",
        "docker": f"`STACK=docker make up` starts it, or correct {endpoint.setting}",
        "external": f"start it, or correct {endpoint.setting}",
    }[settings.stack]
