"""The newest overview: collected only while someone asks, once for all who do."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from threading import Condition, Thread
from typing import Final

from errors import MillraceError
from operations.overview.model import Overview

# Pages ask every two seconds, so what they show is at most four seconds old.
FRESH_SECONDS: Final = 2.0
# Older ones are not shown while a new one is collected.
STALE_SECONDS: Final = 30.0


@dataclass(frozen=True)
class Seen:
    """The newest overview; `trouble` says why there is none, or none that is newer."""

    overview: Overview | None = None
    trouble: str | None = None


class Latest:
    """Collects overviews, one at a time, in a thread that ends with it."""

    def __init__(
        self, collect: Callable[[], Overview], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._collect, self._clock = collect, clock
        self._changed = Condition()
        self._seen, self._at = Seen(), float("-inf")
        self._collecting = False

    def get(self, wait: float, *, fresh: bool = False) -> Seen:
        """The newest overview; one that is older than two seconds is collected again meanwhile.

        Args:
            wait: Seconds to wait if there is none, or only one that is too old to show.
            fresh: Wait for one of the last two seconds.
        """
        oldest = FRESH_SECONDS if fresh else STALE_SECONDS
        with self._changed:
            if self._age > FRESH_SECONDS and not self._collecting:
                self._collecting = True
                Thread(target=self._look, name="overview", daemon=True).start()
            self._changed.wait_for(lambda: self._age <= oldest or not self._collecting, wait)
            return self._seen if self._age <= oldest else Seen(trouble=self._seen.trouble)

    @property
    def _age(self) -> float:
        return self._clock() - self._at

    def _look(self) -> None:
        overview, trouble = None, None
        try:
            overview = self._collect()
        except MillraceError as error:
            trouble = str(error)
        except Exception as error:
            # A page that says so is worth more than a thread that ended with a traceback.
            trouble = f"The overview could not be collected ({type(error).__name__})."
        with self._changed:
            self._seen = Seen(overview or self._seen.overview, trouble)
            self._at, self._collecting = self._clock(), False
            self._changed.notify_all()
