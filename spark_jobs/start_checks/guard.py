"""Checks before a query starts: checkpoint, ledger, stores, broker and code must fit together.

Counts and aggregates are increments that each batch, identified by query and number, may add once.
A new checkpoint is a new query and reads the topic from the beginning, so it must never write to
stores that hold what an earlier query wrote. topic.py compares the broker.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from runtime import remedies
from runtime.config.sink_modules import LEDGER_SINK, SINK_MODULES
from settings import Settings
from spark_jobs.pipeline import Pipeline
from spark_jobs.sinks.registry import changed_sinks, sink_names, sinks_of
from spark_jobs.sources.topics import TopicState, topic_state
from spark_jobs.start_checks.findings import finding
from spark_jobs.start_checks.fingerprint import Fingerprint, recorded
from spark_jobs.start_checks.topic import BrokerCheck
from spark_jobs.state.acceptance import ACCEPT_CLOCK, ACCEPT_CODE, NOTHING, Accepted
from spark_jobs.state.checkpoint import Checkpoint, checkpoint_of
from spark_jobs.state.clock import Moment, in_words, tolerance
from spark_jobs.state.ledger import Entry, Ledger
from spark_jobs.state.offset_ranges import Ranges, width

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Diagnosis:
    """Result of one pipeline's start checks; without findings it may start.

    `lost` are the next offsets that are no longer on the broker, if that loss was accepted;
    `unread` is the number of offsets not yet read from the topic, None if it was not checked.
    """

    findings: list[str]
    topic_id: str | None = None
    lost: Ranges = field(default_factory=dict)
    unread: int | None = None


def check_start(
    pipeline: Pipeline, settings: Settings, ledger: Ledger, accepted: Accepted = NOTHING
) -> Diagnosis:
    """Compare checkpoint, ledger, stores and broker; changes nothing.

    A checkpoint on HDFS or S3 is checked once Spark runs.
    """
    checkpoint = checkpoint_of(settings, pipeline.name)
    if not checkpoint.can_be_reached:
        return Diagnosis([])
    case = StartCheck(pipeline, settings, ledger, checkpoint, ledger.last())
    if other_topic := list(case.other_topic()):
        return Diagnosis([*other_topic, *case.other_settings()])
    findings = [*case.accounts(), *case.other_settings()]
    if not accepted.clock:
        findings += case.clock_ahead(Moment.now())
    state = topic_state(settings, pipeline.topic(settings))
    unread = _unread(state, case.entry)
    if not case.has_own_checkpoint():
        return Diagnosis(findings, state.topic_id, unread=unread)
    broker = BrokerCheck(pipeline, settings, ledger, case.checkpoint, case.entry, state)
    found = [*findings, *broker.findings(accepted)]
    return Diagnosis(found, state.topic_id, broker.lost(), unread)


def _unread(state: TopicState, last: Entry | None) -> int:
    """Number of the topic's offsets after the last confirmed batch."""
    read = {partition: end for partition, (_, end) in last.offsets.items()} if last else {}
    return sum(
        max(0, end - max(start, read.get(partition, start)))
        for partition, (start, end) in state.offsets.items()
    )


