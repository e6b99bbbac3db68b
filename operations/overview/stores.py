"""Connections to Cassandra and MongoDB, each opened when it is first needed and kept."""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import Lock
from typing import Final, Self, TypeVar

from cassandra import RequestExecutionException
from cassandra.cluster import Session
from pymongo import MongoClient
from pymongo.database import Database

from cql.client import close, connect
from errors import SinkUnavailable
from settings import Settings
from spark_jobs.sinks.mongodb import check_mongodb, confirmed_database, connect_mongodb
from spark_jobs.state.ledger import Document

# What did not answer is asked again after this time.
AWAY_SECONDS: Final = 10.0
CASSANDRA: Final = "cassandra"
Answer = TypeVar("Answer")


class OpenStores:
    """Connections for several questions; threads may share it.

    A service that does not answer is not waited for again and again.
    """

    def __init__(self, settings: Settings, timeout_seconds: float = 5) -> None:
        patience = min(settings.kafka_connect_timeout_seconds, timeout_seconds)
        self.settings = settings.model_copy(update={"kafka_connect_timeout_seconds": patience})
        self._away: dict[str, tuple[float, SinkUnavailable]] = {}
        self._timeout_seconds = timeout_seconds
        # One each, so that the one that is away keeps no one from the other.
        self._session_lock, self._client_lock = Lock(), Lock()
        self._session: Session | None = None
        self._client: MongoClient[Document] | None = None

    @property
    def session(self) -> Session:
        """A session of Cassandra."""
        with self._session_lock:
            if self._session is None:
                # For the connection and for each request.
                patience = self._timeout_seconds, self._timeout_seconds
                self._session = self.asked(CASSANDRA, lambda: connect(self.settings, *patience))
            return self._session

    @property
    def database(self) -> Database[Document]:
        """The platform's database in MongoDB."""
        with self._client_lock:
            if self._client is None:
                self._client = self.asked("mongodb", self._connected)
            return confirmed_database(self._client, self.settings)

    def _connected(self) -> MongoClient[Document]:
        client = connect_mongodb(self.settings, self._timeout_seconds)
        try:
            check_mongodb(client, self.settings)
        except BaseException:
            client.close()
            raise
        return client

    def asked(self, service: str, question: Callable[[], Answer]) -> Answer:
        """The answer of a service; one that has just not answered is not asked.

        Raises:
            SinkUnavailable: it did not answer, now or within the last seconds.
        """
        since, error = self._away.get(service, (-AWAY_SECONDS, None))
        if error is not None and time.monotonic() - since < AWAY_SECONDS:
            raise error
        try:
            return question()
        except SinkUnavailable as failure:
            # A cluster that says that too few copies answer may answer for other rows.
            if not isinstance(failure.__cause__, RequestExecutionException):
                self._away[service] = (time.monotonic(), failure)
            raise

    def close(self) -> None:
        """Close what is open."""
        with self._session_lock, self._client_lock:
            if self._session is not None:
                close(self._session)
            if self._client is not None:
                self._client.close()
            self._session, self._client = None, None

    def __enter__(self) -> Self:
        """The connections themselves."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close what is open."""
        self.close()
