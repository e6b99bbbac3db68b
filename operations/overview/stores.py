"""Connections to Cassandra and MongoDB, each opened when it is first needed and kept."""

from __future__ import annotations

from threading import Lock
from types import TracebackType
from typing import Any, Self

from cassandra.cluster import Session
from pymongo import MongoClient
from pymongo.database import Database

from cql.client import close, connect
from settings import Settings
from spark_jobs.sinks.mongodb import check_mongodb, confirmed_database, connect_mongodb
from spark_jobs.state.ledger import Document


class OpenStores:
    """Connections for several questions; threads may share it."""

    def __init__(self, settings: Settings, timeout_seconds: float = 10) -> None:
        self.settings = settings
        self._timeout_seconds = timeout_seconds
        self._lock = Lock()
        self._session: Session | None = None
        self._client: MongoClient[Document] | None = None

    @property
    def session(self) -> Session:
        """A session of Cassandra.

        Raises:
            SinkUnavailable: no node answered in time, or the login was refused.
        """
        with self._lock:
            if self._session is None:
                self._session = connect(self.settings, self._timeout_seconds)
            return self._session

    @property
    def database(self) -> Database[Document]:
        """The platform's database in MongoDB.

        Raises:
            SinkUnavailable: it did not answer in time.
            SinkRejected: it needs another login.
        """
        with self._lock:
            if self._client is None:
                client: MongoClient[Any] = connect_mongodb(self.settings, self._timeout_seconds)
                try:
                    check_mongodb(client, self.settings)
                except BaseException:
                    client.close()
                    raise
                self._client = client
            return confirmed_database(self._client, self.settings)

    def close(self) -> None:
        """Close what is open."""
        with self._lock:
            if self._session is not None:
                close(self._session)
            if self._client is not None:
                self._client.close()
            self._session, self._client = None, None

    def __enter__(self) -> Self:
        """The connections themselves."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close what is open."""
        self.close()
