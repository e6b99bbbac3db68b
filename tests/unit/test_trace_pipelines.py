"""`millrace trace` in several pipelines, in a user's and in those that forward."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from operations.overview.as_json import as_json
from settings import Settings
from spark_jobs.state.ledger import Counts
from tests.support.traced_world import (
    CREATED,
    CUSTOMERS,
    NOON_MS,
    ORDERS,
    PROFILES,
    TICKETS,
    TracedWorld,
    outcomes,
    traced_world,
)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> TracedWorld:
    return traced_world(monkeypatch, tmp_path)


def test_all_pipelines_are_searched_unless_coordinates_name_one(world: TracedWorld) -> None:
    world.send((0, 4), ticket_id="7")
    world.broker.topics |= {"customers-raw": {}, "users_profiles": {}}
    world.broker.put("customers-raw", (1, 2), b'{"customer_id": "7"}', NOON_MS)

    everywhere = world.find("7", TICKETS, PROFILES, CUSTOMERS)
    one = world.find("customers-raw/1/2", TICKETS, PROFILES, CUSTOMERS)

    assert [(r.pipeline, r.is_found) for r in everywhere.records] == [
        ("tickets", True),
        ("profiles", False),
        ("customers", True),
    ]
    assert [(r.pipeline, r.id) for r in one.records] == [("customers", "7")]


def test_users_pipeline_is_traced_like_a_built_in_one(world: TracedWorld) -> None:
    message = {"order_id": "A-1", "created_at": "2026-11-22T10:11:12Z", "status": "paid"}
    world.broker.put("orders", (0, 3), json.dumps(message).encode(), NOON_MS)
    place = {"kafka_partition": 0, "kafka_offset": 3}
    row = message | place | {"created_at": CREATED, "customer_email": "f" * 64}
    world.tables["orders.orders"] = [row]
    world.tables["orders.orders_by_status"] = [row | {"created_day": "2026-11-22"}]
    world.broker.topics["orders-large"] = {}

    record = world.one("A-1", ORDERS)

    assert [each.place for each in record.rows] == ["orders.orders", "orders.orders_by_status"]
    assert outcomes(record) == [("orders/0/3", "stored")]


def test_alert_of_a_known_customer_is_found_by_its_own_message(
    world: TracedWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.settings = world.settings.model_copy(update={"sinks": ("postgres", "mongodb")})
    usa = {"customer_id": "7", "kafka_partition": 0, "kafka_offset": 4}
    alert = usa | {"kafka_topic": "customers-raw", "kafka_offset": 8}
    rows = {"customers_usa": [usa], "customers_alerts": [alert]}

    def select(_: Settings, table: str, where: Mapping[str, Any], __: int) -> list[Any]:
        return [row for row in rows[table] if where.items() <= row.items()]

    monkeypatch.setattr("operations.trace.lookup.select_rows", select)
    for offset in (4, 8):
        world.broker.put("customers-raw", (0, offset), b'{"customer_id": "7"}', NOON_MS + offset)

    record = world.one("7", CUSTOMERS)

    assert [(row.place, row.source) for row in record.rows] == [
        ("customers_usa", "customers-raw/0/4"),
        ("customers_alerts", "customers-raw/0/8"),
    ]
    assert [outcome for _, outcome in outcomes(record)] == ["stored", "stored"]


def test_forwarded_record_is_found_by_the_time_of_its_batch(world: TracedWorld) -> None:
    message = {"order_id": "A-1", "created_at": "2026-11-22T10:11:12Z", "amount": "20000"}
    world.broker.put("orders", (0, 3), json.dumps(message).encode(), NOON_MS)
    world.copy("orders-large", (2, 5), b'{"order_id": "A-1", "amount": 20000.5}', "orders/0/3")
    world.copy("orders-large", (2, 4), b"{}", "orders/0/3", 5)
    world.confirm(Counts(1, 1, alerts=1), {0: (3, 4)}, pipeline="orders", topic="orders")

    record = world.one("A-1", ORDERS)

    (row,) = record.rows
    assert (row.store, row.place, row.source) == ("Kafka", "orders-large/2/5", "orders/0/3")
    assert as_json(row.values) == {"order_id": "A-1", "amount": 20000.5}
    assert outcomes(record) == [("orders/0/3", "stored")]
