"""The account of a ledger: its entries, the topic's offsets and the checkpoint must agree."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from collections.abc import Set as AbstractSet
from typing import Final

from errors import MillraceError
from operations.verify.checkpoint_reading import CheckpointReading, checkpoint_faults
from operations.verify.coverage import coverage_faults
from operations.verify.differences import shortened
from operations.verify.ledger_checks import (
    Origin,
    count_faults,
    loss_faults,
    origin_faults,
    setting_faults,
    unchecked_sinks,
    unwritten_sinks,
)
from operations.verify.snapshot import LedgerSnapshot
from runtime import remedies
from runtime.config.sink_modules import LEDGER_SINK, SINK_MODULES
from settings import Settings
from spark_jobs.pipeline import Pipeline
from spark_jobs.sinks.base import Sink
from spark_jobs.sinks.registry import sink_names
from spark_jobs.sources.topics import TopicState
from spark_jobs.start_checks.guard import StartCheck
from spark_jobs.state.added_topics import first_batches
from spark_jobs.state.ledger import CONFIRMATIONS, Ledger
from spark_jobs.state.offset_ranges import Ranges

# A running job may commit between two reads; not every time.
TRIES: Final = 3
PAUSE_SECONDS: Final = 0.5


def ledger_account(
    pipeline: Pipeline,
    settings: Settings,
    ledger: Ledger,
    snapshot: LedgerSnapshot,
    checkpoint: CheckpointReading,
    topic: TopicState,
    offsets: Ranges,
) -> tuple[list[str], list[str]]:
    """What is wrong with a pipeline's ledger, and notes on what was not checked, as text.

    Args:
        pipeline: The pipeline.
        settings: Must have the key that the stored data was made with.
        ledger: Its ledger.
        snapshot: What was read of it.
        checkpoint: The query's checkpoint.
        topic: The topic, as the broker has it now.
        offsets: Partition -> (first offset on the broker, offset after the last).
    """
    entries, plans = snapshot.entries, snapshot.plans
    enabled = frozenset(sink_names(pipeline, settings, ledger.database))
    key_id = pipeline.hash_key_id(settings)
    name = pipeline.topic(settings)
    added = first_batches(ledger.database, pipeline.name)
    topics_from = min((added.get(each.name, 0) for each in pipeline.topics), default=0)
    origin = Origin(name, topic.topic_id, snapshot.query_id, key_id, enabled, topics_from)
    faults = [*snapshot.faults, *origin_faults(entries, origin), *count_faults(entries)]
    for entry in entries:
        faults += loss_faults(entry, offsets, plans.lost if plans else {})
    faults += checkpoint_faults(entries, plans) if plans else []
    faults = shortened("ledger", faults)
    if faults and entries:
        command = remedies.replay(name, LEDGER_SINK, settings)
        faults.append(
            "ledger: restore `batches` from a backup; or delete the wrong entries and all later"
            f" ones, then `{command}` makes them again from checkpoint and topic"
        )
    known = [entry.topic_id for entry in entries if entry.topic_id]
    is_same = topic.topic_id is not None and known[-1:] == [topic.topic_id]
    is_readable = not snapshot.faults and checkpoint.query_id is not None
    notes = [*dict.fromkeys(checkpoint.notes)]
    if entries and checkpoint.query_id is None and not notes:
        notes.append(
            f"the checkpoint `{checkpoint.checkpoint.path}` is not here, so the ledger was not"
            " compared with it, nor was checked whether a batch is in work; a job continues only"
            " with the checkpoint"
        )
    other_faults, other_notes = _other_sinks(pipeline, settings, ledger, snapshot, enabled)
    return [
        *dict.fromkeys(checkpoint.faults),
        *(_start_findings(pipeline, settings, ledger, checkpoint) if is_readable else ()),
        *faults,
        *setting_faults(entries, origin),
        *other_faults,
        *_confirmation_faults(pipeline, settings, ledger, snapshot),
        *shortened("ledger", coverage_faults(entries, offsets, is_same_topic=is_same)),
    ], notes + other_notes


def _other_sinks(
    pipeline: Pipeline,
    settings: Settings,
    ledger: Ledger,
    snapshot: LedgerSnapshot,
    enabled: AbstractSet[str],
) -> tuple[list[str], list[str]]:
    """Faults and notes if the enabled sinks are not those that all batches went to."""
    entries, faults = snapshot.entries, []
    # New topics lack nothing: they get what is stored from now on.
    for name in sorted(unwritten_sinks(entries, enabled & {*SINK_MODULES}) if entries else ()):
        command = remedies.replay(pipeline.topic(settings), name, settings)
        faults.append(
            f"ledger: no batch names {name} in `sinks`, but SINKS lists it: `{command}` writes all"
            " stored records there"
        )
    if not (others := unchecked_sinks(entries, enabled)):
        return faults, []
    names, every = ", ".join(sorted(others)), tuple(SINK_MODULES)
    written = sink_names(pipeline, settings.model_copy(update={"sinks": every}), ledger.database)
    if others <= {*written}:
        return faults, [f"{names} got these batches too, but SINKS lacks it: it was not checked"]
    faults.append(f"ledger: `sinks` of all batches names {names}, which gets none of them")
    return faults, []


def _confirmation_faults(
    pipeline: Pipeline, settings: Settings, ledger: Ledger, snapshot: LedgerSnapshot
) -> Iterator[str]:
    """A batch that sinks are said to have, and that cannot be in work."""
    batch_id, plans = snapshot.confirming, snapshot.plans
    if plans is None or batch_id is None or batch_id <= snapshot.last:
        return
    if not plans.is_planned(batch_id):
        delete = f"db.{CONFIRMATIONS}.deleteOne({{_id: '{pipeline.name}'}})"
        yield (
            f"MongoDB {ledger.database.name}.{CONFIRMATIONS}: sinks are noted to have batch"
            f" {batch_id}, which was never planned, so the job would leave it out there:"
            f" `{remedies.mongosh(delete, settings)}` removes the note"
        )


def ahead_faults(
    sinks: Iterable[Sink], snapshot: LedgerSnapshot, checkpoint: CheckpointReading
) -> Iterator[str]:
    """Batches that sinks note as written, and that no job can have begun."""
    for sink in sinks if snapshot.plans is not None else ():
        place, batch_id = sink.remembers(str(snapshot.query_id)) or ("", -1)
        # Planned by now: a running job has gone on since the ledger was read.
        plans = checkpoint.plans() if batch_id > snapshot.last else None
        if plans is not None and not plans.is_planned(batch_id):
            yield (
                f"{sink.store} {place}: batch {batch_id} is noted as written, which was never"
                " planned, so the job would leave it out there: delete that note"
            )


def _start_findings(
    pipeline: Pipeline, settings: Settings, ledger: Ledger, checkpoint: CheckpointReading
) -> list[str]:
    """Why a job would refuse to continue with this ledger and checkpoint."""
    found: list[str] = []
    for number in range(TRIES):
        if number:
            time.sleep(PAUSE_SECONDS)
        try:
            case = StartCheck(pipeline, settings, ledger, checkpoint.checkpoint, ledger.last())
            found = list(case.accounts())
        except MillraceError:
            return []  # what cannot be read is named already
        if not found:
            break
    # Each is a line of an account; to a user who starts a job it has several.
    lines = (" ".join(text.split()) for text in found)
    return [f"ledger: {line.removeprefix(f'Pipeline {pipeline.name}: ')}" for line in lines]