@dataclass(frozen=True)
class StartCheck:
    """Compares one pipeline's checkpoint with its ledger, stores and settings."""

    pipeline: Pipeline
    settings: Settings
    ledger: Ledger
    checkpoint: Checkpoint
    entry: Entry | None

    def has_own_checkpoint(self) -> bool:
        """Whether the checkpoint belongs to the ledger's query; True if the ledger is empty."""
        return self.entry is None or self.checkpoint.query_id() == self.entry.query_id

    def other_topic(self) -> Iterator[str]:
        """A finding if the checkpoint belongs to a different topic than the setting's."""
        planned, topic = self.checkpoint.last_planned(), self.pipeline.topic(self.settings)
        if planned is not None and (read := self.checkpoint.planned_batch(planned).topic) != topic:
            yield self._finding(
                f"the checkpoint `{self.checkpoint.path}` belongs to the topic `{read}`, but the"
                f" setting says `{topic}`. {self._stored()} came from `{read}`.",
                f"set {self.pipeline.family.upper()}_TOPIC to `{read}` again",
                "to process both topics, set another MILLRACE_HOME and MONGO_DATABASE for one",
            )

    def accounts(self) -> Iterator[str]:
        """Findings if checkpoint, ledger and stores contradict each other."""
        if self.entry is None:
            yield from self._without_ledger()
        elif not self.has_own_checkpoint():
            found = "is gone" if self.checkpoint.query_id() is None else "belongs to another query"
            counts = self.ledger.totals()
            yield self._finding(
                f"the ledger has batches up to {self.entry.batch_id}, but the checkpoint"
                f" `{self.checkpoint.path}` {found}. Reading the topic again would count all"
                f" {counts.read} messages twice, including {counts.stored} stored records.",
                "restore the checkpoint",
            )
        else:
            yield from self._other_age(self.entry)

    def other_settings(self) -> Iterator[str]:
        """Findings if the stores were written with different sinks or another key."""
        if self.entry is None:
            return
        present = sink_names(self.pipeline, self.settings, self.ledger.database)
        if any(changed_sinks(self.entry.sinks, present)):
            yield self._other_sinks(self.entry.sinks, present)
        key_id = self.pipeline.hash_key_id(self.settings)
        if key_id != self.entry.hash_key_id:
            yield self._finding(
                f"the digests in the stores were made with the key `{self.entry.hash_key_id}`, but"
                f" the current PII_HASH_KEY / PII_HASH_MODE is `{key_id}`. {self._stored()} have"
                " digests of the former key; one person would get two digests.",
                "set the former PII_HASH_KEY and PII_HASH_MODE again",
            )

    def _other_sinks(self, before: Sequence[str], present: Sequence[str]) -> str:
        """The finding that sinks were added or dropped since the last batch."""
        added, dropped = changed_sinks(before, present)
        problem = (
            f"earlier batches went to `{','.join(before)}`, new ones go to `{','.join(present)}`."
        )
        if added:
            problem += f" {' and '.join(added)} would lack the {self._stored()}."
        if dropped:
            problem += (
                f" {' and '.join(dropped)} would be dropped: they keep what they hold of the"
                f" {self._stored()}, and get nothing new."
            )
        former = (
            *(name for name in self.settings.sinks if name not in added),
            *(name for name in SINK_MODULES if name in dropped),
        )
        command = remedies.with_sinks(self.settings, former)
        choices = [
            f"set SINKS to `{','.join(former)}` again" + (f": `{command}`" if command else "")
        ]
        if not dropped:
            topic = self.pipeline.topic(self.settings)
            for number, name in enumerate(added, start=1):
                # One at a time: a replay requires its other sinks to be complete.
                so_far = self.settings.model_copy(update={"sinks": (*former, *added[:number])})
                command = remedies.replay(topic, name, so_far)
                choices.append(f"`{command}` writes all stored records into {name} too")
        return self._finding(problem, *choices)

    def clock_ahead(self, now: Moment) -> Iterator[str]:
        """A finding if the clock was set ahead since the last batch, judged by the uptime."""
        before = self.entry.moment if self.entry else None
        ahead = before.time_ahead(now) if before else timedelta()
        if ahead > tolerance(self.settings.deduplication_days):
            yield self._finding(
                f"this machine's clock is {in_words(ahead)} ahead of the time that has passed since"
                " the last batch by the machine's uptime. If the clock was set ahead, the ids of"
                f" {self._stored()} would be forgotten that much earlier, and their duplicates"
                " stored as new.",
                "correct the clock",
                f"`{remedies.again(ACCEPT_CLOCK, self.settings)}` if the clock is right: it was"
                " wrong before, or the machine was suspended",
            )

    def _without_ledger(self) -> Iterator[str]:
        # Batches without messages are committed without an entry, so only offsets are compared.
        committed = self.checkpoint.last_committed()
        if read := width(self.checkpoint.done_ranges()):
            yield self._finding(
                f"the checkpoint `{self.checkpoint.path}` has processed {read} offsets, but the"
                " ledger `batches` in MongoDB is empty. Was the database"
                f" `{self.settings.mongo_database}` emptied or changed?",
                "restore the database, or set MONGO_DATABASE to the right one",
                self._replay(),
            )
        if committed is None and self.checkpoint.last_planned() is None:
            sinks = sinks_of(self.pipeline, self.settings, self.ledger.database)
            for held in filter(None, (sink.has_data() for sink in sinks)):
                yield self._finding(
                    f"{held}, but there is neither a checkpoint nor a ledger for them. Reading the"
                    " topic again would count them twice.",
                    f"restore the checkpoint `{self.checkpoint.path}` and MongoDB's `batches`",
                )

    def _other_age(self, entry: Entry) -> Iterator[str]:
        planned, committed = self.checkpoint.last_planned(), self.checkpoint.last_committed()
        if planned is None or entry.batch_id > planned:
            newer = [e for e in self.ledger.entries() if planned is None or e.batch_id > planned]
            yield self._finding(
                f"the ledger has batch {entry.batch_id}, but the checkpoint"
                f" `{self.checkpoint.path}` is older: it lacks {len(newer)} batches with"
                f" {sum(e.counts.read for e in newer)} messages, which would be counted twice.",
                "restore the newer checkpoint",
            )
            return
        # The ledger may be one batch ahead of Spark's commit, and is never behind it.
        if beyond := _read_beyond(entry, self.checkpoint.next_offsets()):
            yield self._finding(
                f"the checkpoint is ahead ({_batch(committed)}), the ledger ends with batch"
                f" {entry.batch_id} and lacks {width(beyond)} offsets. Was MongoDB restored from an"
                " older backup?",
                "restore the newer ledger and aggregates",
                self._replay(),
            )

    def _replay(self) -> str:
        command = remedies.replay(self.pipeline.topic(self.settings), LEDGER_SINK, self.settings)
        return (
            f"`{command}` rebuilds ledger and aggregates from checkpoint and topic, if the broker"
            " still has the messages of DEDUPLICATION_DAYS before"
        )

    def _stored(self) -> str:
        return f"{self.ledger.totals().stored} stored records"

    def _finding(self, problem: str, *choices: str) -> str:
        return finding(self.settings, self.pipeline.name, problem, *choices)


