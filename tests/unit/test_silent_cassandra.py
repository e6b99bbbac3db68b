"""Cassandra that takes requests and gives no answer, as a frozen process does."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from cassandra import OperationTimedOut, Unavailable
from cassandra.cluster import NoHostAvailable

from cql.access import profile, reason_of
from cql.rows import select_page
from errors import SinkUnavailable
from operations.overview import stores as module
from operations.overview.records import record_page, record_tables
from operations.overview.stores import OpenStores
from settings import Settings

KEY = {"ticket_id": "A-1"}
TIMED_OUT = OperationTimedOut(
    errors={"10.0.0.7:9042": "Client request timeout. See Session.execute[_async](timeout)"},
    last_host="10.0.0.7:9042",
)
TOO_FEW = Unavailable("Cannot achieve consistency level LOCAL_QUORUM")


@pytest.fixture
def silent() -> Iterator[Settings]:
    """Settings of a server that accepts connections, and no more."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield Settings(_env_file=None, cassandra_port=server.getsockname()[1])


class Failing:
    """A session whose statements fail."""

    def __init__(self, error: Exception) -> None:
        self.error, self.asked = error, 0
        self.cluster = SimpleNamespace(
            metadata=SimpleNamespace(keyspaces={}), shutdown=lambda: None
        )

    def prepare(self, _: str) -> None:
        self.asked += 1
        raise self.error


def test_connection_fails_in_time_and_in_words(silent: Settings) -> None:
    began = time.monotonic()

    with OpenStores(silent, 0.5) as stores, pytest.raises(SinkUnavailable) as caught:
        _ = stores.session

    # The driver waits for nothing else.
    assert time.monotonic() - began < 5
    assert "within 0.5 s: no answer in time. Start the stack with `make up`" in str(caught.value)


def test_requests_have_no_more_time_than_the_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[float] = []
    monkeypatch.setattr(module, "connect", lambda _, *seconds: given.extend(seconds))

    _ = OpenStores(Settings(_env_file=None), 5.0).session

    assert given == [5.0, 5.0]
    assert profile(Settings(_env_file=None), 5.0).request_timeout == 5.0


def test_silent_read_is_said_without_the_drivers_text_and_not_repeated_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    session = Failing(TIMED_OUT)
    monkeypatch.setattr(module, "connect", lambda *_: session)
    settings = Settings(_env_file=None)
    tickets = record_tables(settings)["support.tickets"]

    with OpenStores(settings) as stores:
        for _ in range(3):
            with pytest.raises(SinkUnavailable) as caught:
                record_page(stores, tickets, KEY)
            assert str(caught.value) == (
                "Cassandra did not answer a read of support.tickets: no answer in time."
                " `make status` shows whether it is up."
            )
    assert session.asked == 1


def test_cluster_that_lacks_copies_of_some_rows_is_asked_for_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    session = Failing(TOO_FEW)
    monkeypatch.setattr(module, "connect", lambda *_: session)
    settings = Settings(_env_file=None)
    tickets = record_tables(settings)["support.tickets"]

    with OpenStores(settings) as stores:
        for _ in range(2):
            with pytest.raises(SinkUnavailable, match="consistency level LOCAL_QUORUM"):
                record_page(stores, tickets, KEY)
    assert session.asked == 2


def test_reason_names_each_silent_node_once_and_keeps_what_others_said() -> None:
    errors: dict[Any, Exception] = {
        "10.0.0.7:9042": TIMED_OUT,
        "10.0.0.8:9042": OperationTimedOut("Timed out creating connection (5.0 seconds)"),
        "10.0.0.9:9042": ConnectionRefusedError(111, "Connection refused"),
    }
    gone = NoHostAvailable("Unable to connect to any servers", errors)

    assert reason_of(gone) == "no answer in time; [Errno 111] Connection refused"
    session: Any = Failing(gone)
    with pytest.raises(SinkUnavailable, match=r"no answer in time; .* refused"):
        select_page(session, "k", "t", {"a": 1}, 1)
