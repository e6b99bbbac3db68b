"""A broker, a ledger and tables in memory, of which `millrace trace` reads."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from cql.rows import RowPage
from errors import SinkUnavailable
from operations.overview.stores import OpenStores
from operations.trace.find import Limits, find
from operations.trace.model import RecordTrace, Trace
from settings import Settings
from spark_jobs.pipeline import Pipeline
from spark_jobs.registry import built_in, load_pipeline
from spark_jobs.state.ledger import Counts, Entry
from tests.support.builders import ticket
from tests.support.fake_broker import FakeBroker, FakeMessage
from tests.support.fake_mongo import Database
from tests.support.pipeline_folders import EXAMPLES

TICKETS, PROFILES, CUSTOMERS = built_in()
ORDERS = load_pipeline(EXAMPLES / "orders")
TOPIC, LETTERS = "client_tickets", "client_tickets-dead-letter"
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
NOON_MS = int(NOON.timestamp() * 1000)
CREATED = datetime.fromisoformat("2026-11-22T10:11:12.345")


def in_tables(ticket_id: str, place: tuple[int, int]) -> dict[str, list[dict[str, Any]]]:
    """The rows of a ticket in both tables."""
    row = {
        "ticket_id": ticket_id,
        "client_id": "CLIENT_42",
        "created_at": CREATED,
        "request": "My invoice is wrong",
        "assigned_team": "Billing",
        "kafka_partition": place[0],
        "kafka_offset": place[1],
    }
    hour = CREATED.replace(minute=0, second=0, microsecond=0)
    return {"support.tickets": [row], "support.tickets_by_team": [row | {"created_hour": hour}]}


@dataclass
class TracedWorld:
    """What a trace reads."""

    patch: pytest.MonkeyPatch
    settings: Settings
    broker: FakeBroker = field(default_factory=FakeBroker)
    database: Database = field(default_factory=Database)
    tables: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    asked: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    no_cassandra: bool = False

    def __post_init__(self) -> None:
        self.broker.replace_readers(self.patch)
        self.patch.setattr(OpenStores, "database", property(lambda _: self.database))
        # The driver knows no table: those of the declarations are asked.
        session = SimpleNamespace(cluster=SimpleNamespace(metadata=SimpleNamespace(keyspaces={})))
        self.patch.setattr(OpenStores, "session", property(lambda _: session))
        self.patch.setattr("cql.shards.select_page", self.page)
        self.broker.topics[TOPIC] = {}

    def page(
        self, _: Any, keyspace: str, table: str, where: Mapping[str, Any], *__: Any
    ) -> RowPage:
        if self.no_cassandra:
            raise SinkUnavailable("Cannot reach Cassandra. Start the stack with `make up`.")
        name = f"{keyspace}.{table}"
        self.asked.append((name, dict(where)))
        rows = self.tables.get(name, [])
        return RowPage([r for r in rows if all(r[n] == value for n, value in where.items())])

    def confirm(
        self, counts: Counts, offsets: Mapping[int, tuple[int, int]], batch_id: int = 7, **more: Any
    ) -> None:
        """Put a batch into the ledger, confirmed at noon."""
        entry = Entry(
            pipeline=more.get("pipeline", "tickets"),
            topic=more.get("topic", TOPIC),
            query_id="abcdef01-query",
            batch_id=batch_id,
            offsets=offsets,
            counts=counts,
            sinks=("cassandra", "mongodb"),
            accepted_loss=more.get("lost", {}),
        )
        document = entry.document(more.get("at", NOON))
        self.database["batches"].documents.append(document)

    def reject(self, place: tuple[int, int], *reasons: str) -> None:
        source = f"{TOPIC}/{place[0]}/{place[1]}"
        document = {"_id": source, "source_topic": TOPIC, "reasons": list(reasons)}
        self.database["dead_letters"].documents.append(document)

    def send(self, place: tuple[int, int], **changes: Any) -> None:
        self.broker.put(TOPIC, place, json.dumps(ticket(**changes)).encode(), NOON_MS + place[1])

    def copy(
        self, topic: str, place: tuple[int, int], value: bytes, source: str, at: int = NOON_MS
    ) -> None:
        """Put what a sink sent of a message on another topic."""
        names = ("source_topic", "source_partition", "source_offset")
        headers = tuple(zip(names, source.encode().split(b"/"), strict=True))
        self.broker.put_message(FakeMessage(topic, place, value, at, headers))

    def find(self, asked: str, *pipelines: Pipeline, limits: Limits | None = None) -> Trace:
        with OpenStores(self.settings) as stores:
            return find(stores, asked, pipelines or (TICKETS,), limits)

    def one(self, asked: str, pipeline: Pipeline = TICKETS, **more: Any) -> RecordTrace:
        (record,) = self.find(asked, pipeline, **more).records
        return record


def traced_world(patch: pytest.MonkeyPatch, folder: Path) -> TracedWorld:
    """One with tickets' first sinks, and files in a folder."""
    sinks = ("cassandra", "mongodb")
    settings = Settings(_env_file=None, sinks=sinks, output_path=str(folder / "output"))
    return TracedWorld(patch, settings)


def outcomes(record: RecordTrace) -> list[tuple[str, str]]:
    """Source and outcome of each message of a record."""
    return [(each.source, each.outcome) for each in record.arrivals]
