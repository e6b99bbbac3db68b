"""Turns a store's failure into an error that a user can act on."""

from __future__ import annotations

import itertools
import re

from pymongo.errors import (
    ConnectionFailure,
    NetworkTimeout,
    ServerSelectionTimeoutError,
    WTimeoutError,
)

from errors import SinkError, SinkRejected, SinkUnavailable

# Words by which the drivers of all stores name an outage. Anything else is a refusal: the store
# answered, and a person has to act.
OUTAGE_PATTERN = re.compile(
    r"AllNodesFailed|NoNodeAvailable|NoHostAvailable|Unavailable|WriteTimeout|ReadTimeout"
    r"|DriverTimeout|OperationTimedOut|Heartbeat|ClosedConnection|Overloaded|Bootstrapping"
    r"|Connection ?(refused|reset|closed)|Failed to open native connection|TimeoutException"
    r"|ServerSelectionTimeout|AutoReconnect|NetworkTimeout|NotPrimary|Not ?enough ?replicas"
    r"|BrokerNotAvailable|DisconnectException|timed? out|timeout during"
    r"|Control channel not available|Session is clos|Cluster is closed|ClosedChannel"
    r"|Broken pipe|No route to host|Unexpected error on channel|RejectedExecution"
    r"|executor terminated",
    re.IGNORECASE,
)
REMEDIES = {
    "Cassandra": "Compare its tables with `cql/`, and check the user's rights",
    "MongoDB": "Check that the user may read and write the database",
    "Kafka": "Check the topic's limits (`max.message.bytes`) and the user's rights",
}


def public_name(error: BaseException) -> str:
    """The name of an error's class, or of the first class above it that is not private."""
    return next(c.__name__ for c in type(error).__mro__ if not c.__name__.startswith("_"))


def sink_error(store: str, action: str, error: Exception) -> SinkError:
    """An error that names the store, what was tried, why it failed and what to do next.

    It has one line of the cause, without anything in quotes, because drivers quote records' values.
    """
    text = f"{public_name(error)}: {error}"
    cause = re.sub(r"'[^']*'|\"[^\"]*\"", "…", _telling_line(text))[:300].rstrip(".")
    if isinstance(error, ConnectionFailure):
        # The driver's own words name its inner workings.
        cause = f"{_lost(error)} ({public_name(error)})"
    if isinstance(error, ConnectionFailure | WTimeoutError) or OUTAGE_PATTERN.search(text):
        return SinkUnavailable(
            f"{store} did not {action}: {cause}. Nothing is lost: the batch is repeated."
            f" Check that {store} is up (`make status`, `make logs SERVICE={store.lower()}`)."
        )
    return SinkRejected(
        f"{store} refused to {action}: {cause}. Nothing is lost: the batch is repeated at the next"
        f" start. {REMEDIES[store]}; see `make logs SERVICE={store.lower()}`."
    )


def _lost(error: ConnectionFailure) -> str:
    if isinstance(error, ServerSelectionTimeoutError):
        return "no server answered"
    return "no answer came in time" if isinstance(error, NetworkTimeout) else "the connection broke"


def _telling_line(text: str) -> str:
    """The line that names the cause: an outage, the connector's last exception, the root cause."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    outages = [line for line in lines if OUTAGE_PATTERN.search(line)]
    seen_last = [
        after
        for before, after in itertools.pairwise(lines)
        if before.endswith("latest exception was")
    ]
    # Py4J puts a colon before the first exception of the JVM.
    root_causes = [line for line in lines if line.startswith(("Caused by: ", ": "))]
    line = next(iter(outages or seen_last or root_causes[-1:] or lines))
    return line.removeprefix("Caused by").removeprefix(": ")
