"""Charts that are read again only when they may have changed, and not too often."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from threading import Lock
from typing import Final

from dashboard.source import Chart
from spark_jobs.aggregates import Aggregate

FRESH_SECONDS: Final = 5.0
# Reading takes at most a tenth of the time, however large a collection is.
TIMES_ITS_COST: Final = 10.0
# Without a new batch only a rebuild changes an aggregate.
UNCHANGED_SECONDS: Final = 60.0


@dataclass(frozen=True)
class _Kept:
    chart: Chart
    state: Hashable
    at: float
    cost: float


class KeptCharts:
    """Charts by aggregate and measure; threads that want the same one wait for one reading."""

    def __init__(
        self,
        read: Callable[[Aggregate, str], Chart],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Read with this function."""
        self._read, self._clock = read, clock
        self._kept: dict[tuple[str, str], _Kept] = {}
        self._locks: dict[tuple[str, str], Lock] = {}

    def get(self, aggregate: Aggregate, measure: str, state: Hashable) -> Chart:
        """The chart; `state` is equal as long as no batch was confirmed."""
        key = (aggregate.name, measure)
        with self._locks.setdefault(key, Lock()):
            kept, begin = self._kept.get(key), self._clock()
            if kept is not None:
                age = begin - kept.at
                enough = max(FRESH_SECONDS, TIMES_ITS_COST * kept.cost)
                if age < (UNCHANGED_SECONDS if kept.state == state else enough):
                    return kept.chart
            chart = self._read(aggregate, measure)
            end = self._clock()
            self._kept[key] = _Kept(chart, state, end, end - begin)
            return chart
