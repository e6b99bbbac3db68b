"""Records that break any contract with one fault each, and the reasons that jobs must give.

unparseable     not one JSON object
missing         a required field or object is absent, null or blank
wrong type      a field or object has another JSON type
out of bounds   a value breaks its format, pattern, length, minimum, maximum or digits, or is ahead
unknown value   a value is not in its enumeration
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from random import Random
from typing import Any, Final

import orjson

from producers.faults import SPOILS, UNPARSEABLE
from producers.record_texts import accepts
from producers.record_values import decimal_text
from schemas.fields import Contract, FieldContract, ObjectContract
from schemas.types import EPOCH_END, EPOCH_UNITS

Record = dict[str, Any]
KINDS: Final = ("unparseable", "missing", "wrong type", "out of bounds", "unknown value")
ABSENT: Final = object()
NOT_THERE: Final = (ABSENT, None, "", "  ", "\u00a0\u2003")
BAD_TEXTS: Final = {
    "timestamp": (
        "yesterday", "2026-02-30T10:00:00Z", "2026-11-22", "2026-11-22T10:00:00",
        "2026-11-22 10:00:00Z", "2026-11-22T25:00:00Z", "2026-11-22T10:00:00+19:00",
    ),
    "date": ("2026-02-30", "22/11/2026", "20261122", "2026-11-22T10:00:00Z", "today"),
    "uuid": ("not-a-uuid", "1234"),
    "email": ("nobody", "a@b@example.com", "@example.com"),
    "string": ("?", "not valid", "~", "\u2603\u2603\u2603"),
}  # fmt: skip
AHEAD: Final = {"timestamp": "2999-12-31T23:59:59Z", "date": "2999-12-31"}
AHEAD_SECONDS: Final = 32_503_679_999
# A longer text would make a message that no broker takes.
LONGEST_TEXT: Final = 50_000


@dataclass(frozen=True)
class RecordFault:
    """One way to break a record in which every field is present.

    Attributes:
        kind: One of `KINDS`.
        reasons: Reason codes of the dead letter, in the order of the contract.
        spoil: Changes the record and returns the message's value.
    """

    kind: str
    reasons: tuple[str, ...]
    spoil: Callable[[Record, Random], bytes]


def contract_faults(contract: Contract) -> dict[str, list[RecordFault]]:
    """Return the faults that a contract can have, by their kind; kinds without any are left out."""
    found: dict[str, list[RecordFault]] = {kind: [] for kind in KINDS}
    found["unparseable"].append(RecordFault("unparseable", UNPARSEABLE, _unparseable))
    for each in contract.objects:
        missing = _missing_with(contract, each)
        if missing:
            fault = _put(each.name, (ABSENT, None))
            found["missing"].append(RecordFault("missing", missing, fault))
        own = f"missing_{_suffix(each)}"
        reasons = (f"invalid_{_suffix(each)}", *(reason for reason in missing if reason != own))
        found["wrong type"].append(RecordFault("wrong type", reasons, _put(each.name, ("text", 5))))
    for field in filter(_is_read, contract.fields):
        if field.required or field.required_within is not None:
            reasons = (f"missing_{field.reason_suffix}",)
            fault = _put(field.name, NOT_THERE)
            found["missing"].append(RecordFault("missing", reasons, fault))
        reasons = (f"invalid_{field.reason_suffix}",)
        for kind, values in _bad_values(field).items():
            if values:
                fault = _put(field.name, values)
                found[kind].append(RecordFault(kind, reasons, fault))
    return {kind: faults for kind, faults in found.items() if faults}


def _suffix(each: ObjectContract) -> str:
    return each.name.replace(".", "_")


def _is_read(field: FieldContract) -> bool:
    must = field.required or field.required_within is not None
    return field.sensitivity != "never" and (field.column is not None or must)


def _missing_with(contract: Contract, gone: ObjectContract) -> tuple[str, ...]:
    """Return the reasons for what is missing when an object is absent, in the contract's order."""
    found: list[str] = []
    ahead = [each for each in contract.objects if f"{each.name}.".startswith(f"{gone.name}.")]
    fields = [f for f in contract.fields if f.name.startswith(f"{gone.name}.") and _is_read(f)]
    # An object stands before its first field; those without any at the end.
    for field in [*fields, None]:
        around = [each for each in ahead if field is None or field.name.startswith(f"{each.name}.")]
        ahead = [each for each in ahead if each not in around]
        for each in around:
            inside = [f for f in fields if f.required and f.name.startswith(f"{each.name}.")]
            if each.required and not inside:
                found.append(f"missing_{_suffix(each)}")
        if field is not None and (field.required or _is_required_outside(field, gone)):
            found.append(f"missing_{field.reason_suffix}")
    return tuple(found)


