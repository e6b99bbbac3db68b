"""Carries out a replay: selects the messages that were stored and writes them again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from pymongo.database import Database
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from operations.repair.batches import ReplayBatch, hull
from operations.repair.checks import (
    OutcomesByBatch,
    checkable_before,
    refuse_differing,
    refuse_gaps,
)
from operations.repair.plan import ReplayPlan
from operations.verify.on_spark import batch_session, kept
from operations.verify.spark_errors import explained_errors
from settings import Settings
from spark_jobs.changes import BatchSummary
from spark_jobs.sinks.base import Batch, Sink
from spark_jobs.sinks.dead_letters import store_summaries
from spark_jobs.sinks.mongodb import MongoAggregates
from spark_jobs.sinks.registry import sink_names, sinks_of
from spark_jobs.sources.kafka import count_messages, read_messages
from spark_jobs.sources.local_rows import local_rows
from spark_jobs.state.ledger import Counts, Document, Entry, Ledger, forget_confirmations
from spark_jobs.state.offset_ranges import width
from spark_jobs.targets import PLACE
from spark_jobs.transforms.deduplicate import (
    BATCH_RANGES,
    select_first_of_batches,
    with_batch_ids,
)
from spark_jobs.transforms.outcomes import ALERT, REJECTED, STORED


@dataclass
class Replayed:
    """What a replay did.

    Attributes:
        batches: How many were applied, wholly or in part.
        messages: How many messages were replayed.
        written: What was written to the sink -> how many.
    """

    batches: int = 0
    messages: int = 0
    written: dict[str, int] = field(default_factory=dict)


@dataclass
class _Replay:
    plan: ReplayPlan
    settings: Settings
    spark: SparkSession
    database: Database[Document]
    say: Callable[[str], None]

    @property
    def topic(self) -> str:
        return self.plan.pipeline.topic(self.settings)

    @property
    def has_aggregates(self) -> bool:
        """Whether the pipeline stores aggregates."""
        sinks = sinks_of(self.plan.pipeline, self.settings, self.database)
        return any(sink.collections for sink in sinks)

    def classified(self, batches: list[ReplayBatch]) -> DataFrame:
        """The topic's messages between the batches' first and last offsets, classified."""
        messages = read_messages(self.spark, self.settings, self.topic, hull(batches))
        return messages.transform(self.plan.pipeline.classify, self.settings)

    def deduplicated(self) -> DataFrame:
        """Batch, place and outcome of each message that passed deduplication."""
        return (
            self.classified(self.plan.history)
            .select("record_id", "outcome", "kafka_timestamp", *PLACE)
            .transform(with_batch_ids, self.ranges(self.plan.history))
            .transform(select_first_of_batches)
        )

    def ranges(self, batches: list[ReplayBatch]) -> DataFrame:
        rows = [(b.batch_id, p, start, end) for b in batches for p, (start, end) in b.read.items()]
        return local_rows(self.spark, rows, BATCH_RANGES)

    def to_sink_in_parts(self, sink: Sink, chosen: DataFrame) -> dict[str, int]:
        """Write the rows of all batches at once, to a sink that does not remember batches."""
        stored = (
            chosen.filter(F.col("outcome").isin(*STORED))
            .drop("batch_id")
            .transform(with_batch_ids, self.ranges(self.plan.replayed))
            .select(*PLACE)
        )
        with kept(stored) as places:
            records = self.classified(self.plan.replayed).join(places, [*PLACE], "left_semi")
            sink.check()
            # The sink uses the batch number only in errors.
            nothing = BatchSummary(Counter(), Counter())
            batch = Batch(records, nothing, self.plan.query_id, is_replay=True)
            sink.write_batch(batch, self.plan.replayed[-1].batch_id)
            return {"rows in each table": places.count()}

    def to_sink(self, sink: Sink, chosen: DataFrame) -> dict[str, int]:
        """Write each whole batch, with its own number, to a sink that remembers batches."""
        written = Counter[str]()
        sink.check()
        for batch in self.plan.replayed:
            with kept(self.arrived([batch], chosen)) as rows:
                summary = self._summary(rows)
                records = rows.filter(F.col("outcome").isin(*STORED))
                if summary.stored:
                    given = Batch(records, summary, self.plan.query_id, is_replay=True)
                    sink.write_batch(given, batch.batch_id)
            written["batches, written or already there"] += 1
            self.say(f"batch {batch.batch_id}: {width(batch.read)} messages")
        return dict(written)

    def to_ledger(self, chosen: DataFrame) -> dict[str, int]:
        written: Counter[str] = Counter()
        for batch in self.plan.replayed:
            with kept(self.arrived([batch], chosen)) as rows:
                summary = self._apply(rows, batch.batch_id)
            if batch.entry is None:
                Ledger(self.database, self.plan.pipeline.name).confirm(self._entry(batch, summary))
                written["batches added to the ledger"] += 1
            written["changes of documents, applied or already there"] += len(summary.changes)
            written["summaries of dead letters"] += summary.outcomes[REJECTED]
            self.say(f"batch {batch.batch_id}: {width(batch.read)} messages")
        return dict(written)

    def arrived(self, batches: list[ReplayBatch], chosen: DataFrame) -> DataFrame:
        """The classified messages of consecutive batches that passed deduplication."""
        first, last = batches[0].batch_id, batches[-1].batch_id
        places = chosen.filter(F.col("batch_id").between(first, last)).select(*PLACE)
        return self.classified(batches).join(places, [*PLACE], "left_semi")

    def summary_of(self, batches: list[ReplayBatch], chosen: DataFrame) -> BatchSummary:
        """Counts and changes of consecutive batches together."""
        return self._summary(self.arrived(batches, chosen))

    def _summary(self, rows: DataFrame) -> BatchSummary:
        collected = self.plan.pipeline.summarise(rows).collect()
        return self.plan.pipeline.roll_up(row.asDict() for row in collected)

    def _apply(self, rows: DataFrame, batch_id: int) -> BatchSummary:
        summary = self._summary(rows)
        if summary.outcomes[REJECTED]:
            rejected = rows.filter(F.col("outcome") == REJECTED)
            store_summaries(rejected, self.database, batch_id)
        if self.has_aggregates:
            MongoAggregates(self.database, self.plan.query_id).apply(summary.changes, batch_id)
        return summary

    def _entry(self, batch: ReplayBatch, summary: BatchSummary) -> Entry:
        outcomes = summary.outcomes
        read = count_messages(self.spark, self.settings, self.topic, batch.read)
        entry = Entry(
            pipeline=self.plan.pipeline.name,
            topic=self.topic,
            query_id=self.plan.query_id,
            batch_id=batch.batch_id,
            offsets=batch.offsets,
            counts=Counts(
                read=read,
                stored=sum(outcomes[outcome] for outcome in STORED),
                dead_lettered=outcomes[REJECTED],
                filtered=outcomes["filtered"],
                duplicates=read - outcomes.total(),
                alerts=outcomes[ALERT],
                reasons=dict(sorted(summary.reasons.items())),
            ),
            sinks=sink_names(self.plan.pipeline, self.settings, self.database),
            hash_key_id=self.plan.pipeline.hash_key_id(self.settings),
        )
        before = self.plan.last_entry
        if before is None:
            return entry
        # Topic and code have not changed since, or the job would have refused to continue. A new
        # sink is added to all entries together, once it has every batch.
        return replace(
            entry,
            topic_id=before.topic_id,
            code_fingerprint=before.code_fingerprint,
            sinks=before.sinks,
        )


def apply_replay(
    plan: ReplayPlan,
    settings: Settings,
    spark: SparkSession,
    database: Database[Document],
    say: Callable[[str], None],
) -> Replayed:
    """Write the planned batches again; after an interruption it can be run again.

    Raises:
        JobError: the messages do not match the ledger; nothing was written.
        SinkError: a store did not confirm everything.
    """
    with explained_errors(f"what was sent to `{plan.pipeline.topic(settings)}`"):
        messages = sum(width(batch.read) for batch in plan.history)
        return _applied(_Replay(plan, settings, batch_session(spark, messages), database, say))


def _applied(run: _Replay) -> Replayed:
    plan, database = run.plan, run.database
    # The unfinished batch may have been written before the store was restored.
    forget_confirmations(database, plan.pipeline.name, plan.sink_name)
    with kept(run.deduplicated()) as chosen:
        groups = chosen.groupBy("batch_id", "outcome").count().collect()
        found: OutcomesByBatch = {batch.batch_id: Counter() for batch in plan.history}
        for row in groups:
            found[row.batch_id][row.outcome] = row["count"]
        refuse_differing(plan, found)
        if plan.sink:
            write = run.to_sink_in_parts if plan.sink.takes_parts else run.to_sink
            written = write(plan.sink, chosen)
        else:
            if run.has_aggregates and (earlier := checkable_before(plan, found)):
                refuse_gaps(database, plan, run.summary_of(earlier, chosen).changes)
            written = run.to_ledger(chosen)
    if plan.sink or run.has_aggregates:
        # The sink now has all batches.
        Ledger(database, plan.pipeline.name).add_sink(plan.sink_name)
    messages = sum(width(batch.read) for batch in plan.replayed)
    return Replayed(len(plan.replayed), messages, written)
