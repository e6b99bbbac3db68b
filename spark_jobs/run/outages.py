"""Says which store a job waits for, while it waits.

Some drivers hold a call for minutes before they report that their store is away, so each store that
the job needs is asked every few seconds, in a thread of its own.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Self

from runtime.wait import Wait
from spark_jobs.state.store_errors import public_name

ASK_EVERY_SECONDS = 2.0
LOOK_EVERY_SECONDS = 1.0
# Between two answers of a healthy store, on a busy machine.
USUAL_SECONDS = 5.0
SETTING = "STORE_RETRY_SECONDS"

Ask = Callable[[], object]


class Outages:
    """Asks stores and says, at most every 15 s, which of them a job waits for.

    Only answers count: a request that hangs is no answer.
    """

    def __init__(
        self,
        stores: Mapping[str, Ask],
        seconds: float,
        say: Callable[[str], None],
        is_waiting: Callable[[str], bool],
    ) -> None:
        """Prepare.

        Args:
            stores: Name in messages -> a request that raises an exception if nothing answers.
            seconds: How long the job tries again.
            say: Receives a line when a wait begins, lasts and ends.
            is_waiting: Whether the job needs the store at this moment.
        """
        self._asks, self._is_waiting = stores, is_waiting
        then = "the job goes on"
        self._waits = {
            store: Wait(store, seconds, SETTING, say, goes_on=then, usual=USUAL_SECONDS)
            for store in stores
        }
        self._why = dict.fromkeys(stores, "no answer")
        self._lock, self._done = threading.Lock(), threading.Event()

    def __enter__(self) -> Self:
        threads = [threading.Thread(target=self._look, daemon=True)]
        threads += [
            threading.Thread(target=self._ask, args=(store,), daemon=True) for store in self._asks
        ]
        for thread in threads:
            thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._done.set()

    def began(self) -> float | None:
        """When the longest wait that was reported and lasts began, by the monotonic clock."""
        return min((wait.since for wait in self._waits.values() if wait.said), default=None)

    def waited_for(self) -> list[str]:
        """The stores that the job waits for, once that was reported."""
        return [store for store, wait in self._waits.items() if wait.said]

    def _ask(self, store: str) -> None:
        wait = self._waits[store]
        # While users wait for it, its return is noticed at once.
        while not self._done.wait(ASK_EVERY_SECONDS / (4 if wait.said else 1)):
            if not (wait.said or self._is_waiting(store)):
                # Between two batches: a store that was not asked has not failed to answer.
                with self._lock:
                    wait.answered()
                continue
            try:
                self._asks[store]()
            except Exception as error:
                # Its message may quote addresses and options; the class says enough.
                self._why[store] = f"no answer ({public_name(error)})"
                continue
            with self._lock:
                if not self._done.is_set():
                    wait.answered()
                    self._why[store] = "no answer"

    def _look(self) -> None:
        while not self._done.wait(LOOK_EVERY_SECONDS):
            with self._lock:
                for store, wait in self._waits.items():
                    if wait.said or self._is_waiting(store):
                        wait.unanswered(f"{self._why[store]}. Nothing is lost")
                    else:
                        wait.answered()
