"""Records that break their contract with one fault each, and the reasons that jobs must give.

`apply(record, names, rng)` takes a valid parsed record and its field names (canonical name -> name
in this record), and returns the key and value of a message that must become a dead letter.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random
from typing import Any, Final

import orjson

Record = dict[str, Any]
Names = Mapping[str, str]
Change = Callable[[Record, Names, Random], None]
Spoil = Callable[[bytes, Random], bytes]
UNPARSEABLE: Final = ("unparseable",)


@dataclass(frozen=True)
class InjectedFault:
    """One way to break a record.

    Attributes:
        name: Short description.
        reasons: Reason codes of the dead letter, in the order of the contract.
        apply: Makes key and value of the message.
    """

    name: str
    reasons: tuple[str, ...]
    apply: Callable[[Record, Names, Random], tuple[bytes | None, bytes]]


def _one_invalid_byte(value: bytes, rng: Random) -> bytes:
    """Latin-1 instead of UTF-8, inside a string, as an old exporter would write it."""
    at = value.index(b'":"') + 3
    return value[:at] + rng.choice((b"\xe9", b"\xff", b"\xc0\xaf", b"\xed\xa0\x80")) + value[at:]


# Ways to spoil the JSON text of any record.
SPOILS: Final[Mapping[str, Spoil]] = {
    "no JSON": lambda value, rng: rng.choice((b"<ticket/>", b"hello", b"ticket;client;1", b"\x00")),
    "nothing": lambda value, rng: b"",
    "cut off": lambda value, rng: value[: rng.randrange(1, len(value))],
    "an array": lambda value, rng: b"[" + value + b"]",
    "a scalar": lambda value, rng: rng.choice((b"null", b"true", b"17", b'"text"')),
    "two objects": lambda value, rng: value + value,
    "text after the object": lambda value, rng: value + b" x",
    "byte order mark": lambda value, rng: b"\xef\xbb\xbf" + value,
    "invalid UTF-8": _one_invalid_byte,
    "single quotes": lambda value, rng: b"{'a':'b'}",
    "NaN": lambda value, rng: value[:-1] + b',"score":NaN}',
    "a comment": lambda value, rng: value[:-1] + b"/* checked */}",
}


def _spoiled(name: str, spoil: Spoil, key_path: tuple[str, ...]) -> InjectedFault:
    def apply(record: Record, names: Names, rng: Random) -> tuple[bytes | None, bytes]:
        return _key(record, key_path), spoil(orjson.dumps(record), rng)

    return InjectedFault(name, UNPARSEABLE, apply)


def _changed(
    name: str, reasons: tuple[str, ...], change: Change,
    key_path: tuple[str, ...],
) -> InjectedFault:  # fmt: skip
    def apply(record: Record, names: Names, rng: Random) -> tuple[bytes | None, bytes]:
        record = orjson.loads(orjson.dumps(record))
        change(record, names, rng)
        return _key(record, key_path), orjson.dumps(record)

    return InjectedFault(name, reasons, apply)


def _key(record: Record, path: tuple[str, ...]) -> bytes | None:
    """The key that a producer would send: the text at the path; None if there is no text."""
    value: Any = record
    for part in path:
        value = value.get(part) if isinstance(value, dict) else None
    return value.encode() or None if isinstance(value, str) else None


def _set(path: str, *values: Any) -> Change:
    """Put one of the values at the dotted path."""

    def change(record: Record, names: Names, rng: Random) -> None:
        parent, leaf = _parent(record, names.get(path, path))
        parent[leaf] = rng.choice(values)

    return change


def _drop(*paths: str) -> Change:
    """Remove the dotted paths."""

    def change(record: Record, names: Names, rng: Random) -> None:
        for path in paths:
            parent, leaf = _parent(record, names.get(path, path))
            parent.pop(leaf, None)

    return change


def _parent(record: Record, path: str) -> tuple[Record, str]:
    *parents, leaf = path.split(".")
    for part in parents:
        record = record[part]
    return record, leaf


def _both(first: Change, second: Change) -> Change:
    def change(record: Record, names: Names, rng: Random) -> None:
        first(record, names, rng)
        second(record, names, rng)

    return change


def _adult(change: Change) -> Change:
    """Apply the change to an adult: a minor is filtered out, whatever else is wrong."""
    return _both(_set("dob", {"date": "1984-02-29T08:15:00.000Z", "age": 42}), change)


BLANKS: Final = ("", "   ", "\u00a0\u2003")
BAD_MOMENTS: Final = (
    "yesterday", "2026-02-30T10:00:00Z", "2026-11-22", "2026-11-22T10:00:00",
    "2026-11-22 10:00:00Z", "2026-11-22T25:00:00Z", "2026-11-22T10:00:00+19:00",
    "22/11/2026 10:00", " 2026-11-22T10:00:00Z", "1785-01-01T00:00:00Z",
)  # fmt: skip
BLANK_TICKET: Final = tuple(
    f"missing_{n}"
    for n in ("ticket_id", "client_id", "created_at", "request", "request_type", "priority")
)

_TICKET_CHANGES: Final = (
    ("no ticket_id", ("missing_ticket_id",), _drop("ticket_id")),
    ("null ticket_id", ("missing_ticket_id",), _set("ticket_id", None)),
    ("number as ticket_id", ("invalid_ticket_id",), _set("ticket_id", 4711, 1.5, True)),
    ("bad ticket_id", ("invalid_ticket_id",), _set("ticket_id", "T 1", "é" * 8, "x" * 65, "a/b")),
    ("no client_id", ("missing_client_id",), _drop("client_id")),
    ("bad client_id", ("invalid_client_id",),
     _set("client_id", "CLIENT_", "client_12", "C12345678901", "C1٣")),
    ("blank created_at", ("missing_created_at",), _set("created_at", *BLANKS)),
    ("bad created_at", ("invalid_created_at",), _set("created_at", *BAD_MOMENTS)),
    ("number as created_at", ("invalid_created_at",), _set("created_at", 1_763_800_000)),
    ("created_at far ahead", ("invalid_created_at",), _set("created_at", "2999-12-31T23:59:59Z")),
    ("blank request", ("missing_request",), _set("request", *BLANKS)),
    ("endless request", ("invalid_request",), _set("request", "a" * 501, "é" * 900)),
    ("object as request", ("invalid_request",), _set("request", {"text": "help"}, ["help"])),
    ("unknown request_type", ("invalid_request_type",), _set("request_type", "sales", "tech")),
    ("null request_type", ("missing_request_type",), _set("request_type", None)),
    ("unknown priority", ("invalid_priority",), _set("priority", "asap", "P1", "0")),
    ("number as priority", ("invalid_priority",), _set("priority", 1, 3)),
    ("no type, no priority", ("missing_request_type", "missing_priority"),
     _drop("request_type", "priority")),
    ("empty object", BLANK_TICKET, lambda record, names, rng: record.clear()),
)  # fmt: skip
_PROFILE_CHANGES: Final = (
    ("no login", ("missing_login_uuid",), _drop("login")),
    ("null login.uuid", ("missing_login_uuid",), _set("login.uuid", None)),
    ("bad login.uuid", ("invalid_login_uuid",), _set("login.uuid", "1234", "not-a-uuid", 17)),
    ("blank first name", ("missing_name_first",), _set("name.first", *BLANKS)),
    ("number as last name", ("invalid_name_last",), _set("name.last", 7, False)),
    ("text as name", ("missing_name_first", "missing_name_last"), _set("name", "Ada Lovelace")),
    ("no e-mail", ("missing_email",), _drop("email")),
    ("bad e-mail", ("invalid_email",),
     _set("email", "nobody", "a@b@c.org", "@example.com", "a@", "a b@example.com")),
    ("no birth date", ("missing_dob_date",), _drop("dob")),
    ("bad birth date", ("invalid_dob_date",), _set("dob.date", *BAD_MOMENTS)),
    ("birth in the future", ("invalid_dob_date",), _set("dob.date", "2999-01-01T00:00:00Z")),
    ("no e-mail, bad uuid", ("invalid_login_uuid", "missing_email"),
     _both(_set("login.uuid", "?"), _drop("email"))),
)  # fmt: skip

TICKET_FAULTS: Final[tuple[InjectedFault, ...]] = (
    *(_changed(n, reasons, change, ("client_id",)) for n, reasons, change in _TICKET_CHANGES),
    *(_spoiled(name, spoil, ("client_id",)) for name, spoil in SPOILS.items()),
)
PROFILE_FAULTS: Final[tuple[InjectedFault, ...]] = (
    *(
        _changed(n, reasons, _adult(change), ("login", "uuid"))
        for n, reasons, change in _PROFILE_CHANGES
    ),
    *(_spoiled(name, spoil, ("login", "uuid")) for name, spoil in SPOILS.items()),
)
