"""Three contracts of a user, unlike each other, that have every kind of field between them."""

from __future__ import annotations

from typing import Any, Final

from schemas.contract import Contract, contract_from

ORDERS: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["order_id", "created_at", "customer", "amount", "status", "source"],
    "properties": {
        "order_id": {"type": "string", "pattern": "^ORD-[0-9]{8}$", "x-id": True},
        "created_at": {"type": "string", "format": "timestamp", "x-event-time": True},
        "customer": {
            "type": "object",
            "required": ["name", "email"],
            "properties": {
                "name": {"type": "string", "minLength": 3, "maxLength": 40, "x-trim": True},
                "email": {"type": "string", "format": "email", "x-sensitivity": "hashed",
                          "x-normalise": "email"},
                "phone": {"type": ["string", "null"], "x-sensitivity": "hashed",
                          "x-normalise": "phone"},
                "address": {
                    "type": ["object", "null"],
                    "required": ["city", "geo"],
                    "properties": {
                        "city": {"type": "string"},
                        "zip": {"type": ["string", "number"], "maxLength": 10},
                        "geo": {
                            "type": "object",
                            "required": ["lat"],
                            "properties": {
                                "lat": {"type": "number", "minimum": -90, "maximum": 90},
                                "lon": {"type": "number", "minimum": -180, "maximum": 180},
                            },
                        },
                    },
                },
            },
        },
        "amount": {"type": ["string", "number"], "format": "decimal", "x-precision": 12,
                   "x-scale": 2, "minimum": 0.01, "maximum": 99999.99},
        "discount": {"type": "number", "format": "decimal", "x-precision": 38, "x-scale": 20},
        "status": {"type": "string", "enum": ["new", "paid", "Sent"],
                   "x-synonyms": {"bezahlt": "paid", "verschickt": "Sent"}},
        "quantity": {"type": "integer", "minimum": 1, "maximum": 20, "default": 1},
        "tags": {"type": "array", "items": {"type": "string", "maxLength": 20}},
        "rated": {"type": "array", "items": {"type": "integer", "enum": [1, 2, 3, 4, 5]}},
        "is_gift": {"type": ["boolean", "null"]},
        "source": {
            "type": "object",
            "properties": {"note": {"type": "string"}, "ip": {"type": "string", "pattern":
                           "^(?:[0-9]{1,3}\\.){3}[0-9]{1,3}$"}},
        },
    },
}  # fmt: skip
READINGS: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["device", "at", "measured", "unit"],
    "properties": {
        "device": {"type": "string", "pattern": "^[a-z]{2}-\\d{4}$", "x-id": True},
        "at": {"type": "integer", "x-epoch": "milliseconds", "x-id": True, "x-event-time": True,
               "minimum": 1000000000000},
        "measured": {"type": "number", "minimum": -40, "maximum": 85.5, "x-coerce": True},
        "raw": {"type": "integer", "x-coerce": True},
        "small": {"type": "integer", "minimum": -9223372036854775808,
                  "maximum": 9223372036854775807},
        "unit": {"type": "integer", "enum": [1, 7, 200]},
        "is_on": {"type": "boolean", "x-coerce": True},
        "seen": {"type": "integer", "x-epoch": "seconds", "x-coerce": True},
        "exact": {"type": "integer", "x-epoch": "microseconds"},
        "fraction": {"type": "number", "format": "decimal", "x-precision": 5, "x-scale": 5,
                     "x-coerce": True},
        "codes": {"type": "array", "items": {"type": "string", "pattern": "^E[0-9]{2}$"}},
        "times": {"type": "array", "items": {"type": "string", "format": "timestamp"}},
        "flags": {"type": "array", "items": {"type": "boolean"}},
    },
}  # fmt: skip
MEMBERS: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["uuid", "joined", "login", "level"],
    "properties": {
        "uuid": {"type": "string", "format": "uuid", "x-id": True},
        "joined": {"type": "string", "format": "date", "x-event-time": True},
        "birth_date": {"type": "string", "format": "date"},
        "login": {"type": "string", "pattern": "^(?=.*[0-9])[a-z][a-z0-9_]{4,15}$"},
        "level": {"type": "string", "enum": ["gold", "silver"], "x-other-names": ["grade"]},
        "mail": {"type": "string", "format": "email", "maxLength": 12},
        "address": {"type": "string", "x-sensitivity": "hashed", "x-normalise": "address"},
        "number": {"type": ["string", "integer"], "x-sensitivity": "hashed"},
        "secret": {"type": "string", "x-sensitivity": "never", "x-column": None},
        "about": {"type": "string", "minLength": 60, "maxLength": 64},
        "seen_at": {"type": "string", "format": "timestamp", "pattern": "^.*[+]00:00$"},
        "prices": {"type": "array", "items": {"type": "string", "format": "decimal",
                   "x-precision": 6, "x-scale": 3, "minimum": 1}},
        "settings": {
            "type": "object",
            "required": ["theme"],
            "properties": {"theme": {"type": "string", "enum": ["dark", "light"]},
                           "depth": {"type": "object", "properties": {"of": {"type": "integer",
                                     "maximum": -1}}}},
        },
    },
}  # fmt: skip


def rich_contract(name: str) -> Contract:
    """One of the three; every field is public and feeds a column unless it says otherwise."""
    documents = {"orders": ORDERS, "readings": READINGS, "members": MEMBERS}
    return contract_from(name, completed(documents[name]), stands_alone=True)


def completed(node: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """The document with the keywords that every field needs."""
    if "properties" not in node:
        column = {"x-column": prefix.rstrip("_").lower(), "x-sensitivity": "public"}
        return {name: value for name, value in (column | node).items() if value is not None}
    children = {
        name: completed(child, f"{prefix}{name}_") for name, child in node["properties"].items()
    }
    return node | {"properties": children}
