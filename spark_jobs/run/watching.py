"""What others may learn of a running job, such as metrics and a live board.

Nothing that a watcher does, or fails at, changes the job.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final

from settings import Settings
from spark_jobs.sources.consumer_group import ConsumerGroups, group_consumer
from spark_jobs.state.ledger import Entry

logger = logging.getLogger(__name__)
# The first step of a batch; the next ones have the names of sinks.
READING = "reading"


class Watcher:
    """Learns what a job does. A method that is not defined ignores its event."""

    def started(self, pipeline: str, topic: str, last: Entry | None) -> None:
        """A pipeline's query is about to start after the last confirmed batch."""

    def at_step(self, pipeline: str, batch_id: int, step: str) -> None:
        """A batch has come to a step: `READING`, then the name of each sink."""

    def not_written(self, pipeline: str, sink: str) -> None:
        """A sink did not confirm a batch, which will be tried again."""

    def confirmed(self, entry: Entry) -> None:
        """A batch was entered into the ledger."""

    def waits_for(self, stores: Callable[[], Sequence[str]]) -> None:
        """The job runs; the function gives the stores that it waits for at any moment."""

    def ended(self) -> None:
        """The job ends."""


EVENTS: Final = frozenset(name for name in vars(Watcher) if not name.startswith("_"))


class CommittedGroups(Watcher):
    """Commits the offsets of confirmed batches to the pipelines' consumer groups."""

    def __init__(self, settings: Settings) -> None:
        """Commit on the broker in the settings."""
        self._groups = ConsumerGroups(partial(group_consumer, settings))

    def started(self, pipeline: str, topic: str, last: Entry | None) -> None:
        """Commit what an earlier job could not."""
        if last is not None:
            self._commit(pipeline, topic, last)

    def confirmed(self, entry: Entry) -> None:
        """Commit a batch."""
        self._commit(entry.pipeline, entry.topic, entry)

    def ended(self) -> None:
        """Wait a moment for the last commits."""
        self._groups.finish()

    def _commit(self, pipeline: str, topic: str, entry: Entry) -> None:
        ends = {partition: end for partition, (_, end) in entry.offsets.items()}
        self._groups.commit(pipeline, topic, ends)


class Watchers(Watcher):
    """Several watchers; an error of one is logged and reaches no one else."""

    def __init__(self, watchers: Sequence[Watcher] = ()) -> None:
        """Pass everything on to these."""
        self._watchers = tuple(watchers)

    def __getattribute__(self, name: str) -> Any:
        """An event is passed on; anything else is this object's own."""
        return partial(self._tell, name) if name in EVENTS else super().__getattribute__(name)

    def _tell(self, event: str, *facts: Any) -> None:
        for watcher in self._watchers:
            try:
                getattr(watcher, event)(*facts)
            except Exception as error:
                # Drivers quote values in their messages; the class says enough.
                name, kind = type(watcher).__name__, type(error).__name__
                logger.warning("%s missed `%s` (%s); the job goes on", name, event, kind)
