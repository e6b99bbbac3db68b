"""Access to Cassandra: login, TLS, consistency, and advice when a connection fails."""

from __future__ import annotations

import ssl
from typing import Final

from cassandra import ConsistencyLevel, OperationTimedOut
from cassandra.auth import PlainTextAuthProvider
from cassandra.cluster import ExecutionProfile, NoHostAvailable
from cassandra.policies import DCAwareRoundRobinPolicy, TokenAwarePolicy
from cassandra.query import dict_factory

from settings import Settings

REQUEST_TIMEOUT_SECONDS: Final = 30.0
# OpenSSL's message for a certificate from an unknown authority.
UNTRUSTED: Final = "certificate verify failed"


def profile(settings: Settings, request_seconds: float) -> ExecutionProfile:
    """Prefer local nodes that hold the row; the consistency says how many nodes must answer."""
    nearby = DCAwareRoundRobinPolicy(local_dc=settings.cassandra_local_datacenter)
    return ExecutionProfile(
        load_balancing_policy=TokenAwarePolicy(nearby),
        consistency_level=ConsistencyLevel.name_to_value[settings.cassandra_consistency],
        request_timeout=request_seconds,
        row_factory=dict_factory,
    )


def tls_context(settings: Settings) -> ssl.SSLContext | None:
    """The TLS context that checks the servers' certificates; None without TLS."""
    if not settings.cassandra_ssl:
        return None
    # Only the named authority and no host names, as in the connector: nodes are known by addresses,
    # which their certificates seldom contain.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.load_verify_locations(settings.cassandra_ssl_ca_location)
    return context


def login(settings: Settings) -> PlainTextAuthProvider | None:
    """User and password; None if none are set."""
    if settings.cassandra_username is None or settings.cassandra_password is None:
        return None
    return PlainTextAuthProvider(
        settings.cassandra_username, settings.cassandra_password.get_secret_value()
    )


def unreachable(settings: Settings, error: Exception, timeout_seconds: float) -> str:
    """The message for a failed connection, with the settings to correct."""
    reason = reason_of(error)
    return (
        f"Cannot reach Cassandra at `{settings.cassandra_contact_points}`, port"
        f" {settings.cassandra_port}, within {timeout_seconds:g} s: {reason}."
        f" {advice(reason)}"
    )


def reason_of(error: BaseException) -> str:
    """Why a request failed: what nodes said, as they said it; of silent ones that they are."""
    if isinstance(error, NoHostAvailable) and isinstance(error.errors, dict) and error.errors:
        return "; ".join(dict.fromkeys(map(reason_of, error.errors.values())))
    return "no answer in time" if isinstance(error, OperationTimedOut) else str(error)


def advice(reason: str) -> str:
    """Which settings to correct, judged by the driver's message."""
    if UNTRUSTED in reason.lower():
        return (
            "This machine does not know the authority that issued its certificate: set"
            " CASSANDRA_SSL_CA_LOCATION to that authority's PEM file."
        )
    if "AuthenticationFailed" in reason or "credentials" in reason:
        return "Correct CASSANDRA_USERNAME and CASSANDRA_PASSWORD."
    return (
        "Start the stack with `make up`, or correct CASSANDRA_CONTACT_POINTS, CASSANDRA_PORT,"
        " CASSANDRA_LOCAL_DATACENTER, CASSANDRA_SSL (if it requires TLS), CASSANDRA_USERNAME,"
        " CASSANDRA_PASSWORD."
    )
