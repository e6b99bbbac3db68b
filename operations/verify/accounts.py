"""The accounts of each pipeline: broker, ledger and stores must agree, number by number.

While a job runs, everything is exact for the batches that the ledger has confirmed: tables, dead
letters and summaries are checked up to the last confirmed offsets, the aggregates at a moment when
they match the last confirmed batch. What comes later, at most one unfinished micro-batch and
messages that no job has read, is not checked.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

from py4j.protocol import Py4JError
from pymongo.database import Database
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession

from operations.pipelines import (
    present_parts,
    settings_of_part,
    topic_offsets,
)
from operations.verify.account import Account, StoreCount
from operations.verify.against_messages import content_faults
from operations.verify.checkpoint_reading import CheckpointReading
from operations.verify.contents import Contents, read_contents
from operations.verify.coverage import accepted_losses
from operations.verify.dead_letters import DeadLetterAccount
from operations.verify.differences import differences_by_id, excesses, shortened
from operations.verify.expected import expected_records
from operations.verify.expected_aggregates import (
    ExpectedAggregates,
    expected_aggregates,
    taken_offsets,
)
from operations.verify.ledger_account import ledger_account
from operations.verify.ledger_checks import ledger_against_messages
from operations.verify.marks import mark_account
from operations.verify.messages import Messages, messages_of
from operations.verify.on_spark import KEPT, batch_session, size_shuffles
from operations.verify.sink_accounts import account_of_sinks
from operations.verify.sink_contents import SinkReading
from operations.verify.snapshot import SETTLE_SECONDS, LedgerSnapshot, take_snapshot
from operations.verify.spark_errors import OVERFLOW, explained_errors
from operations.verify.topic_accounts import account_of_topics
from operations.verify.unreadable import unreadable_rows
from runtime import remedies
from settings import Settings
from spark_jobs.pipeline import Pipeline
from spark_jobs.run.locks import running_job
from spark_jobs.sinks.base import Sink
from spark_jobs.sinks.registry import sinks_of
from spark_jobs.sources.topics import topic_state
from spark_jobs.state.checkpoint import checkpoint_of
from spark_jobs.state.ledger import Ledger
from spark_jobs.state.offset_ranges import Ranges

Document = dict[str, Any]
Offsets = dict[int, tuple[int, int]]


def take_accounts(
    settings: Settings,
    database: Database[Document],
    spark: SparkSession,
    pipelines: Sequence[Pipeline],
) -> list[Account]:
    """Take the account of each pipeline, with every difference as a line of text.

    Reads every topic, table and aggregate once; rows of blocks that differ are read again.

    Raises:
        MillraceError: a service did not answer or lacks a table or topic.
    """
    parts = [part for pipeline in pipelines for part in present_parts(pipeline, database)]

    def account(part: Pipeline) -> Account:
        with explained_errors(f"what pipeline {part.name} stored"):
            fed = settings_of_part(part, settings, database)
            return _Accountant(fed, database, batch_session(spark), part).account()

    # In parallel, as each alternates between planning and running tasks.
    with ThreadPoolExecutor(max_workers=max(len(parts), 1)) as pool:
        return list(pool.map(account, parts))


class _Accountant:
    """Takes the account of one pipeline."""

    def __init__(
        self,
        settings: Settings,
        database: Database[Document],
        spark: SparkSession,
        pipeline: Pipeline,
    ) -> None:
        self.settings, self.database, self.spark = settings, database, spark
        self.pipeline = pipeline
        self.topic = pipeline.topic(settings)
        sinks = sinks_of(pipeline, settings, database)
        self.source = next((sink for sink in sinks if sink.is_source), None)
        aggregates = pipeline.aggregates if any(sink.collections for sink in sinks) else ()
        self.copies = [s for s in sinks if s is not self.source and not s.collections]
        self.is_running = running_job(pipeline, settings) is not None
        # Only a job changes the stores; with an external stack it may run on another machine.
        may_move = self.is_running or settings.stack != "embedded"
        seconds = SETTLE_SECONDS if may_move else 0
        # Before the ledger: messages that expire while a job reads on are not lost.
        first = {p: low for p, (low, _) in topic_offsets(settings, self.topic).items()}
        ledger = Ledger(database, pipeline.name)
        self.checkpoint = CheckpointReading(checkpoint_of(settings, pipeline.name))
        self.snapshot: LedgerSnapshot = take_snapshot(
            ledger, self.topic, aggregates, self.checkpoint, seconds
        )
        # After the ledger: it never names what the broker does not have.
        self.state = topic_state(settings, self.topic)
        self.offsets: Offsets = {
            p: (first.get(p, low), high) for p, (low, high) in self.state.offsets.items()
        }
        self.counts = self.snapshot.counts
        size_shuffles(spark, self.counts.read)
        self.stores: list[StoreCount] = []
        self.faults: list[str] = []
        self.reached: dict[str, dict[str, dict[int, int]]] = {}
        self.differing: dict[str, set[str]] = {}
        self.notes = accepted_losses(self.snapshot.entries)

    def account(self) -> Account:
        """Everything about one pipeline."""
        details = self._dead_letters()
        with ExitStack() as kept:
            contents = None
            if self.source:
                contents = self._contents(self.source, kept)
                details += self._tables(contents) if contents else self.faults
            shape = contents.shape if contents else None
            read = (self.settings, self.pipeline, self.snapshot, self.offsets, shape)
            messages = kept.enter_context(messages_of(self.spark, *read))
            if messages is not None:
                details += self._messages(messages, contents)
            records = self._records(contents, messages)
            if records is not None:
                kept.callback(records.persist(KEPT).unpersist)
            source = contents.source if contents else f"the topic {self.topic}"
            details += self._aggregates(contents, records, source) + self._marks()
            details += self._other_sinks(records, messages, source)
            self.notes += sorted(messages.notes) if messages else []
        self._unfinished()
        faults = self._ledger() + [
            f"{store.store} {store.place}: {store.sums_what} is {store.sum_found},"
            f" the ledger says {store.sum_expected} ({store.sum_found - store.sum_expected:+d})"
            for store in self.stores
            if not store.agrees
        ]
        return Account(
            self.pipeline.name,
            self.topic,
            self.counts.read + self._waiting(),
            self.counts,
            self.stores,
            faults + details,
            self.notes,
            self.is_running,
        )

    def _contents(self, source: Sink, kept: ExitStack) -> Contents | None:
        """What the tables hold; None, and faults, if some rows cannot be read."""
        until = self.snapshot.read_until
        tables = [*source.rows()]
        try:
            reading = read_contents(self.spark, self.pipeline, tables, until, self.offsets)
            return kept.enter_context(reading)
        except (Py4JError, PySparkException) as error:
            if OVERFLOW not in str(error):
                raise
            self.faults += unreadable_rows(self.settings, self.pipeline)
            if not self.faults:
                raise
            return None

    def _ledger(self) -> list[str]:
        ledger = Ledger(self.database, self.pipeline.name)
        faults, notes = ledger_account(
            self.pipeline, self.settings, ledger, self.snapshot, self.checkpoint, self.state,
            self.offsets,
        )  # fmt: skip
        self.notes += notes
        return faults

    def _waiting(self) -> int:
        """Offsets after the last confirmed batch; not every one of them holds a message."""
        until = self.snapshot.read_until
        return sum(
            max(high - max(until.get(p, low), low), 0) for p, (low, high) in self.offsets.items()
        )

    def _dead_letters(self) -> list[str]:
        dead_letters = DeadLetterAccount(
            self.spark, self.settings, self.database, self.pipeline, self.snapshot, self.offsets
        )
        expected = self.counts.dead_lettered
        faults = []
        for store, kept, unit, what in (
            ("Kafka", dead_letters.on_topic(), "messages", "distinct dead letters"),
            ("MongoDB", dead_letters.as_summaries(), "documents", "the number of documents"),
        ):
            numbers = (kept.total, kept.judged, expected)
            self.stores.append(StoreCount(store, kept.place, unit, *numbers, what))
            faults += dead_letters.faults(store, kept)
        return faults

    def _tables(self, contents: Contents) -> list[str]:
        expected = self.counts.stored
        faults = contents.faults
        for place, rows in contents.rows.items():
            confirmed = contents.confirmed[place]
            numbers = (rows, confirmed, expected)
            what = "the number of rows"
            self.stores.append(StoreCount("Cassandra", place, "rows", *numbers, what))
            if rows > confirmed:
                self.notes.append(
                    f"Cassandra {place}: {rows - confirmed} rows belong to messages after the last"
                    " confirmed batch and were not checked"
                )
        now = topic_offsets(self.settings, self.topic)
        return faults + [
            f"Cassandra {contents.source}: rows of partition {partition} name offsets up to"
            f" {last}, but the topic ends at {now[partition][1]}: they belong to another topic"
            for partition, last in sorted(contents.ends.items())
            if partition in now and last >= now[partition][1]
        ]

    def _messages(self, messages: Messages, contents: Contents | None) -> list[str]:
        """Where the ledger's numbers and the first table's rows differ from the topic."""
        faults: list[str] = []
        if messages.is_whole:
            faults += messages.faults(lambda ranges: self._numbers(messages, ranges))
        if contents is not None:
            faults += messages.faults(lambda ranges: content_faults(messages, contents, ranges))
        return faults

    def _numbers(self, messages: Messages, ranges: Ranges) -> list[str]:
        if ranges != messages.ranges:
            return []
        return ledger_against_messages(self.snapshot.entries, messages.by_batch())

    def _records(self, contents: Contents | None, messages: Messages | None) -> DataFrame | None:
        """The stored records of confirmed batches, if anything must be compared with them."""
        if contents is not None:
            return contents.records if self.copies else None
        if not self.copies and not self.snapshot.settled:
            return None
        return expected_records(messages)

    def _other_sinks(
        self, records: DataFrame | None, messages: Messages | None, source: str
    ) -> list[str]:
        where = (self.spark, self.settings, self.pipeline, self.copies)
        reading = SinkReading(*where, self.snapshot, self.offsets)
        found = account_of_sinks(reading, records, source)
        stores, faults = account_of_topics(reading, records, messages)
        self.stores += [*stores, *found.stores]
        self.notes += found.notes
        return faults + found.faults

    def _aggregates(
        self, contents: Contents | None, records: DataFrame | None, source: str
    ) -> list[str]:
        """Add up the collections and compare them with the stored rows."""
        snapshot, aggregates = self.snapshot, self.pipeline.aggregates
        counting = {a.name: a.record_count for a in aggregates if a.record_count}
        at_most = self.counts.stored + (self._waiting() if snapshot.later else 0)
        for name in snapshot.settled:
            if field := counting.get(name):
                found = _total(snapshot.documents(name), field)
                self._collection(name, found, self.counts.stored, f"the sum of `{field}`", at_most)
        if not snapshot.settled or (contents is None and records is None):
            return []
        falls: ExpectedAggregates = {}
        if contents is not None:
            least = contents.expected_aggregates(confirmed_only=True)
            most = contents.expected_aggregates(confirmed_only=False) if snapshot.later else least
            falls = contents.falls() if snapshot.later else {}
        elif records is not None:
            least = expected_aggregates(records, aggregates, snapshot.read_until)
            most = {} if snapshot.later else least
        self.reached = taken_offsets(least)
        faults = []
        for name, settled in snapshot.settled.items():
            if name not in counting:
                found, bound = len(snapshot.documents(name)), len(most.get(name, ()))
                numbers = (found, len(least[name]))
                self._collection(name, *numbers, "the number of documents", bound or found)
            place, unfinished = f"MongoDB {self.database.name}.{name}", snapshot.unfinished[name]
            ahead = {str(document["_id"]) for document in unfinished}
            expected = {key: group for key, group in least[name].items() if key not in ahead}
            by_id = differences_by_id(place, source, expected, settled)
            self.differing[name] = {str(key) for key, _ in by_id}
            faults += shortened(place, [fault for _, fault in by_id])
            if most:
                fallen = falls.get(name, {})
                faults += excesses(place, source, least[name], most[name], unfinished, fallen)
        return faults

    def _marks(self) -> list[str]:
        remedy = remedies.rebuild(self.settings)
        if self.source is None:
            remedy = remedies.reset(self.pipeline.family, self.settings)
        where = (self.database, self.snapshot, self.pipeline.aggregates)
        return mark_account(*where, self.reached, self.differing, remedy)

    def _collection(self, name: str, found: int, expected: int, what: str, at_most: int) -> None:
        place, documents = f"{self.database.name}.{name}", len(self.snapshot.documents(name))
        numbers = (documents, found, expected)
        self.stores.append(StoreCount("MongoDB", place, "documents", *numbers, what, at_most))

    def _unfinished(self) -> None:
        if self.snapshot.later:
            documents = sum(len(found) for found in self.snapshot.unfinished.values())
            self.notes.append(
                f"batch {self.snapshot.later[-1]} is unfinished: {documents} documents of MongoDB"
                " already include it and were checked within bounds; a job will finish it"
            )


def _total(documents: list[Document], column: str) -> int:
    numbers = [document.get(column) for document in documents]
    # Fractions and text cannot be counts; `differences` names them.
    whole = [n for n in numbers if isinstance(n, int) or (isinstance(n, float) and n.is_integer())]
    return int(sum(whole))