def _is_required_outside(field: FieldContract, gone: ObjectContract) -> bool:
    """Return whether an object around the one that is gone makes the field required."""
    within = field.required_within
    return within is not None and gone.name.startswith(f"{within}.")


def _put(name: str, values: Sequence[Any]) -> Callable[[Record, Random], bytes]:
    *parents, leaf = name.split(".")

    def spoil(record: Record, rng: Random) -> bytes:
        node, value = record, rng.choice(values)
        for parent in parents:
            node = node.setdefault(parent, {})
        node[leaf] = value
        if value is ABSENT:
            del node[leaf]
        return orjson.dumps(record)

    return spoil


def _unparseable(record: Record, rng: Random) -> bytes:
    value = orjson.dumps(record)
    # One of them needs a text to spoil.
    ways = [name for name in SPOILS if name != "invalid UTF-8" or b'":"' in value]
    return SPOILS[rng.choice(ways)](value, rng)


def _bad_values(field: FieldContract) -> dict[str, list[Any]]:
    """Return values that are certainly invalid, by the kind of their fault."""
    if field.items is not None:
        inside = _bad_values(field.items)
        wrapped: dict[str, list[Any]] = {
            kind: [[value] for value in values] for kind, values in inside.items()
        }
        wrapped["wrong type"] += ["text", {"a": 1}, [None]]
        return wrapped
    return {
        "wrong type": [*_wrong_types(field)],
        "out of bounds": [] if field.values else [*_out_of_bounds(field)],
        "unknown value": [*_unknown_values(field)],
    }


def _wrong_types(field: FieldContract) -> Iterator[Any]:
    yield from ({"a": 1}, [1])
    if field.kind == "boolean":
        yield from (1, "yes") if field.coerce else (1, "true")
        return
    yield True
    if field.kind in ("integer", "number", "decimal") or field.epoch:
        yield "many"
        if not field.coerce and "string" not in field.types:
            yield "12"
        if field.kind == "integer" or field.epoch:
            yield 1.5
    elif not {"number", "integer"} & {*field.types}:
        yield from (4711, 1.5)


def _unknown_values(field: FieldContract) -> Iterator[Any]:
    numbers = [value for value in field.values if isinstance(value, int)]
    if numbers:
        yield max(numbers) + 1 if max(numbers) < 2**62 else min(numbers) - 1
    elif field.values:
        known = {spelling.lower() for spelling in field.spellings}
        yield from (text for text in ("no such value", "?", "0x0") if text not in known)


def _out_of_bounds(field: FieldContract) -> Iterator[Any]:
    if field.is_event_time:
        unit = EPOCH_UNITS[field.epoch] if field.epoch else 0
        yield AHEAD_SECONDS * unit if unit else AHEAD[field.kind]
    if field.epoch:
        yield from (-1, EPOCH_END * EPOCH_UNITS[field.epoch])
        yield from _beyond(field, 0)
    elif field.kind == "integer":
        yield from (orjson.Fragment(str(2**63)), *_beyond(field, 0))
    elif field.kind == "decimal":
        too_fine = f"0.{'0' * field.scale}1"
        too_great = f"1{'0' * (field.precision - field.scale)}"
        yield from map(orjson.Fragment, (too_fine, too_great))
        yield from _beyond(field, field.scale)
    elif field.kind == "number":
        yield orjson.Fragment("1e999")
        for bound, way in ((field.minimum, -math.inf), (field.maximum, math.inf)):
            beyond = math.nextafter(float(bound or 0), way)
            if bound is not None and math.isfinite(beyond):
                yield beyond
    elif field.kind != "boolean":
        yield from _bad_texts(field)


def _beyond(field: FieldContract, scale: int) -> Iterator[Any]:
    """Yield the numbers of `10**-scale` next to the bounds."""
    if field.minimum is not None:
        least = math.ceil(Fraction(field.minimum) * 10**scale)
        yield orjson.Fragment(decimal_text(least - 1, scale))
    if field.maximum is not None:
        greatest = math.floor(Fraction(field.maximum) * 10**scale)
        yield orjson.Fragment(decimal_text(greatest + 1, scale))


def _bad_texts(field: FieldContract) -> Iterator[str]:
    yield from (
        text
        for text in BAD_TEXTS[field.kind]
        # A day may have the form of its format, and not exist.
        if field.kind in ("timestamp", "date") or not accepts(field, text)
    )
    if (field.min_length or 0) > 1:
        yield "x"
    if field.max_length is not None and field.max_length < LONGEST_TEXT:
        yield "x" * (field.max_length + 1)
