"""Compares checkpoint and broker: is it the same topic, and does it still have the next offsets?"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice

from runtime import remedies
from runtime.config.topic_names import dead_letter_topic
from settings import Settings
from spark_jobs.pipeline import Pipeline
from spark_jobs.sinks.dead_letters import COLLECTION as SUMMARIES
from spark_jobs.sinks.registry import sinks_of
from spark_jobs.sources.topics import TopicState, redriven_topic
from spark_jobs.start_checks.findings import finding
from spark_jobs.state.acceptance import ACCEPT_LOSS, ACCEPT_PARTITIONS, Accepted
from spark_jobs.state.checkpoint import Checkpoint
from spark_jobs.state.ledger import CONFIRMATIONS, Entry, Ledger
from spark_jobs.state.offset_ranges import Ranges, overlap, ranges_in_words, width


@dataclass(frozen=True)
class BrokerCheck:
    """Compares one pipeline's checkpoint with the broker."""

    pipeline: Pipeline
    settings: Settings
    ledger: Ledger
    checkpoint: Checkpoint
    entry: Entry | None
    state: TopicState

    def findings(self, accepted: Accepted) -> list[str]:
        """The reasons not to start, as text."""
        if recreated := self._recreated():
            return [recreated]
        return [*self._aged_out(accepted), *self._added_partitions(accepted)]

    def lost(self) -> Ranges:
        """Next offsets to read that the broker no longer has."""
        after = self.checkpoint.next_offsets()
        if not after:
            return {}
        return {
            partition: (after.get(partition, 0), first)
            for partition, (first, _) in self.state.offsets.items()
            if first > after.get(partition, 0)
        }

    def _recreated(self) -> str | None:
        known = self.entry.topic_id if self.entry else None
        reasons = []
        if known and self.state.topic_id and known != self.state.topic_id:
            reasons.append(f"its id is `{self.state.topic_id}`, the ledger knows `{known}`")
        if gone := set(self.checkpoint.next_offsets()) - set(self.state.offsets):
            reasons.append(f"{len(gone)} of the partitions read before are gone")
        if beyond := self._beyond_end():
            reasons.append(f"{width(beyond)} offsets read before lie beyond its end")
        if not reasons:
            return None
        name, topic = self.pipeline.name, self.pipeline.topic(self.settings)
        return finding(
            self.settings,
            name,
            f"the topic `{topic}` at `{self.settings.kafka_bootstrap_servers}` is not the same as"
            f" before ({'; '.join(reasons)}). The stores hold {self.ledger.totals().stored} records"
            f" from the former topic, this one holds {width(self.state.offsets)} messages, and"
            " messages are identified by partition and offset, so the two cannot be mixed.",
            f"set {self.pipeline.family.upper()}_TOPIC and KAFKA_BOOTSTRAP_SERVERS to the former"
            " topic again",
            f"before a reset, delete `{dead_letter_topic(topic)}` and `{redriven_topic(topic)}`"
            " too: their messages are identified by offsets of the former topic",
        )

    def _beyond_end(self) -> Ranges:
        """Offsets that were read or planned before, but lie beyond the broker's end."""
        planned = self.checkpoint.last_planned()
        seen = dict(self.checkpoint.next_offsets())
        if planned is not None:
            seen |= self.checkpoint.planned_batch(planned).until
        return {
            partition: (end, seen[partition])
            for partition, (_, end) in self.state.offsets.items()
            if seen.get(partition, 0) > end
        }

    def _aged_out(self, accepted: Accepted) -> list[str]:
        lost = self.lost()
        if not lost:
            return []
        name, topic = self.pipeline.name, self.pipeline.topic(self.settings)
        aged_out = (
            f"{width(lost)} messages of the topic `{topic}` aged out on the broker before batch"
            f" {self._next_batch()} could read them: {ranges_in_words(lost)}."
        )
        if self._is_confirmed(self._next_batch()):
            aged_out += " The ledger has that batch, so its messages are in all sinks."
        elif traces := self._traces(lost) if accepted.loss else None:
            return [
                finding(
                    self.settings,
                    name,
                    f"{aged_out} That batch was half written, and {traces}: the messages can"
                    f" neither be completed nor counted as lost, so {ACCEPT_LOSS} cannot help.",
                )
            ]
        if accepted.loss:
            return []
        command = remedies.again(ACCEPT_LOSS, self.settings)
        choice = f"`{command}` continues without them; the ledger and `make verify` list them"
        return [finding(self.settings, name, aged_out, choice)]

    def _next_batch(self) -> int:
        planned, committed = self.checkpoint.last_planned(), self.checkpoint.last_committed()
        if planned is None:
            return 0
        return planned + 1 if committed == planned else planned

    def _is_confirmed(self, batch_id: int) -> bool:
        return self.entry is not None and self.entry.batch_id >= batch_id

    def _traces(self, lost: Ranges) -> str | None:
        """What a crashed batch left in the stores from messages that are now lost."""
        batch_id, query_id = self._next_batch(), self.checkpoint.query_id()
        if batch_id != self.checkpoint.last_planned():
            return None
        of_batch = overlap(lost, self.checkpoint.ranges(batch_id))
        if of_batch == overlap(self.checkpoint.noted_loss(), self.checkpoint.ranges(batch_id)):
            return None  # the batch was begun without them
        database, topic = self.ledger.database, self.pipeline.topic(self.settings)
        applied = {f"applied.{query_id}": {"$gte": batch_id}}
        if any(database[name].find_one(applied, {"_id": 1}) for name in self.pipeline.collections):
            return "aggregates include it"
        ids = (
            f"{topic}/{p}/{o}" for p, (start, end) in of_batch.items() for o in range(start, end)
        )
        while part := list(islice(ids, 1000)):
            if database[SUMMARIES].find_one({"_id": {"$in": part}}, {"_id": 1}):
                return "dead letters among them are stored"
        noted = database[CONFIRMATIONS].find_one({"query_id": query_id, "batch_id": batch_id})
        if noted and noted["sinks"]:
            return f"{', '.join(noted['sinks'])} confirmed it"
        sinks = sinks_of(self.pipeline, self.settings, database)
        if store := next((s.store for s in sinks if s.holds_any_of(of_batch)), None):
            return f"{store} holds rows from them"
        taken = (s.store for s in sinks if s.has_taken(str(query_id), batch_id))
        return next((f"{store} keeps what it has of that batch" for store in taken), None)

    def _added_partitions(self, accepted: Accepted) -> list[str]:
        known = self.checkpoint.next_offsets()
        added = {p: range_ for p, range_ in self.state.offsets.items() if known and p not in known}
        if not added or accepted.partitions:
            return []
        return [
            finding(
                self.settings,
                self.pipeline.name,
                f"the topic `{self.pipeline.topic(self.settings)}` has {len(self.state.offsets)}"
                f" partitions, the checkpoint knows {len(known)}. The new ones hold {width(added)}"
                " messages. They are read from their beginning, so nothing is lost; but messages"
                " with the same key may now be in two partitions, in no defined order.",
                f"`{remedies.again(ACCEPT_PARTITIONS, self.settings)}` reads the new ones too",
            )
        ]
