"""One pipeline's streaming query: its start, its restarts after outages, its end.

A store outage delays a query: it is restarted from its checkpoint for up to `STORE_RETRY_SECONDS`;
then the job ends with an error that names the store.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from pymongo.database import Database
from pymongo.errors import PyMongoError
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.streaming.query import StreamingQuery

from errors import JobError, MillraceError, SinkRejected, SinkUnavailable
from runtime.wait import SAY_EVERY_SECONDS, span_of
from settings import Settings
from spark_jobs.pipeline import Pipeline
from spark_jobs.run.batch_writer import READ_METRIC, BatchWriter, NotBegun
from spark_jobs.run.culprit import first_failing
from spark_jobs.run.outages import SETTING as OUTAGE_SETTING
from spark_jobs.run.watching import Watcher
from spark_jobs.session.session import deduplication_partitions
from spark_jobs.sinks.driver_errors import explained_mongodb
from spark_jobs.sources.kafka import stream_messages
from spark_jobs.sources.topics import topic_state
from spark_jobs.start_checks.findings import NOTHING_STARTED, refuse
from spark_jobs.start_checks.fingerprint import Fingerprint
from spark_jobs.start_checks.guard import check_start
from spark_jobs.state.acceptance import NOTHING, Accepted
from spark_jobs.state.checkpoint import checkpoint_of
from spark_jobs.state.clock import Moment, earliest_clock, set_planned_batch_right
from spark_jobs.state.ledger import Document, Ledger
from spark_jobs.state.offset_ranges import Ranges
from spark_jobs.state.store_errors import OUTAGE_PATTERN
from spark_jobs.transforms.deduplicate import select_first_arrivals

logger = logging.getLogger(__name__)
LONGEST_PAUSE_SECONDS = 15
REFUSALS_DOUBTED = 2
# A stop request and the other pipelines wait for the answer.
RETRY_ASKS_SECONDS = 2
POLL_SECONDS = 0.1


def deduplicated(
    messages: DataFrame,
    pipeline: Pipeline,
    settings: Settings,
    *,
    partitions: int,
    not_before: datetime,
) -> DataFrame:
    """Messages as a micro-batch receives them: classified, and each id once.

    Columns in: as of `stream_messages`.
    Columns out: as of the pipeline's `classify`.
    Grain: one id. `READ_METRIC` observes the number of messages.
    """
    return (
        messages.transform(pipeline.classify, settings)
        # Between the two, so that Spark does not merge them into one projection: the clock is a
        # literal in each batch, and code that contains it is compiled for every batch.
        .observe(READ_METRIC, F.count(F.lit(1)).alias("messages"))
        .transform(
            select_first_arrivals,
            days=settings.deduplication_days,
            partitions=partitions,
            not_before=not_before,
        )
    )


@dataclass(frozen=True)
class RunOptions:
    """How a job's queries run, and which findings they accept at their start."""

    available_now: bool = False
    starting_offsets: str = "earliest"
    accepted: Accepted = NOTHING
    # The last sentence of a refusal, which differs if services were started before.
    when_refused: str = NOTHING_STARTED