def _batch(committed: int | None) -> str:
    return "no batch is committed" if committed is None else f"committed batch {committed}"


def _read_beyond(entry: Entry, until: dict[int, int]) -> Ranges:
    """Offsets after an entry's end; batches without a message have no entry."""
    known = {partition: end for partition, (_, end) in entry.offsets.items()}
    return {
        partition: (known.get(partition, 0), end)
        for partition, end in until.items()
        if end > known.get(partition, 0)
    }


def check_places(pipeline: Pipeline, settings: Settings, ledger: Ledger) -> list[str]:
    """Compare where earlier batches went with where the settings say.

    The last stored batch is looked for alone: a replay writes it last.
    """
    if (entry := ledger.last_stored()) is None:
        return []
    lacking = [
        (sink, missing)
        for sink in sinks_of(pipeline, settings, ledger.database)
        if sink.name in entry.sinks and (missing := sink.lacks(entry.query_id, entry.batch_id))
    ]
    # Summing up a long ledger takes a while, and nearly always nothing is missing.
    stored = ledger.totals().stored if lacking else 0
    return [
        finding(
            settings,
            pipeline.name,
            f"{sink.store}: {missing}. New records would lie apart from the {stored} stored ones.",
            f"`{remedies.replay(pipeline.topic(settings), sink.name, settings)}` writes all stored"
            " records to the present place too",
        )
        for sink, missing in lacking
    ]


def check_code(
    pipeline: Pipeline, settings: Settings, ledger: Ledger, present: Fingerprint, accepted: Accepted
) -> list[str]:
    """Compare the running code with the code that wrote the checkpoint."""
    checkpoint, entry = checkpoint_of(settings, pipeline.name), ledger.last()
    planned, committed = checkpoint.last_planned(), checkpoint.last_committed()
    before = recorded(checkpoint)
    known = str(before) if before else (entry.code_fingerprint if entry else None)
    if planned is None or known is None or known == str(present):
        return []
    state, _, _ = known.partition("/")
    if state != present.state:
        differs = f": {before.differences(present)}" if before else ""
        return [
            finding(
                settings,
                pipeline.name,
                f"the checkpoint `{checkpoint.path}` was written by different code"
                f" (`{known}`, now `{present}`{differs}), which kept the ids of"
                f" {ledger.totals().stored} stored records in another form; this code could not"
                " recognize their duplicates.",
                "go back to the former version of Millrace or Spark",
            )
        ]
    if planned == committed or (entry is not None and entry.batch_id >= planned):
        logger.info("query=%s code changed from %s to %s", pipeline.name, known, present)
        return []
    if accepted.code:
        return []
    return [
        finding(
            settings,
            pipeline.name,
            f"batch {planned} ({width(checkpoint.ranges(planned))} messages) was begun by different"
            f" code (`{known}`, now `{present}`) and may be half written: some sinks would hold"
            " rows from the former code, others from this code.",
            f"finish it with the former version (`{remedies.job(pipeline.family, settings)}`), then"
            " use this one again",
            f"`{remedies.again(ACCEPT_CODE, settings)}` repeats it with this version: its rows are"
            " overwritten, but what takes each batch once, and has this one, keeps what the former"
            " code made of it: tables in PostgreSQL, snapshots in files, and aggregates until"
            f" `{remedies.rebuild(settings)}`; then run `make verify`",
        )
    ]
