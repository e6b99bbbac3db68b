"""Compares a ledger's entries with each other, with what they must name, with the messages."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from typing import Any, Final

from operations.verify.differences import shortened
from runtime.config.sink_modules import TOPICS_MODULE
from spark_jobs.state.ledger import Counts, Entry
from spark_jobs.state.offset_ranges import Ranges, overlap

NUMBERS: Final = ("read", "stored", "dead_lettered", "filtered", "duplicates", "alerts")
TOPICS: Final = TOPICS_MODULE.rpartition(".")[2]


@dataclass(frozen=True)
class Origin:
    """What all entries of a ledger must name.

    Attributes:
        topic: The topic.
        topic_id: The broker's id of it; None if it gives none.
        query_id: The query.
        hash_key_id: The id of the digests' key; None without digests.
        sinks: The sinks that are enabled.
        topics_from: The first batch for topics, if they were added over stored records.
    """

    topic: str
    topic_id: str | None
    query_id: str | None
    hash_key_id: str | None
    sinks: frozenset[str]
    topics_from: int = 0


def origin_faults(entries: Sequence[Entry], origin: Origin) -> list[str]:
    """Where entries name another topic, query, key or other sinks than they must, as text."""
    faults = [
        *_unlike(entries, "query_id", origin.query_id),
        *_unlike(entries, "topic", origin.topic),
    ]
    if not _is_other_key(entries, origin):
        faults += _unlike(entries, "hash_key_id", origin.hash_key_id)
    if origin.topic_id is not None and not _is_former_topic(entries, origin):
        # Entries made by a replay alone have none, so only those after one that has it must.
        first = next((n for n, entry in enumerate(entries) if entry.topic_id), len(entries))
        faults += _unlike(entries[first:], "topic_id", origin.topic_id)
    have_topics = [
        replace(entry, sinks=tuple(dict.fromkeys((*entry.sinks, TOPICS))))
        if entry.batch_id < origin.topics_from
        else entry
        for entry in entries
    ]
    return faults + list(_sink_faults(have_topics, origin.sinks))


def setting_faults(entries: Sequence[Entry], origin: Origin) -> list[str]:
    """Where all entries name another key or a former topic, as text: the present ones are wrong."""
    faults = []
    if _is_other_key(entries, origin):
        faults.append(
            f"ledger: `hash_key_id` of all batches is `{entries[0].hash_key_id}`, but the present"
            f" PII_HASH_KEY and PII_HASH_MODE make `{origin.hash_key_id}`: set the former key and"
            " mode again"
        )
    if _is_former_topic(entries, origin):
        faults.append(
            f"ledger: its batches belong to a former topic {origin.topic}; the present one was"
            " created again and is not read"
        )
    return faults


def _is_other_key(entries: Sequence[Entry], origin: Origin) -> bool:
    keys = {entry.hash_key_id for entry in entries}
    return len(keys) == 1 and keys != {origin.hash_key_id}


def _is_former_topic(entries: Sequence[Entry], origin: Origin) -> bool:
    known = {entry.topic_id for entry in entries} - {None}
    return origin.topic_id is not None and len(known) == 1 and known != {origin.topic_id}


def _unlike(entries: Iterable[Entry], field: str, wanted: Any) -> Iterator[str]:
    """A line for each other value of a field."""
    others: defaultdict[Any, list[int]] = defaultdict(list)
    for entry in entries:
        if (value := getattr(entry, field)) != wanted:
            others[value].append(entry.batch_id)
    for value, batches in others.items():
        yield f"ledger: {_batches(batches)}: `{field}` is `{value}`, it must be `{wanted}`"


def _sink_faults(entries: Sequence[Entry], enabled: AbstractSet[str]) -> Iterator[str]:
    """Sinks that some entries lack or have alone: a sink is added to all entries at once."""
    named = Counter(frozenset(entry.sinks) for entry in entries)
    usual = max(named, key=lambda s: (named[s], s == enabled, len(s)), default=enabled)
    nowhere = unwritten_sinks(entries, enabled)
    wrong: defaultdict[tuple[str, str], list[int]] = defaultdict(list)
    for entry in entries:
        own = Counter(entry.sinks)
        for words, names in (
            ("lacks", (usual | enabled) - own.keys() - nowhere),
            ("names, unlike other batches,", own.keys() - usual),
            ("names twice", {name for name, times in own.items() if times > 1}),
        ):
            for name in sorted(names):
                wrong[words, name].append(entry.batch_id)
    for (words, name), batches in wrong.items():
        yield f"ledger: {_batches(batches)}: `sinks` {words} {name}"


def unwritten_sinks(entries: Sequence[Entry], enabled: AbstractSet[str]) -> frozenset[str]:
    """Enabled sinks that no entry names."""
    return frozenset(enabled).difference(*(entry.sinks for entry in entries))


def unchecked_sinks(entries: Sequence[Entry], enabled: AbstractSet[str]) -> frozenset[str]:
    """Sinks that all entries name and the settings do not."""
    named = [frozenset(entry.sinks) for entry in entries]
    return (frozenset.intersection(*named) if named else frozenset()) - enabled


def count_faults(entries: Iterable[Entry]) -> list[str]:
    """Entries whose counts contradict each other, as text."""
    return [
        f"ledger: batch {entry.batch_id}: {words}"
        for entry in entries
        for words in _contradictions(entry.counts)
    ]


def _contradictions(counts: Counts) -> Iterator[str]:
    parts = counts.stored + counts.dead_lettered + counts.filtered + counts.duplicates
    if counts.read != parts:
        yield f"read {counts.read}, but its parts add up to {parts}"
    # Each dead letter has one reason or more, each of them once.
    most, named = max(counts.reasons.values(), default=0), sum(counts.reasons.values())
    if not most <= counts.dead_lettered <= named:
        yield f"{counts.dead_lettered} dead letters cannot have the {named} reasons that it names"
    if counts.alerts > counts.stored:
        yield f"{counts.alerts} alerts, but {counts.stored} records"


def ledger_against_messages(entries: Iterable[Entry], found: Mapping[int, Counts]) -> list[str]:
    """Where the counts and reasons of batches differ from those of their messages, as text.

    Args:
        entries: The ledger of one pipeline.
        found: Batch -> what its messages say; batches that it lacks are not compared.

    Returns:
        First the sums over all compared batches, then the batches, if there are several.
    """
    compared = [entry for entry in entries if entry.batch_id in found]
    booked = sum((entry.counts for entry in compared), Counts())
    present = sum((found[entry.batch_id] for entry in compared), Counts())
    by_batch = [
        f"ledger: batch {entry.batch_id}: {line}"
        for entry in compared
        for line in _different(entry.counts, found[entry.batch_id])
    ]
    sums = [f"ledger: {line}" for line in _different(booked, present)]
    return sums + (shortened("ledger", by_batch) if len(compared) > 1 else [])


def _different(booked: Counts, present: Counts) -> Iterator[str]:
    pairs = {name: (getattr(booked, name), getattr(present, name)) for name in NUMBERS}
    for code in sorted({*booked.reasons, *present.reasons}):
        pairs[f"reason {code}"] = booked.reasons.get(code, 0), present.reasons.get(code, 0)
    for name, (here, there) in pairs.items():
        if here != there:
            words = name.replace("_", "-") if name in NUMBERS else name
            yield f"{words} is {here}, in these offsets the topic has {there} ({here - there:+d})"


def _batches(numbers: Sequence[int]) -> str:
    """`batch 3`, or `batches 0, 1, 2 and 40 more`."""
    if len(numbers) == 1:
        return f"batch {numbers[0]}"
    shown, more = ", ".join(map(str, numbers[:3])), len(numbers) - 3
    return f"batches {shown}" + (f" and {more} more" if more > 0 else "")


def loss_faults(entry: Entry, offsets: Ranges, noted: Ranges) -> Iterator[str]:
    """Where an accepted loss is not one: the broker has the messages, or another was accepted.

    Args:
        entry: The entry.
        offsets: Partition -> (first offset on the broker, offset after the last).
        noted: The loss that was accepted last, as the checkpoint has it.
    """
    lost = {p: (start, end) for p, (start, end) in entry.accepted_loss.items() if start < end}
    there = {p: end for p, (_, end) in lost.items() if p in offsets and offsets[p][0] < end}
    for partition, end in sorted(there.items()):
        yield (
            f"ledger: batch {entry.batch_id} has an accepted loss up to offset {end - 1} of"
            f" partition {partition}, but the broker has messages from {offsets[partition][0]} on"
        )
    own = overlap(noted, entry.offsets)
    if own and own != lost and not there:
        yield (
            f"ledger: the accepted loss of batch {entry.batch_id} is not the one that was accepted"
            " when it was read"
        )