@dataclass
class PipelineRun:
    """One pipeline's query, its restarts and its end.

    `topic_id`, `code` and `lost` are what the checks before the start found.
    """

    pipeline: Pipeline
    settings: Settings
    spark: SparkSession
    database: Database[Document]
    options: RunOptions
    topic_id: str | None = None
    code: Fingerprint | None = None
    lost: Ranges = field(default_factory=dict)
    started: Moment = field(default_factory=lambda: Moment.now())
    query: StreamingQuery | None = None
    writer: BatchWriter | None = None
    done: bool = False
    # Since when a store has not answered; what receives a line that users must see.
    away_since: Callable[[], float | None] = lambda: None
    warn: Callable[[str], object] = logger.warning
    watcher: Watcher = field(default_factory=Watcher)
    _passes_loss: bool = False
    _outage_since: float | None = None
    _retry_at: float = 0.0
    _say_at: float = 0.0
    _failures: int = 0
    _refusals: int = 0

    def start(self) -> None:
        """Start the query from its checkpoint."""
        name, settings = self.pipeline.name, self.settings
        checkpoint = checkpoint_of(settings, self.pipeline.name)
        set_planned_batch_right(checkpoint, Moment.now(), settings.deduplication_days)
        not_before = earliest_clock(checkpoint, settings.deduplication_days)
        partitions = checkpoint.shuffle_partitions() or deduplication_partitions(self.spark)
        confirmed = Ledger(self.database, name).last()
        self.watcher.started(name, self.pipeline.topic(settings), confirmed)
        self.writer = BatchWriter(
            self.pipeline,
            settings,
            self.spark,
            self.database,
            checkpoint,
            not_before,
            started=self.started,
            topic_id=self.topic_id,
            code_fingerprint=str(self.code) if self.code else None,
            lost=self.lost,
            confirmed=confirmed.batch_id if confirmed else None,
            watcher=self.watcher,
        )
        self._passes_loss = self._has_loss_before_it()
        arrivals = stream_messages(
            self.spark,
            settings,
            self.pipeline.topic(settings),
            starting_offsets=self.options.starting_offsets,
            fail_on_data_loss=not self._passes_loss,
        ).transform(
            deduplicated, self.pipeline, settings, partitions=partitions, not_before=not_before
        )
        if not self._failures:
            self.writer.rehearse(arrivals)
        trigger: dict[str, Any] = (
            {"availableNow": True}
            if self.options.available_now
            else {"processingTime": f"{settings.trigger_interval_seconds} seconds"}
        )
        self.query = (
            arrivals.writeStream.queryName(name)
            .option("checkpointLocation", checkpoint.url)
            .trigger(**trigger)
            .foreachBatch(self.writer.write)
            .start()
        )
        logger.info("query=%s started checkpoint=%s", name, checkpoint.path)

    def poll(self) -> None:
        """Check on the query: note its end, or restart it after an outage.

        Raises:
            MillraceError: the query ended with an error that a retry cannot fix.
        """
        if self.done:
            return
        if self.query is None:
            if time.monotonic() >= self._retry_at:
                self._start_again()
            return
        if self.query.isActive:
            if self._passes_loss and not self._has_loss_before_it():
                self._restart_strictly()
            elif self._outage_since and self.query.lastProgress:
                self._go_on_after_outage()
            return
        error = self._error()
        if error is None:
            self.done = True
            if self._outage_since:
                self._go_on_after_outage()
            logger.info("query=%s ended", self.pipeline.name)
            return
        if isinstance(error, NotBegun) and self._passes_loss:
            self._start_again()
            return
        self._plan_retry(error)

    def _go_on_after_outage(self) -> None:
        self.warn(f"query={self.pipeline.name} continues after the outage")
        self._outage_since, self._failures, self._refusals, self._say_at = None, 0, 0, 0.0

    def _restart_strictly(self) -> None:
        """Restart after the accepted loss, so that any further loss stops the query again."""
        self.close()
        if self.query is None or self.is_at_work():
            return
        self.query.stop()
        logger.info("query=%s passed the accepted loss", self.pipeline.name)
        self._start_again()

    def needs_stores(self) -> bool:
        """Whether it cannot go on without its stores: a batch is written, or is to be repeated."""
        if self.done:
            return False
        return self.query is None or (self.writer is not None and self.writer.busy)

    def close(self) -> None:
        """Let no further batch begin."""
        if self.writer is not None:
            self.writer.closed = True

    def is_at_work(self) -> bool:
        """Whether a batch is being written or waits for Spark's commit."""
        if self.query is None or self.writer is None or not self.query.isActive:
            return False
        batch_id, committed = self.writer.in_work, self.writer.checkpoint.last_committed()
        return batch_id is not None and (committed is None or committed < batch_id)

    def stop_summary(self) -> str:
        """Describes what a stop at this moment does to the batch."""
        if self.writer is None or self.writer.in_work is None:
            return "had no batch to finish"
        if self.is_at_work():
            return f"abandoned batch {self.writer.in_work}, which will be repeated"
        if self.writer.error is not None and not isinstance(self.writer.error, NotBegun):
            return f"batch {self.writer.in_work} had failed and will be repeated"
        return "finished its batch"

    def _has_loss_before_it(self) -> bool:
        after = checkpoint_of(self.settings, self.pipeline.name).next_offsets()
        return any(after.get(partition, 0) < end for partition, (_, end) in self.lost.items())

    def _start_again(self) -> None:
        """Start after an outage, unless the service is still down or the topic was replaced."""
        try:
            topic = self.pipeline.topic(self.settings)
            state = topic_state(self.settings, topic, timeout_seconds=RETRY_ASKS_SECONDS)
            if self.topic_id != state.topic_id:
                ledger, accepted = Ledger(self.database, self.pipeline.name), self.options.accepted
                refuse(check_start(self.pipeline, self.settings, ledger, accepted).findings)
                self.topic_id = state.topic_id
            self.start()
        except MillraceError as error:
            self._plan_retry(error)
        except PyMongoError as error:
            self._plan_retry(explained_mongodb(error, self.settings))

    def _plan_retry(self, error: MillraceError) -> None:
        now = time.monotonic()
        self._outage_since = self._outage_since or self.away_since() or now
        self._refusals = self._refusals + 1 if isinstance(error, SinkRejected) else 0
        if not self._is_worth_a_retry(error, now - self._outage_since):
            raise error
        pause = min(2**self._failures, LONGEST_PAUSE_SECONDS)
        self._failures += 1
        self._retry_at = now + pause
        self.query = None
        if now >= self._say_at:
            self._say_at = now + SAY_EVERY_SECONDS
            span = span_of(self._outage_since, self.settings.store_retry_seconds, OUTAGE_SETTING)
            self.warn(f"query={self.pipeline.name} waits {span}: {error}")

    def _is_worth_a_retry(self, error: MillraceError, seconds: float) -> bool:
        if isinstance(error, SinkUnavailable):
            return seconds <= self.settings.store_retry_seconds
        # Drivers report some outages in words that OUTAGE_PATTERN does not list, so only the third
        # refusal in a row is believed.
        return 0 < self._refusals <= REFUSALS_DOUBTED

    def _error(self) -> MillraceError | None:
        """Why the query failed; None if it ended normally."""
        if self.query is None or (failure := self.query.exception()) is None:
            return None
        own = self.writer.error if self.writer else None
        if isinstance(own, MillraceError):
            return own
        text = str(own or failure)
        name = self.pipeline.name
        logger.debug("query=%s failed: %s", name, _class_of(text))
        if OUTAGE_PATTERN.search(text):
            return SinkUnavailable(
                f"Pipeline {name} lost a service ({_class_of(text)}). Nothing is lost: the batch"
                " is repeated. Check that all services are up (`make status`)."
            )
        return JobError(
            f"Pipeline {name} stopped: {_class_of(text)}.{self._culprit()} Nothing is lost; its log"
            f" `{self.settings.millrace_home / 'logs'}` has the details (`make logs SERVICE=jobs`)."
        )

    def _culprit(self) -> str:
        """The message that the batch fails at, in words; nothing where no message is the cause."""
        checkpoint = checkpoint_of(self.settings, self.pipeline.name)
        planned = checkpoint.last_planned()
        if planned is None or planned == checkpoint.last_committed():
            return ""
        ranges = checkpoint.ranges(planned)
        found = first_failing(self.spark, self.settings, self.pipeline, ranges)
        return f" The first message that fails is `{found}`." if found else ""


def _class_of(text: str) -> str:
    """The class of a failure, without its message, which may contain a record's values."""
    words = text.replace("\n", " ").replace(":", " ").split()
    named = [w for w in words if w.endswith(("Exception", "Error")) and "StreamingQuery" not in w]
    return named[-1].rsplit(".", 1)[-1] if named else "unknown failure"
