"""What is read again only when it may have changed, and not too often."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from threading import Lock
from typing import Any, Final, TypeVar, cast

FRESH_SECONDS: Final = 5.0
# Reading takes at most a tenth of the time, however large a collection is.
TIMES_ITS_COST: Final = 10.0
# Without a new batch only a repair changes anything.
UNCHANGED_SECONDS: Final = 60.0
Value = TypeVar("Value")


@dataclass(frozen=True)
class _Reading:
    value: Any
    state: Hashable
    at: float
    cost: float


class Kept:
    """Readings by key; threads that want the same one wait for one reading."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._readings: dict[Hashable, _Reading] = {}
        self._locks: dict[Hashable, Lock] = {}

    def get(self, key: Hashable, state: Hashable, read: Callable[[], Value]) -> Value:
        """What `read` gives or gave; `state` is equal as long as no batch was confirmed."""
        with self._locks.setdefault(key, Lock()):
            kept, begin = self._readings.get(key), self._clock()
            if kept is not None:
                enough = max(FRESH_SECONDS, TIMES_ITS_COST * kept.cost)
                if begin - kept.at < (UNCHANGED_SECONDS if kept.state == state else enough):
                    return cast(Value, kept.value)
            value = read()
            end = self._clock()
            self._readings[key] = _Reading(value, state, end, end - begin)
            return value

    def known(self, key: Hashable) -> Any:
        """What was read last, however long ago; None if nothing was."""
        kept = self._readings.get(key)
        return kept.value if kept else None
