"""Writes each micro-batch to all sinks and enters it into the ledger.

Every micro-batch goes through `BatchWriter.write`: records, dead letters, aggregates, and the
ledger last. A repeated batch has the same rows, and repeating a step with the same rows changes
nothing, so a crash at any moment loses and doubles nothing.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from threading import Thread
from typing import Any

from pymongo.database import Database
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.storagelevel import StorageLevel

from errors import JobError, MillraceError
from runtime import remedies
from settings import Settings
from spark_jobs.changes import BatchSummary
from spark_jobs.pipeline import Pipeline
from spark_jobs.planned import FEW_MESSAGES, planned
from spark_jobs.run.few_rows import FewRows, interpreted
from spark_jobs.run.watching import READING, Watcher
from spark_jobs.sinks.base import Batch
from spark_jobs.sinks.dead_letters import send_dead_letters, store_summaries
from spark_jobs.sinks.registry import sink_names, sinks_of
from spark_jobs.sources.kafka import OffsetRanges, count_messages
from spark_jobs.state.checkpoint import Checkpoint
from spark_jobs.state.clock import Moment, refuse_clock_ahead, refuse_dropped_rows
from spark_jobs.state.fault_points import fault_point
from spark_jobs.state.ledger import Confirmations, Counts, Document, Entry, Ledger
from spark_jobs.state.offset_ranges import Ranges, overlap, width
from spark_jobs.summaries import Summaries
from spark_jobs.transforms.outcomes import ALERT, REJECTED, STORED

logger = logging.getLogger(__name__)
READ_METRIC = "messages_read"
DEAD_LETTERS = "dead-letters"
REHEARSAL = "rehearsal"


class NotBegun(JobError):
    """A batch was due after the writer was closed."""


@dataclass
class BatchWriter:
    """Applies micro-batches of one query to all sinks and enters them into the ledger.

    Attributes:
        started: When the job started, by a clock that was trusted then.
        topic_id: The broker's id of the topic, for the ledger.
        code_fingerprint: Fingerprint of the code, for the ledger.
        lost: Offsets that the broker no longer has; the user accepted their loss.
        confirmed: The last batch that the ledger had when the query started.
        watcher: Learns how far each batch is.
        closed: Set by the caller: no further batch may begin.
        in_work: The batch that is being written, or was written last.
        busy: Whether a batch is being written.
        error: Why the last batch failed.
        summaries: Counts the batches.
        few_rows: Holds the rows of small batches.
        few_messages: The most messages of a small batch; fewer where rows are large.
    """

    pipeline: Pipeline
    settings: Settings
    spark: SparkSession
    database: Database[Document]
    checkpoint: Checkpoint
    not_before: datetime
    started: Moment = field(default_factory=lambda: Moment.now())
    topic_id: str | None = None
    code_fingerprint: str | None = None
    lost: Ranges = field(default_factory=dict)
    confirmed: int | None = None
    watcher: Watcher = field(default_factory=Watcher)
    closed: bool = False
    in_work: int | None = None
    busy: bool = False
    error: Exception | None = None
    summaries: Summaries = field(init=False)
    few_rows: FewRows = field(default_factory=FewRows)
    few_messages: int = field(default_factory=lambda: FEW_MESSAGES)
    _rehearsal: Thread | None = None

    def __post_init__(self) -> None:
        self.summaries = Summaries(self.pipeline.aggregates)

    def rehearse(self, arrivals: DataFrame) -> None:
        """Plan what is written of small batches, in another thread, with no rows at all.

        Meanwhile Spark plans the query and reads its first batch, which is written after both. It
        is tried once: if a store is away, the first batch plans, and says so.

        Args:
            arrivals: The query, whose rows are those of its batches.
        """
        rows = self.few_rows.like(arrivals)

        def plan() -> None:
            with suppress(Exception):
                summary = self.summaries.of(rows, 0)
                batch = Batch(_stored(rows), summary, query_id="", is_small=True)
                for sink in sinks_of(self.pipeline, self.settings, self.database):
                    sink.rehearse(batch)
                topic = self.pipeline.topic(self.settings)
                send_dead_letters(_rejected(rows), self.settings, topic, 0)
                store_summaries(_rejected(rows), self.database, 0, few=True)

        self._rehearsal = Thread(target=plan, name=REHEARSAL, daemon=True)
        self._rehearsal.start()

    def write(self, batch: DataFrame, batch_id: int) -> None:
        """Write one micro-batch; `foreachBatch` calls this.

        The error is kept, because Spark passes it on only as text.
        """
        try:
            self._begin(batch_id)
            self.busy = True
            self._write(batch, batch_id)
        except Exception as error:
            self.error = error
            raise
        finally:
            self.busy = False

    def _begin(self, batch_id: int) -> None:
        # In this order, as the other thread sets `closed` first and then reads `in_work`.
        before, self.in_work = self.in_work, batch_id
        if self.closed:
            self.in_work = before
            raise NotBegun(f"Batch {batch_id} was not begun because the job ends; it is repeated.")

    def _write(self, batch: DataFrame, batch_id: int) -> None:
        started = time.monotonic()
        self.watcher.at_step(self.pipeline.name, batch_id, READING)
        planned = self.checkpoint.planned_batch(batch_id)
        refuse_clock_ahead(planned, self.started, Moment.now(), self.settings.deduplication_days)
        refuse_dropped_rows(planned, self.not_before)
        ranges = self.checkpoint.ranges(batch_id)
        with interpreted(self.spark, width(ranges)):
            counts = self._write_rows(batch, batch_id, ranges, started)
        if counts is None:
            logger.info("query=%s batch_id=%d confirmed before", self.pipeline.name, batch_id)
            return
        logger.info(
            "query=%s batch_id=%d rows_in=%d rows_valid=%d rows_rejected=%d rows_filtered=%d"
            " duplicates=%d elapsed_s=%.1f",
            self.pipeline.name,
            batch_id,
            counts.read,
            counts.stored,
            counts.dead_lettered,
            counts.filtered,
            counts.duplicates,
            time.monotonic() - started,
        )

    def _write_rows(
        self, batch: DataFrame, batch_id: int, ranges: OffsetRanges, started: float
    ) -> Counts | None:
        """Write to all sinks and the ledger; None if the ledger has the batch already."""
        few = None
        if width(ranges) <= self.few_messages:
            few = self.few_rows.of(batch, self._rehearsed)
            # Where rows are large, the next batches like this one are not computed twice.
            fits = width(ranges) // 2 if few is None else 2 * self.few_messages
            self.few_messages = min(max(fits, 1), FEW_MESSAGES)
        # As objects: PySpark's other levels would serialize and parse them again for each use.
        kept = StorageLevel.MEMORY_AND_DISK_DESER
        classified = batch.persist(kept) if few is None else few
        try:
            summary = self.summaries.of(classified, width(ranges))
            # Spark's state has its ids now; if the batch is in the ledger, all sinks have it.
            if self.confirmed is not None and batch_id <= self.confirmed:
                return None
            counts = self._count(summary, ranges)
            # Offsets may advance without a message (aborted transactions); they are entered too.
            if any(end > start for start, end in ranges.values()):
                took = self._write_sinks(classified, summary, batch_id)
                seconds = round(time.monotonic() - started, 3)
                self._confirm(counts, ranges, batch_id, seconds=seconds, sink_seconds=took)
        finally:
            if few is None:
                classified.unpersist()
        return counts

    def _rehearsed(self) -> None:
        if self._rehearsal is not None:
            # From now on the DataFrames that it plans have rows.
            self._rehearsal.join()

    def _write_sinks(
        self, classified: DataFrame, summary: BatchSummary, batch_id: int
    ) -> dict[str, float]:
        """Write to every sink that has not confirmed the batch, even if another one fails.

        Returns the seconds of each sink that was written to.

        Raises:
            MillraceError: the first failing sink's error, after all were tried.
        """
        confirmations = Confirmations(
            self.database, self.pipeline.name, self._query_id(), batch_id, self.code_fingerprint
        )
        done = confirmations.sinks()
        failed: list[MillraceError] = []
        took: dict[str, float] = {}
        for name, point, write in self._steps(classified, summary, batch_id):
            if name in done:
                logger.info(
                    "query=%s batch_id=%d sink=%s has it", self.pipeline.name, batch_id, name
                )
                continue
            fault_point(point or f"before-{name}")
            self.watcher.at_step(self.pipeline.name, batch_id, name)
            started = time.monotonic()
            try:
                write()
            except MillraceError as error:
                failed.append(error)
                self.watcher.not_written(self.pipeline.name, name)
            else:
                took[name] = round(time.monotonic() - started, 3)
                confirmations.add(name)
        if failed:
            raise failed[0]
        return took

    def _steps(
        self, classified: DataFrame, summary: BatchSummary, batch_id: int
    ) -> Iterator[tuple[str, str, Callable[[], None]]]:
        """What there is to write, by name and fault point; aggregates when all else is written."""
        is_small = classified is self.few_rows.rows
        batch = Batch(_stored(classified), summary, self._query_id(), is_small=is_small)
        sinks = sinks_of(self.pipeline, self.settings, self.database) if summary.stored else []

        def steps(*, of_aggregates: bool) -> Iterator[tuple[str, str, Callable[[], None]]]:
            for sink in sinks:
                if bool(sink.collections) is of_aggregates:
                    yield sink.name, sink.fault_point, partial(sink.write_batch, batch, batch_id)

        yield from steps(of_aggregates=False)
        if summary.outcomes[REJECTED]:
            write = partial(self._write_rejected, _rejected(classified), batch_id, few=is_small)
            yield DEAD_LETTERS, "", write
        yield from steps(of_aggregates=True)

    def _write_rejected(self, rejected: DataFrame, batch_id: int, *, few: bool) -> None:
        send_dead_letters(rejected, self.settings, self.pipeline.topic(self.settings), batch_id)
        fault_point("between-dead-letters-and-summaries")
        store_summaries(rejected, self.database, batch_id, few=few)

    def _confirm(self, counts: Counts, ranges: OffsetRanges, batch_id: int, **took: Any) -> None:
        fault_point("before-ledger")
        entry = Entry(
            pipeline=self.pipeline.name,
            topic=self.pipeline.topic(self.settings),
            query_id=self._query_id(),
            batch_id=batch_id,
            offsets=ranges,
            counts=counts,
            sinks=sink_names(self.pipeline, self.settings, self.database),
            hash_key_id=self.pipeline.hash_key_id(self.settings),
            topic_id=self.topic_id,
            code_fingerprint=self.code_fingerprint,
            moment=Moment.now(),
            accepted_loss=overlap(self.lost, ranges),
            **took,
        )
        Ledger(self.database, self.pipeline.name).confirm(entry)
        self.watcher.confirmed(entry)
        fault_point("before-commit")

    def _count(self, summary: BatchSummary, ranges: OffsetRanges) -> Counts:
        """Counts of a batch; messages that deduplication dropped are duplicates."""
        arrived = sum(summary.outcomes.values())
        ranges = self._without_lost(ranges)
        read = width(ranges)
        if arrived != read and self._observed_read() != read:
            # Offsets without a message (transactions, compaction), or a task that ran and was
            # observed twice: count the messages on the topic.
            topic = self.pipeline.topic(self.settings)
            read = count_messages(self.spark, self.settings, topic, ranges) if ranges else 0
        if arrived > read:
            raise JobError(
                f"A batch of {read} messages of the topic `{self.pipeline.topic(self.settings)}`"
                f" gave {arrived} rows: the topic changed while it was read. Start the job again;"
                " if this error returns, run `make verify`."
            )
        return Counts(
            read=read,
            stored=summary.stored,
            dead_lettered=summary.outcomes[REJECTED],
            filtered=summary.outcomes["filtered"],
            duplicates=read - arrived,
            alerts=summary.outcomes[ALERT],
            reasons=dict(sorted(summary.reasons.items())),
        )

    def _without_lost(self, ranges: OffsetRanges) -> OffsetRanges:
        """A batch's ranges without the accepted loss: the broker must have all of these."""
        lost = overlap(self.lost, ranges)
        left = {p: (lost.get(p, (0, start))[1], end) for p, (start, end) in ranges.items()}
        return {p: (start, end) for p, (start, end) in left.items() if start < end}

    def _observed_read(self) -> int | None:
        """Messages that the source gave to this batch, as Spark observed; None if unknown.

        Only a hint that saves reading the topic again: if it does not match, messages are counted.
        """
        for query in self.spark.streams.active:
            if query.id == self._query_id():
                execution = query._jsq.streamingQuery().lastExecution()  # noqa: SLF001 - no API
                metrics = execution.observedMetrics()
                if metrics.contains(READ_METRIC):
                    return int(metrics.apply(READ_METRIC).getLong(0))
        return None

    def _query_id(self) -> str:
        query_id = self.checkpoint.query_id()
        if query_id is None:
            raise JobError(
                f"The checkpoint `{self.checkpoint.path}` lost its `metadata` while the job ran."
                " Restore the folder, or start from scratch with"
                f" `{remedies.reset(self.pipeline.family, self.settings)}`."
            )
        return query_id


def _stored(classified: DataFrame) -> DataFrame:
    return planned(classified, STORED, lambda rows: rows.filter(F.col("outcome").isin(*STORED)))


def _rejected(classified: DataFrame) -> DataFrame:
    return planned(classified, REJECTED, lambda rows: rows.filter(F.col("outcome") == REJECTED))
