"""Removes what a contract says must never reach Kafka (`x-sensitivity: never`) from records."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import orjson

from schemas.fields import Contract, path_of


class NeverSent:
    """The fields of one contract that are never sent."""

    def __init__(self, contract: Contract) -> None:
        never = [field for field in contract.fields if field.sensitivity == "never"]
        self._paths = [path_of(n) for field in never for n in (field.name, *field.other_names)]

    def removed(self, value: bytes) -> bytes | None:
        """Return the record without those fields, or None if it cannot be read as an object.

        A record of a contract without such fields stays as it is, byte for byte, whatever it is;
        others are written again, numbers with all their digits.
        """
        if not self._paths:
            return value
        try:
            record = json.loads(
                value.decode(),
                parse_int=orjson.Fragment,
                parse_float=orjson.Fragment,
                parse_constant=_refuse,
            )
            if not isinstance(record, dict):
                return None
            for path in self._paths:
                _remove(record, path)
            return orjson.dumps(record)
        except (ValueError, TypeError, RecursionError):
            return None


def _refuse(text: str) -> None:
    raise ValueError(text)


def _remove(node: Any, path: Sequence[str]) -> None:
    *parents, leaf = path
    for parent in parents:
        node = node.get(parent) if isinstance(node, dict) else None
    if isinstance(node, dict):
        node.pop(leaf, None)
