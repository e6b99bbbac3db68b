"""The contract of a sample: names, columns, and the content of `contract.schema.json`."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from operations.new.guess import Guess
from operations.new.observed import Observed, Path
from operations.new.roles import Field
from operations.new.words import KEYWORDS, snake_case, unique
from schemas.contract import FIELD_NAME, RESERVED_COLUMNS
from schemas.rules import TEXT_KINDS
from spark_jobs.aggregates import RESERVED

# Names that a table, a file set or an aggregate has for itself.
OWN_COLUMNS: Final = frozenset(("day", "hour", "shard", "event_day", "event_hour", "count"))
TAKEN_COLUMNS: Final = RESERVED_COLUMNS | KEYWORDS | RESERVED | OWN_COLUMNS
LONGEST_COLUMN: Final = 48
LONGEST_NAME: Final = 128


@dataclass(frozen=True)
class NamedField:
    """A field with its name in the contract and its column.

    Attributes:
        field: What it is.
        path: Its place in the contract.
        sent_as: Its dotted path in messages, if a contract cannot have that name.
        column: The column that it feeds; None for what is never stored.
    """

    field: Field
    path: Path
    sent_as: str | None
    column: str | None

    @property
    def sensitivity(self) -> str:
        """Who may see it."""
        if self.field.personal is None:
            return "public"
        return "personal" if self.field.is_id else self.field.personal.sensitivity

    @property
    def guess(self) -> Guess:
        """Its type, which is text for what is stored as a digest."""
        guess = self.field.guess
        if self.sensitivity in ("public", "personal"):
            return guess
        return _as_text(guess, self.field.observed)


def named(fields: Sequence[Field], sent: Collection[str] = ()) -> list[NamedField]:
    """Give each field a name that a contract can have and a column that all stores can have.

    Args:
        fields: The fields of a sample.
        sent: Names that messages have on the top level, which no other field may be given.
    """
    paths = _able(fields)
    taken = {_suffix(p[:depth]) for p in paths.values() for depth in range(1, len(p) + 1)}
    taken |= {name.lower() for name in sent}
    columns: set[str] = set()
    found: list[NamedField] = []
    for field in fields:
        sent_as, column = None, None
        if field.observed.path not in paths:
            name = unique(_name(field.observed.path), taken, LONGEST_NAME)
            taken.add(name)
            paths[field.observed.path] = (name,)
            sent_as = _dotted(field.observed.path)
        if not (field.personal and field.personal.sensitivity == "never"):
            column = _column(field.observed.path, columns)
            columns.add(column)
        found.append(NamedField(field, paths[field.observed.path], sent_as, column))
    return found


def _able(fields: Sequence[Field]) -> dict[Path, Path]:
    """The paths that a contract can have as they are; reason codes ignore where a name is cut."""
    owners: dict[str, Path] = {}
    leaves: set[Path] = set()
    for field in fields:
        path = field.observed.path
        around = [path[:depth] for depth in range(1, len(path))]
        is_free = _suffix(path) not in owners and all(
            owners.get(_suffix(each), each) == each and each not in leaves for each in around
        )
        is_able = is_free and not field.observed.is_loose
        if is_able and all(re.fullmatch(FIELD_NAME, name) for name in path):
            owners |= {_suffix(each): each for each in (*around, path)}
            leaves.add(path)
    return {path: path for path in leaves}


def _dotted(path: Path) -> str:
    return ".".join(name.replace(".", r"\.") for name in path)


def _suffix(path: Path) -> str:
    return "_".join(path).lower()


def _name(path: Path) -> str:
    name = snake_case(path)[:LONGEST_NAME]
    return name if re.fullmatch(FIELD_NAME, name) else f"field_{name}"[:LONGEST_NAME]


def _column(path: Path, taken: set[str]) -> str:
    name = snake_case(path)
    # What says most is at the end.
    start = next((n for n in range(len(path)) if len(snake_case(path[n:])) <= LONGEST_COLUMN), -1)
    name = snake_case(path[start:])
    name = name if name[0].isalpha() else f"field_{name}"
    name = f"{name}_value" if name in TAKEN_COLUMNS else name
    return unique(name, taken | TAKEN_COLUMNS, LONGEST_COLUMN)


def _as_text(guess: Guess, observed: Observed) -> Guess:
    """A field as text, as only a text has a digest; an array, which is never sent, as it is."""
    if guess.is_array:
        return guess
    keywords = {k: v for k, v in guess.keywords.items() if k in ("type", "format", "x-trim")}
    keywords |= {k: v for k, v in guess.keywords.items() if k == "maxLength"}
    if guess.kind in TEXT_KINDS and "enum" not in guess.keywords:
        return replace(guess, keywords=keywords, choices=0, adds_up=None)
    are_texts = all(isinstance(value, str) for value in observed.filled)
    plain: dict[str, Any] = {"type": "string" if are_texts else ["string", "number"]}
    if guess.keywords.get("x-trim") or guess.keywords.get("x-coerce"):
        plain["x-trim"] = True
    return replace(guess, kind="string", keywords=plain, choices=0, adds_up=None)


def document(name: str, fields: Sequence[NamedField], origin: str) -> dict[str, Any]:
    """The content of the contract's file; every guess has its reason as a comment."""
    root = _object()
    for each in fields:
        place, observed = root, each.field.observed
        for depth, inner in enumerate(each.path[:-1]):
            child = place["properties"].setdefault(inner, _object())
            if observed.around[depth + 1] == observed.around[depth]:
                _require(place, inner)
            place = child
        place["properties"][each.path[-1]] = _leaf(each)
        is_required = (
            observed.is_always_there if each.sent_as else observed.is_there_with_parent
        ) and each.sensitivity != "never"
        if is_required:
            _require(place, each.path[-1])
    head = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": name,
        "description": f"Written from the sample {origin}. Each $comment says why a field is"
        " as it is: correct what the sample could not show.",
    }
    return head | _tidy(root)


def _object() -> dict[str, Any]:
    return {"type": "object", "required": [], "properties": {}}


def _require(place: dict[str, Any], name: str) -> None:
    if name not in place["required"]:
        place["required"].append(name)


def _tidy(node: dict[str, Any]) -> dict[str, Any]:
    """Leave out empty lists of required names."""
    if "properties" not in node:
        return node
    inner = {name: _tidy(child) for name, child in node["properties"].items()}
    required = {"required": node["required"]} if node["required"] else {}
    return {"type": "object", **required, "properties": inner}


def _leaf(each: NamedField) -> dict[str, Any]:
    field, personal = each.field, each.field.personal
    reasons = [each.guess.why, *field.reasons]
    if personal:
        fate = {
            "hashed": "stored as a digest",
            "personal": "stored in clear, as it is the id",
            "never": "removed before Kafka, stored nowhere",
        }
        reasons.append(f"personal: {personal.why}; {fate[each.sensitivity]}")
    roles: dict[str, Any] = {}
    if field.is_id:
        roles["x-id"] = True
    if field.is_event_time:
        roles["x-event-time"] = True
    if each.sent_as:
        roles["x-other-names"] = [each.sent_as]
    roles["x-sensitivity"] = each.sensitivity
    if personal and each.sensitivity == "hashed":
        roles["x-normalise"] = personal.normalise
    if each.column:
        roles["x-column"] = each.column
    return {"$comment": "; ".join(reasons), **each.guess.keywords, **roles}
