"""Masks the sensitive fields of raw messages, so that they can be shown."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from schemas.contract import Contract
from schemas.fields import path_of

MASK = "•••"
UNREADABLE = "<{} bytes that are not a JSON object: not shown>"


def masked_value(value: bytes | None, contract: Contract) -> str:
    """A message's value with every sensitive field masked.

    Fields that the contract does not know are masked too, as they may hold anything.
    """
    if value is None:
        return "<no value>"
    try:
        record = json.loads(value)
    except (ValueError, RecursionError):  # deeper nesting than the parser follows
        record = None
    if not isinstance(record, dict):
        return UNREADABLE.format(len(value))
    # Each public field, and whether it is an array.
    public = {
        path_of(name): field.items is not None
        for field in contract.fields
        if field.sensitivity == "public"
        for name in (field.name, *field.other_names)
    }
    return json.dumps(_masked(record, (), public), ensure_ascii=False)


def _masked(value: Any, path: tuple[str, ...], public: Mapping[tuple[str, ...], bool]) -> Any:
    if isinstance(value, list) and public.get(path):
        return [MASK if isinstance(each, dict | list) else each for each in value]
    if not isinstance(value, dict):
        return value if path in public and not isinstance(value, list) else MASK
    # An object with no public field is masked as a whole.
    if not any(field[: len(path)] == path for field in public):
        return MASK
    return {name: _masked(child, (*path, name), public) for name, child in value.items()}
