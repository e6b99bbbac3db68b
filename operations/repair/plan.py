"""What a replay has to do: the confirmed batches of a range that the broker still has."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import chain

from pymongo.database import Database

from errors import JobError
from operations.repair.batches import ReplayBatch, one_query, remembered, unledgered_batches
from operations.repair.range import Ranges, ReplayRequest, wanted_ranges
from runtime import remedies
from runtime.config.sink_modules import LEDGER_SINK
from settings import Settings
from spark_jobs.pipeline import Pipeline
from spark_jobs.sinks.base import Sink
from spark_jobs.sinks.registry import changed_sinks, sink_names, sinks_of
from spark_jobs.state.checkpoint import checkpoint_of
from spark_jobs.state.ledger import Document, Entry, Ledger
from spark_jobs.state.offset_ranges import overlap, width


@dataclass(frozen=True)
class ReplayPlan:
    """The batches of one replay.

    Attributes:
        pipeline: The pipeline.
        sink: Where they go; None: the ledger, its summaries and aggregates.
        history: Every batch up to the last replayed one; `read` is what the broker still has.
        replayed: The batches of the range, by number; `read` is what is replayed.
        query_id: The query that made the batches.
        last_entry: The ledger's last entry; None if it is empty.
        left_out: How many batches `earliest` skips because their messages are gone.
        whole: Numbers of the batches that are completely on the broker.
    """

    pipeline: Pipeline
    sink: Sink | None
    history: list[ReplayBatch]
    replayed: list[ReplayBatch]
    query_id: str
    last_entry: Entry | None
    left_out: int
    whole: frozenset[int]

    @property
    def sink_name(self) -> str:
        """The sink's name, as in `--sink`."""
        return self.sink.name if self.sink else LEDGER_SINK


def plan_replay(
    settings: Settings, database: Database[Document], request: ReplayRequest, on_broker: Ranges
) -> ReplayPlan:
    """The batches that a request covers.

    Args:
        settings: Must have the sinks and the key that the stored data was made with.
        database: Where the ledger is.
        request: The replay request.
        on_broker: Partition -> (first offset that the broker still has, offset after the last).

    Raises:
        JobError: ledger and checkpoint do not match, or messages of the range are gone.
    """
    pipeline = request.pipeline
    checkpoint = checkpoint_of(settings, pipeline.name)
    entries = Ledger(database, pipeline.name).entries()
    query_id = one_query(entries, checkpoint, pipeline.name)
    sink, sinks = _sink_of(settings, database, request), sink_names(pipeline, settings, database)
    _check_like_before(settings, entries, sinks, request)
    missing = unledgered_batches(entries, checkpoint, pipeline.name)
    if missing and not request.of_ledger:
        raise JobError(
            f"Pipeline {pipeline.name}: the ledger lacks {len(missing)} committed batches, up"
            f" to {missing[-1].batch_id}. Bring MongoDB up to date first:"
            f" `{remedies.replay(pipeline.topic(settings), LEDGER_SINK, settings)}`; then replay"
            f" {request.sink}."
        )
    known = [*(ReplayBatch.of(entry) for entry in entries), *missing]
    present = [replace(batch, read=overlap(batch.read, on_broker)) for batch in known]
    whole = frozenset(
        batch.batch_id
        for batch, there in zip(known, present, strict=True)
        if width(there.read) == width(batch.read)
    )
    if missing:
        _check_first_arrivals(pipeline, settings, entries, missing, whole)
    # Kafka deletes the oldest messages of a partition, so missing ones come first.
    if sink is None:
        # Jobs refuse a ledger with a gap, so missing entries are replayed whatever the range.
        wanted = wanted_ranges(settings, request, on_broker)
        chosen = [b for b in known if b.entry is None or overlap(b.offsets, wanted)]
        skipped = {b.batch_id for b in chosen if b.entry and b.batch_id not in whole}
        if request.start != "earliest":
            skipped = set()
        # A batch whose messages are all an accepted loss has nothing to replay.
        replayed = [b for b in chosen if b.batch_id not in skipped and width(b.read)]
    else:
        skipped, replayed = _of_records(settings, request, sink, known, whole, on_broker)
    if entries and request.sink in {*sinks} - {*entries[-1].sinks}:
        _check_whole(request, settings, replayed, known)
    _check_present(pipeline, settings, replayed, on_broker)
    last = replayed[-1].batch_id if replayed else -1
    return ReplayPlan(
        pipeline=pipeline,
        sink=sink,
        history=[batch for batch in present if batch.batch_id <= last],
        replayed=replayed,
        query_id=query_id,
        last_entry=entries[-1] if entries else None,
        left_out=len(skipped),
        whole=whole,
    )


