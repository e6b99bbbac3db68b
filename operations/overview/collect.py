"""Collects what is seen of a platform, once or again and again.

What does not answer is a trouble, in words; everything else is shown.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from threading import Lock
from typing import Final, Self, TypeVar

from confluent_kafka import KafkaException
from pymongo.errors import PyMongoError

from errors import JobError, MillraceError
from local_stack import stack
from local_stack.service import ServiceState
from operations.overview.confirmed import ConfirmedBatches
from operations.overview.model import Overview, PartitionView, PipelineView, ProofView, ServiceView
from operations.overview.proof import last_proof
from settings import Settings
from spark_jobs.pipeline import Pipeline
from spark_jobs.registry import pipelines_of
from spark_jobs.run.locks import held_job_locks, lock_path
from spark_jobs.sinks.driver_errors import explained
from spark_jobs.sinks.mongodb import confirmed_database, connect_mongodb
from spark_jobs.sources.broker import kafka_admin
from spark_jobs.sources.offsets import offsets_of
from spark_jobs.state.offset_ranges import Ranges

HISTORY: Final = 60
PATIENCE_SECONDS: Final = 3.0
# Asking each service, and looking for the locks of jobs, costs more than everything else.
SERVICES_EVERY_SECONDS: Final = 5.0
MOST_NAMED: Final = 3
BROKER, LEDGER = "kafka", "mongodb"
UNKNOWN: Final = {
    BROKER: "offsets and lag are unknown",
    LEDGER: "batches, dead letters and the last proof are as last seen, or unknown",
}
Found = TypeVar("Found")


def collect(
    settings: Settings, history: int = HISTORY, states: Sequence[ServiceState] = ()
) -> Overview:
    """What is seen now, with the last `history` batches of each pipeline.

    The services are not asked if their `states` are given.
    """
    with Observer(settings, history, states) as observer:
        return observer.look()


class Observer:
    """Looks at a platform; keeps connections, and the sums of the batches that it has seen.

    A look costs a request or two to each service, however large the ledger is, and at most seconds
    if one does not answer. Threads may share an observer: one looks after the other.
    """

    def __init__(
        self,
        settings: Settings,
        history: int = HISTORY,
        states: Sequence[ServiceState] = (),
        pipelines: Sequence[Pipeline] = (),
    ) -> None:
        """Find the pipelines, if none are given; no service is asked before the first look."""
        patience = min(settings.kafka_connect_timeout_seconds, PATIENCE_SECONDS)
        self._settings = settings.model_copy(update={"kafka_connect_timeout_seconds": patience})
        self.pipelines = pipelines or pipelines_of(settings)
        self._admin = kafka_admin(self._settings)
        self._client = connect_mongodb(settings, PATIENCE_SECONDS)
        self._database = confirmed_database(self._client, settings)
        self._batches = {
            part.name: ConfirmedBatches(self._database, part.name, history)
            for pipeline in self.pipelines
            for part in pipeline.parts()
        }
        self._services = _views_of(states)
        self._asked_at = time.monotonic() if states else float("-inf")
        self._locks: Mapping[str, int | None] = {}
        self._locks_at = float("-inf")
        self._proof: ProofView | None = None
        self._away: set[str] = set()
        self._troubles: list[str] = []
        self._lock = Lock()

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connections."""
        self._client.close()

    def look(self) -> Overview:
        """What is seen now."""
        with self._lock:
            self._away, self._troubles = set(), []
            self._services = self._asked_services()
            for service in self._services:
                if service.condition != "up" and (lacks := UNKNOWN.get(service.name)):
                    self._away.add(service.name)
                    self._troubles.append(f"{service.name} is {service.condition}: {lacks}.")
            topics = [pipeline.topic(self._settings) for pipeline in self.pipelines]
            pids = self._running()
            parts = [part for each in self.pipelines for part in self._parts(each, pids)]
            self._proof = self._ask(LEDGER, partial(last_proof, self._database), self._proof)
            # After the ledger: no topic that was read ends before what was confirmed by then.
            read = partial(offsets_of, self._admin, self._settings, topics)
            offsets: dict[str, dict[int, tuple[int, int]]] = self._ask(BROKER, read, {})
            return Overview(
                taken_at=datetime.now(UTC),
                services=self._services,
                pipelines=tuple(self._view(part, offsets, pids) for part in parts),
                proof=self._proof,
                troubles=tuple(self._troubles),
            )

    def _ask(self, service: str, read: Callable[[], Found], otherwise: Found) -> Found:
        """What `read` gives; `otherwise` and a trouble if the service does not answer.

        It is not asked again in this look.
        """
        if service in self._away:
            return otherwise
        try:
            return read()
        except JobError as error:
            self._troubles.append(str(error))
        except (MillraceError, PyMongoError, KafkaException) as error:
            self._away.add(service)
            if service == BROKER:
                # A client may hold on to what it knew of partitions whose leaders changed.
                self._admin = kafka_admin(self._settings)
            known = error if isinstance(error, MillraceError) else explained(error, self._settings)
            self._troubles.append(f"{known} Meanwhile {UNKNOWN[service]}.")
        return otherwise

    def _asked_services(self) -> tuple[ServiceView, ...]:
        if time.monotonic() - self._asked_at < SERVICES_EVERY_SECONDS:
            return self._services
        try:
            states = stack.asked_states(self._settings)
        except MillraceError as error:
            self._troubles.append(str(error))
            return self._services
        self._asked_at = time.monotonic()
        return _views_of(states)

    def _running(self) -> Mapping[str, int | None]:
        """Locks of jobs, each with its process."""
        if time.monotonic() - self._locks_at >= SERVICES_EVERY_SECONDS:
            self._locks = held_job_locks(self._settings)
            self._locks_at = time.monotonic()
        return self._locks

    def _parts(self, pipeline: Pipeline, pids: Mapping[str, int | None]) -> list[Pipeline]:
        """The parts of a pipeline that have batches or a job; the whole one if none has."""
        found = []
        for part in pipeline.parts():
            batches = self._batches[part.name]
            self._ask(LEDGER, batches.update, None)
            if batches.last or lock_path(part, self._settings).name in pids:
                found.append(part)
        return found or [pipeline]

    def _view(
        self, part: Pipeline, offsets: Mapping[str, Ranges], pids: Mapping[str, int | None]
    ) -> PipelineView:
        topic, batches = part.topic(self._settings), self._batches[part.name]
        lock = lock_path(part, self._settings).name
        # Before the ledger was read once, no lag is known.
        on_broker = offsets.get(topic, {}) if batches.is_known else {}
        partitions = tuple(
            PartitionView(topic, number, first, end, batches.confirmed(number, first))
            for number, (first, end) in sorted(on_broker.items())
        )
        self._troubles += _shortened(part.name, partitions)
        return PipelineView(
            name=part.name,
            family=part.family,
            topic=topic,
            job="running" if lock in pids else "not running",
            counts=batches.counts,
            history=tuple(batches.history),
            dead_letters=batches.counts.reasons,
            partitions=partitions,
            job_pid=pids.get(lock),
            rate=batches.rate(datetime.now(UTC)),
            is_known=batches.is_known,
        )


def _shortened(pipeline: str, partitions: Sequence[PartitionView]) -> Iterator[str]:
    """A trouble if partitions end before what is confirmed."""
    named = [f"{p.partition} at {p.end}" for p in partitions if p.lag is None]
    if named:
        more = f" and {len(named) - MOST_NAMED} more" if len(named) > MOST_NAMED else ""
        yield (
            f"Pipeline {pipeline}: the topic `{partitions[0].topic}` ends before what the ledger"
            f" has confirmed (partition {', '.join(named[:MOST_NAMED])}{more}), so it was made"
            " again or emptied, and the lag is unknown. A job of the pipeline says what to do."
        )


def _views_of(states: Sequence[ServiceState]) -> tuple[ServiceView, ...]:
    return tuple(
        ServiceView(s.name, s.condition, s.address, s.version, s.note or None) for s in states
    )
