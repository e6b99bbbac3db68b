"""How Cassandra is reached: login, TLS, consistency, and the words for what does not fit."""

from __future__ import annotations

import ssl
from typing import Final

from cassandra import ConsistencyLevel
from cassandra.auth import PlainTextAuthProvider
from cassandra.cluster import ExecutionProfile
from cassandra.policies import DCAwareRoundRobinPolicy, TokenAwarePolicy
from cassandra.query import dict_factory

from settings import Settings

REQUEST_TIMEOUT_SECONDS: Final = 30.0
# What OpenSSL says of a certificate whose authority is not among the known ones.
UNTRUSTED: Final = "certificate verify failed"


def profile(settings: Settings) -> ExecutionProfile:
    """Nodes of the local data centre, those that have a row first, and how many must answer."""
    nearby = DCAwareRoundRobinPolicy(local_dc=settings.cassandra_local_datacenter)
    return ExecutionProfile(
        load_balancing_policy=TokenAwarePolicy(nearby),
        consistency_level=ConsistencyLevel.name_to_value[settings.cassandra_consistency],
        request_timeout=REQUEST_TIMEOUT_SECONDS,
        row_factory=dict_factory,
    )


def tls_context(settings: Settings) -> ssl.SSLContext | None:
    """How the servers prove who they are; None without TLS."""
    if not settings.cassandra_ssl:
        return None
    # The named authority alone, and no host names, as the connector does: nodes are known by
    # addresses that their certificates seldom hold.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.load_verify_locations(settings.cassandra_ssl_ca_location)
    return context


def login(settings: Settings) -> PlainTextAuthProvider | None:
    """User and password; None where none are set."""
    if settings.cassandra_username is None or settings.cassandra_password is None:
        return None
    return PlainTextAuthProvider(
        settings.cassandra_username, settings.cassandra_password.get_secret_value()
    )


def unreachable(settings: Settings, error: Exception, timeout_seconds: float) -> str:
    """What to say where no session came about, with the settings to correct."""
    causes = getattr(error, "errors", None)
    reason = "; ".join(str(cause) for cause in causes.values()) if causes else str(error)
    return (
        f"Cannot reach Cassandra at `{settings.cassandra_contact_points}`, port"
        f" {settings.cassandra_port}, within {timeout_seconds:g} s: {reason}."
        f" {advice(reason)}"
    )


def advice(reason: str) -> str:
    """Which settings to correct, from the driver's own words."""
    if UNTRUSTED in reason.lower():
        return (
            "Its certificate is of no authority that this machine knows: set"
            " CASSANDRA_SSL_CA_LOCATION to the PEM file of the right one."
        )
    if "AuthenticationFailed" in reason or "credentials" in reason:
        return "Correct CASSANDRA_USERNAME and CASSANDRA_PASSWORD."
    return (
        "Start the stack with `make up`, or correct CASSANDRA_CONTACT_POINTS, CASSANDRA_PORT,"
        " CASSANDRA_LOCAL_DATACENTER, CASSANDRA_SSL (whether it wants TLS), CASSANDRA_USERNAME,"
        " CASSANDRA_PASSWORD."
    )