def _of_records(
    settings: Settings,
    request: ReplayRequest,
    sink: Sink,
    known: list[ReplayBatch],
    whole: frozenset[int],
    on_broker: Ranges,
) -> tuple[set[int], list[ReplayBatch]]:
    """The numbers of the skipped batches, and the batches whose records are written again."""
    wanted = wanted_ranges(settings, request, on_broker)
    # If part of a batch is gone, the first message of an id in it can no longer be determined.
    chosen = [b for b in known if overlap(b.read, wanted)]
    skipped = {b.batch_id for b in chosen if b.batch_id not in whole}
    if skipped and request.start != "earliest":
        in_range = [replace(b, read=overlap(b.read, wanted)) for b in chosen]
        _check_present(request.pipeline, settings, in_range, on_broker)
        raise JobError(
            f"Batches up to {max(skipped)} are no longer completely on the broker, so the first"
            " message of each id in them is unknown. Nothing was replayed. Give a"
            f" later --from, or use `{remedies.again('--from earliest', settings)}`, which skips"
            " them."
        )
    return skipped, [
        replace(b, read=overlap(b.read, wanted)) if sink.takes_parts else b
        for b in chosen
        if b.batch_id not in skipped
    ]


def _check_first_arrivals(
    pipeline: Pipeline,
    settings: Settings,
    entries: list[Entry],
    missing: list[ReplayBatch],
    whole: frozenset[int],
) -> None:
    """Refuse to count missing batches if their duplicates can no longer be recognised."""
    days = settings.deduplication_days
    gone = [e.batch_id for e in remembered(entries, days) if e.batch_id not in whole]
    if gone:
        raise JobError(
            f"Pipeline {pipeline.name}: the ledger lacks {len(missing)} committed batches, up to"
            f" {missing[-1].batch_id}, and messages of the {len(gone)} batches {gone[0]} to"
            f" {gone[-1]} are no longer on the broker. The missing batches may hold their"
            f" duplicates, within DEDUPLICATION_DAYS ({days}), which would be counted as stored."
            " Nothing was replayed. Restore a MongoDB that has the missing batches, or start"
            " from scratch, with what the broker still has:"
            f" `{remedies.reset(pipeline.family, settings)}`."
        )


def _check_whole(
    request: ReplayRequest,
    settings: Settings,
    replayed: list[ReplayBatch],
    known: list[ReplayBatch],
) -> None:
    """Refuse a part of the batches for a sink that has none."""
    if sum(width(b.read) for b in replayed) == sum(width(b.read) for b in known):
        return
    computed = f" `{remedies.rebuild(settings)}` needs only the records in Cassandra."
    raise JobError(
        f"{request.sink} has nothing of {request.pipeline.name} yet, so it needs all of it, from"
        " `earliest` to `latest`, and the broker must still have it. Nothing was replayed."
        f"{computed if request.of_ledger else ''}"
        f" Leave {request.sink} out of SINKS, or start from scratch:"
        f" `{remedies.reset(request.pipeline.family, settings)}`."
    )


def _check_present(
    pipeline: Pipeline, settings: Settings, replayed: list[ReplayBatch], on_broker: Ranges
) -> None:
    gone = sum(width(b.read) - width(overlap(b.read, on_broker)) for b in replayed)
    if gone:
        lows = ", ".join(f"{p}:{low}" for p, (low, _) in sorted(on_broker.items()))
        raise JobError(
            f"{gone} messages of this range are no longer on the broker, whose"
            f" `{pipeline.topic(settings)}` begins at {lows}. Nothing was replayed. Give a later"
            f" --from. Restore aggregates with `{remedies.rebuild(settings)}`; what is missing"
            " elsewhere can only come from a backup."
        )


def _sink_of(
    settings: Settings, database: Database[Document], request: ReplayRequest
) -> Sink | None:
    """The sink to replay; None for the ledger's own.

    Raises:
        JobError: the pipeline has nothing for it.
    """
    if request.of_ledger:
        return None
    for sink in sinks_of(request.pipeline, settings, database):
        if sink.name == request.sink:
            return sink
    raise JobError(f"Pipeline {request.pipeline.name} stores nothing in {request.sink}.")


def _check_like_before(
    settings: Settings, entries: list[Entry], sinks: tuple[str, ...], request: ReplayRequest
) -> None:
    """Refuse settings that would write different rows; the replayed sink may be new."""
    # MongoDB can be replayed without being in SINKS: the ledger alone is there then.
    pipeline, new = request.pipeline, {request.sink} & {*sinks}
    for entry in entries[-1:]:
        other_sinks = {*chain(*changed_sinks(entry.sinks, sinks))} - new
        if entry.topic != pipeline.topic(settings) or other_sinks:
            raise JobError(
                f"Pipeline {pipeline.name}: the stored data came from `{entry.topic}` and went to"
                f" `{','.join(entry.sinks)}`; now the topic is `{pipeline.topic(settings)}` and"
                f" SINKS is `{','.join(settings.sinks)}`. Restore the former settings."
            )
        if entry.hash_key_id != pipeline.hash_key_id(settings):
            raise JobError(
                f"Pipeline {pipeline.name}: the stored digests were made with the key"
                f" `{entry.hash_key_id}`, but the present PII_HASH_KEY / PII_HASH_MODE is"
                f" `{pipeline.hash_key_id(settings)}`. Restore the former key."
            )
