"""How much a trace may read."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """`messages` of each topic, and `seconds` for the search of one."""

    messages: int = 100_000
    seconds: float = 30.0
