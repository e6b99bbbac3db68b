"""Spark writes at the same time, as what each waits for is not what the others wait for."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pyspark import InheritableThread


def side_by_side(works: Sequence[Callable[[], None]]) -> None:
    """Do all at once, the first in this thread; when all have ended, raise the first's error.

    The threads are of the caller's job group, so that what stops a query stops them too.
    """
    errors: list[Exception | None] = [None] * len(works)

    def attempt(number: int) -> None:
        try:
            works[number]()
        except Exception as error:
            errors[number] = error

    others = [InheritableThread(attempt, args=(number,)) for number in range(1, len(works))]
    for thread in others:
        thread.start()
    if works:
        attempt(0)
    for thread in others:
        thread.join()
    for error in errors:
        if error is not None:
            raise error
