"""Builders with defaults, so that a test says only what it is about."""

from __future__ import annotations

import copy
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


def ticket(**changes: Any) -> dict[str, Any]:
    """A valid ticket; a change to `...` takes the field away."""
    fields = {
        "ticket_id": "0b9a1c9e-4f0e-4a57-8b0a-6d5f2f3c1a77",
        "client_id": "CLIENT_42",
        "created_at": "2026-11-22T10:11:12.345Z",
        "request": "My invoice is wrong",
        "request_type": "billing",
        "priority": "high",
    }
    return _changed(fields, changes)


def french_ticket(**changes: Any) -> dict[str, Any]:
    """A valid ticket in the French vocabulary; a change to `...` takes the field away."""
    fields = {
        "ticket_id": "A1B2C3D4",
        "client_id": "C3847",
        "created_at": "2026-11-22T10:11:12Z",
        "demande": "Ma facture est fausse",
        "type": "facturation",
        "priorite": "haute",
    }
    return _changed(fields, changes)


def profile(**changes: Any) -> dict[str, Any]:
    """A valid profile; names of changes are paths with `__`; `...` takes the field away."""
    fields: dict[str, Any] = {
        "gender": "female",
        "name": {"title": "Ms", "first": "Ada", "last": "Lovelace"},
        "location": {
            "street": {"number": 12, "name": "Rue de la Paix"},
            "city": "Paris",
            "state": "Île-de-France",
            "country": "France",
            "postcode": 75002,
            "coordinates": {"latitude": "48.8", "longitude": "2.3"},
            "timezone": {"offset": "+1:00", "description": "Paris"},
        },
        "email": "Ada.Lovelace@Example.com",
        "login": {"uuid": "A7155000-95F4-4B29-9D80-0AA0C2EE9F40", "username": "bluecat"},
        "dob": {"date": "1990-05-17T08:30:00.000Z", "age": 36},
        "registered": {"date": "2015-03-01T09:00:00.000Z", "age": 11},
        "phone": "+33 (0)1-42-68",
        "cell": "06-12",
        "id": {"name": "INSEE", "value": "2900575"},
        "picture": {"large": "l.jpg", "medium": "m.jpg", "thumbnail": "t.jpg"},
        "nat": "FR",
    }
    return _changed(fields, changes)


def customer(**changes: Any) -> dict[str, Any]:
    """A valid customer of the USA; a change to `...` takes the field away."""
    fields = {
        "customer_id": "CUST-1",
        "first_name": "Ada",
        "last_name": "Lovelace",
        "email": "ada@example.com",
        "phone": "+1 555 0100",
        "address": "1 Main St,\nApt 2",
        "city": "Boston",
        "state": "MA",
        "country": "USA",
        "postal_code": "02139",
        "created_at": "2024-01-02T03:04:05Z",
    }
    return _changed(fields, changes)


def payload(record: dict[str, Any] | str | bytes | None) -> bytes | None:
    """The value of a Kafka message: JSON of an object, or the text or bytes themselves."""
    if isinstance(record, dict):
        record = json.dumps(record, ensure_ascii=False)
    return record.encode() if isinstance(record, str) else record


def message(
    record: dict[str, Any] | str | bytes | None,
    *,
    offset: int = 0,
    partition: int = 0,
    at: datetime | int = NOON,
    topic: str = "client_tickets",
) -> tuple[Any, ...]:
    """One row of `MESSAGE_SCHEMA`; a number as Kafka's timestamp is one outside 1970-9999."""
    value = payload(record)
    value = bytearray(value) if value is not None else None
    instant, number = (None, at) if isinstance(at, int) else (at, int(at.timestamp() * 1000))
    return (bytearray(b"key"), value, topic, partition, offset, instant, number, 0)


def messages(records: Sequence[Any], **options: Any) -> list[tuple[Any, ...]]:
    """One message per record, with offsets from 0."""
    return [message(record, offset=i, **options) for i, record in enumerate(records)]


def _changed(fields: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    fields = copy.deepcopy(fields)
    for path, value in changes.items():
        # A name may itself end in `_` or hold one `_`; only two of them part a path.
        *parents, name = path.split("__")
        node = fields
        for parent in parents:
            node = node[parent]
        if value is ...:
            node.pop(name, None)
        else:
            node[name] = value
    return fields
