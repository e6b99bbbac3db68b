"""Messages of the example pipelines, and what a job must make of them, worked out by hand."""

from __future__ import annotations

import json
from typing import Any

from spark_jobs.state.ledger import Counts
from tests.support.world import Message

# 2026-11-22T10:15:00Z
AT = 1_795_342_500_000
MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000


def order(order_id: str, **changes: Any) -> Message:
    """A paid order of 22 November; `customer` adds to its members, None takes a field away."""
    customer = {"id": "c1", "email": f"{order_id}@example.com", "country": "ES"}
    record = {
        "order_id": order_id,
        "created_at": "2026-11-22T10:15:00Z",
        "status": "paid",
        "amount": "10.00",
        "currency": "EUR",
        "items": ["lamp"],
    } | changes
    record["customer"] = _present(customer | changes.get("customer", {}))
    return order_id.encode(), json.dumps(_present(record)).encode()


def reading(sensor_id: str, at: int = AT, **changes: Any) -> Message:
    """A reading without a fault; None takes a field away."""
    record = {
        "sensor_id": sensor_id,
        "at": at,
        "state": "ok",
        "temperature": 11.5,
        "humidity": 60.5,
        "battery": 98,
    } | changes
    return sensor_id.encode(), json.dumps(_present(record)).encode()


def _present(record: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in record.items() if value is not None}


def orders(mark: str = "") -> list[Message]:
    """Four to store, of which one is an alert; others of each kind. `mark` makes ids of its own."""
    return [
        order(f"A{mark}", amount="100.10", express=True),
        order(f"B{mark}", amount="20000.00", currency="GBP", status="shipped",
              customer={"id": "c2", "country": "GB"}),
        order(f"C{mark}", amount=5, currency="CHF", status="new", items=[],
              created_at="2026-11-23T00:30:00+01:00", customer={"country": None}),
        order(f"A{mark}", amount="7.77"),
        order(f"D{mark}", amount="0.90", customer={"id": "c3"}),
        order(f"T{mark}", status="test"),
        order(f"E{mark}", amount="1.234"),
        (None, b"no order"),
    ]  # fmt: skip


OF_ORDERS = Counts(
    read=8,
    stored=4,
    dead_lettered=2,
    filtered=1,
    duplicates=1,
    alerts=1,
    reasons={"invalid_amount": 1, "unparseable": 1},
)


def readings(mark: str = "1") -> list[Message]:
    """Four to store, of three sensors, two of them faults; others that are not stored."""
    return [
        reading(f"roof-{mark}", temperature=11.5),
        reading(f"roof-{mark}", AT + MINUTE, temperature=12.25, humidity=None, battery=97),
        reading(f"roof-{mark}", AT, temperature=99.0, battery=1),
        reading(f"yard-{mark}", AT + HOUR, temperature=-4.125, state="fault", battery=9),
        reading(f"oven-{mark}", AT + DAY, temperature=182.75, state="fault", battery=None),
        reading(f"oven-{mark}", AT + HOUR, temperature=200.5),
        reading("roof 1", AT),
        reading(f"roof-{mark}", None),  # type: ignore[arg-type]
    ]


OF_READINGS = Counts(
    read=8,
    stored=4,
    dead_lettered=3,
    duplicates=1,
    reasons={"invalid_sensor_id": 1, "invalid_temperature": 1, "missing_at": 1},
)
