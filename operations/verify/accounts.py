"""The accounts of each pipeline: broker, ledger and stores must agree, number by number.

While a job runs, everything is exact for the batches that the ledger has confirmed: tables, dead
letters and summaries are checked up to the last confirmed offsets, the aggregates at a moment when
they match the last confirmed batch. What comes later, at most one unfinished micro-batch and
messages that no job has read, is not checked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack
from types import MappingProxyType
from typing import Any

from py4j.protocol import Py4JError
from pymongo.database import Database
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession

from operations.activity import Activities, Activity
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
from operations.verify.ledger_account import ahead_faults, ledger_account
from operations.verify.ledger_checks import ledger_against_messages
from operations.verify.marks import mark_account
from operations.verify.messages import Messages, messages_of
from operations.verify.on_spark import batch_session, keeps_whole, kept, size_shuffles
from operations.verify.sink_accounts import account_of_sinks
from operations.verify.sink_contents import SinkReading, named_in_errors
from operations.verify.snapshot import SETTLE_SECONDS, LedgerSnapshot, take_snapshot
from operations.verify.spark_errors import OVERFLOW, apart
from operations.verify.topic_accounts import account_of_topics
from operations.verify.unreadable import unreadable_rows
from runtime import remedies
from settings import Settings
from spark_jobs.pipeline import Pipeline
from spark_jobs.run.locks import running_job
from spark_jobs.sinks.base import Sink
from spark_jobs.sinks.registry import sinks_of
from spark_jobs.sources.topics import topic_state
from spark_jobs.start_checks.sink_ownership import as_claimed
from spark_jobs.state.checkpoint import checkpoint_of
from spark_jobs.state.ledger import Counts, Ledger
from spark_jobs.state.offset_ranges import Ranges

TOPIC_REMEDY = "Run the command again; if that does not help, the broker's logs may say more"
Document = dict[str, Any]
Offsets = dict[int, tuple[int, int]]


def take_accounts(
    settings: Settings,
    database: Database[Document],
    spark: SparkSession,
    pipelines: Sequence[Pipeline],
    away: Mapping[str, str] = MappingProxyType({}),
    activities: Activities | None = None,
) -> list[Account]:
    """Take the account of each pipeline, with every difference as a line of text.

    Reads every topic, table and aggregate once; rows of blocks that differ are read again. What
    cannot be read is a fault of its account, and the others are taken all the same.

    Args:
        settings: The addresses of all stores.
        database: The ledgers and aggregates.
        spark: The session.
        pipelines: The pipelines.
        away: Sinks that do not answer, by name, with the reason; they are not read.
        activities: What is compared at each moment is among them.
    """
    seen = activities or Activities()
    parts = [part for pipeline in pipelines for part in present_parts(pipeline, database)]

    def account(part: Pipeline) -> Account:
        faults: list[str] = []
        with (
            apart(faults, f"what pipeline {part.name} stored", settings),
            seen.doing(f"verify: {part.name}: the ledger") as now,
        ):
            fed = settings_of_part(part, settings, database)
            own = as_claimed(part, database)
            return _Accountant(fed, database, batch_session(spark), own, away, now).account()
        return Account(part.name, part.topic(settings), 0, Counts(), [], faults)

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
        away: Mapping[str, str],
        now: Activity,
    ) -> None:
        self.now = now
        self.settings, self.database, self.spark = settings, database, spark
        self.pipeline = pipeline
        self.topic = pipeline.topic(settings)
        every = sinks_of(pipeline, settings, database)
        sinks = [sink for sink in every if sink.name not in away]
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
        on_topic = sum(high - low for low, high in self.offsets.values())
        size_shuffles(spark, max(self.counts.read, on_topic))
        self.stores: list[StoreCount] = []
        self.faults = [
            f"{away[sink.name]} Nothing in {sink.store} was compared."
            for sink in every
            if sink.name in away
        ]
        self.expected: ExpectedAggregates = {}
        self.reached: dict[str, dict[str, dict[int, int]]] = {}
        self.differing: dict[str, set[str]] = {}
        self.notes = accepted_losses(self.snapshot.entries)

    def account(self) -> Account:
        """Everything about one pipeline; what cannot be read is a fault, and the rest is taken."""
        details: list[str] = []
        letters: list[str] = []
        with ExitStack() as held:
            contents = messages = records = None
            if self.source:
                store, remedy = self.source.store, self.source.unreadable
                with self._at(f"the tables in {store}", details, remedy):
                    contents = self._contents(self.source, held)
                    details += self._tables(contents) if contents else []
            with self._at(f"the messages of {self.topic}", details):
                shape = contents.shape if contents else None
                read = (self.settings, self.pipeline, self.snapshot, self.offsets, shape)
                messages = held.enter_context(messages_of(self.spark, *read))
                letters = self._dead_letters(messages)
                details += self._messages(messages, contents) if messages else []
            with self._apart(details, f"the records of {self.topic}"):
                records = self._records(contents, messages)
                # Of few rows the first table's are kept already.
                if records is not None and not (contents and keeps_whole(self.spark)):
                    records = held.enter_context(kept(records))
            source = contents.source if contents else f"the topic {self.topic}"
            with self._at("the aggregates in MongoDB", details):
                details += self._aggregates(contents, records, source) + self._marks()
            with self._at("the other sinks", details):
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
            faults + letters + self.faults + details,
            self.notes,
            self.is_running,
        )

    def _at(
        self, what: str, faults: list[str], remedy: str = TOPIC_REMEDY
    ) -> AbstractContextManager[None]:
        """The next part of the account, which is shown."""
        self.now.now(f"verify: {self.pipeline.name}: {what}")
        return apart(faults, what, self.settings, remedy)

    def _apart(self, faults: list[str], what: str) -> AbstractContextManager[None]:
        return apart(faults, what, self.settings, TOPIC_REMEDY)

    def _contents(self, source: Sink, held: ExitStack) -> Contents | None:
        """What the tables hold; None, and faults, if some rows cannot be read."""
        until = self.snapshot.read_until
        lies = source.misplaced(self.snapshot.entries, dict)
        self.faults += [f"{source.store}: {text}" for text in lies]
        tables = [named_in_errors(source, table) for table in source.rows()]
        try:
            reading = read_contents(self.spark, self.pipeline, tables, until, self.offsets)
            return held.enter_context(reading)
        except (Py4JError, PySparkException) as error:
            if OVERFLOW not in str(error):
                raise
            if not (rows := unreadable_rows(self.settings, self.pipeline)):
                raise
            self.faults += rows
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

    def _dead_letters(self, messages: Messages | None) -> list[str]:
        if messages is None:
            return self._dead_letters_of(None, None)
        # Few of all messages, and read several times.
        with kept(messages.rejected) as rejected:
            return self._dead_letters_of(messages, rejected)

    def _dead_letters_of(self, messages: Messages | None, rejected: DataFrame | None) -> list[str]:
        where = (self.spark, self.settings, self.database, self.pipeline)
        read = (self.snapshot, self.offsets, messages, rejected)
        dead_letters = DeadLetterAccount(*where, *read)
        faults: list[str] = []
        stores: list[StoreCount] = []
        for store, keep, unit, what in (
            ("Kafka", dead_letters.on_topic, "messages", "distinct dead letters"),
            ("MongoDB", dead_letters.as_summaries, "documents", "the number of documents"),
        ):
            with self._apart(faults, f"the dead letters in {store}"):
                found = keep()
                numbers = (found.total, found.judged, self.counts.dead_lettered)
                stores.append(StoreCount(store, found.place, unit, *numbers, what))
                faults += dead_letters.faults(store, found)
        self.stores[:0] = stores
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
        reading = SinkReading(*where, self.snapshot, self.offsets, self.database)
        faults: list[str] = []
        with self._apart(faults, "the forward topics"):
            stores, faults = account_of_topics(reading, records, messages)
            self.stores += stores
        for sink in self.copies:
            with apart(faults, f"what {sink.store} remembers", self.settings, sink.unreadable):
                faults += ahead_faults([sink], self.snapshot, self.checkpoint)
        found = account_of_sinks(reading, records, source)
        self.stores += found.stores
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
        self.expected, self.reached = least, taken_offsets(least)
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
        return mark_account(*where, self.expected, self.reached, self.differing, remedy)

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
