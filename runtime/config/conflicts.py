"""Faults between settings or in the files that they name, a sentence for each."""

from __future__ import annotations

import ssl
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any


def unreadable_authority(name: str, path: Path | None) -> list[str]:
    """A fault if the PEM file in the setting `name` has no certificate."""
    if path is None:
        return []
    try:
        ssl.create_default_context(cafile=path)
    except OSError as error:
        why = "no certificate in it" if isinstance(error, ssl.SSLError) else error.strerror
        return [f"{name}: `{path}` cannot be used ({why}); expected a PEM file"]
    return []


def shared_ports(named: Iterable[tuple[str, int]]) -> list[str]:
    """A fault for each port that several servers on this machine would use."""
    return [
        f"{', '.join(sorted(names))}: port {port} for {_all(names)}; expected a port for each"
        for port, names in _shared(named)
    ]


def shared_topics(named: Iterable[tuple[str, str]]) -> list[str]:
    """A fault for each name that several topics share."""
    return [f"{', '.join(names)}: the same topic for {_all(names)}" for _, names in _shared(named)]


def _shared(named: Iterable[tuple[str, Any]]) -> list[tuple[Any, list[str]]]:
    by_value: dict[Any, list[str]] = defaultdict(list)
    for name, value in named:
        by_value[value].append(name)
    return [(value, names) for value, names in by_value.items() if len(names) > 1]


def _all(names: list[str]) -> str:
    return "both" if len(names) == 2 else "all"
