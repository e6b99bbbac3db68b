"""Reads the ledger's entries whatever became of them, and names what is wrong with each.

Jobs refuse an entry that cannot be read. Verification takes what can be read of it, so that one
damaged field does not hide the rest.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from math import inf
from typing import Any, Final

from bson.datetime_ms import DatetimeMS

from operations.verify.differences import kind_of
from spark_jobs.state.ledger import Document, Entry

COUNTS: Final = ("read", "stored", "dead_lettered", "filtered", "duplicates", "alerts")
TEXTS: Final = ("hash_key_id", "topic_id", "plan")
CLOCK: Final = {"wall", "boot_id", "uptime_seconds"}
RANGE: Final = {"partition", "from", "until"}


def read_entries(
    documents: Iterable[Document], pipeline: str, topic: str, query_id: str | None
) -> tuple[list[Entry], list[str]]:
    """The entries of a pipeline, one for each batch, and what is wrong with them, as text.

    Args:
        documents: As they are stored.
        pipeline: The pipeline's name.
        topic: Its topic.
        query_id: The query of its checkpoint; None if that is unknown.
    """
    faults = []
    found: dict[int, tuple[Entry, str]] = {}
    for document in documents:
        name = str(document["_id"])
        wrong = list(_faults_of(document, pipeline))
        entry = _entry(document, pipeline, topic)
        what = f"batch {entry.batch_id} (entry `{name}`)" if entry else f"entry `{name}`"
        if entry is None:
            wrong.append("it names no batch and was left out")
        elif before := found.get(entry.batch_id):
            both = (before, (entry, name))
            kept = max(both, key=lambda each: _is_right(each[0], each[1], query_id))
            (other,) = (each for each in both if each is not kept)
            found[entry.batch_id] = kept
            faults.append(
                f"ledger: `{other[1]}` is a second entry of batch {entry.batch_id}: `{kept[1]}` is"
                " there already. Delete it"
            )
        else:
            found[entry.batch_id] = (entry, name)
        if wrong:
            faults.append(f"ledger: {what}: {'; '.join(wrong)}")
    return [found[batch_id][0] for batch_id in sorted(found)], faults


def query_of(entries: Iterable[Entry], query_id: str | None) -> str | None:
    """The query that the entries belong to: the checkpoint's, unless none of them names it."""
    named = Counter(entry.query_id for entry in entries)
    if query_id is not None and (not named or query_id in named):
        return query_id
    return named.most_common(1)[0][0] if named else None


def _is_right(entry: Entry, name: str, query_id: str | None) -> tuple[bool, bool]:
    """How much speaks for an entry, if there are two of a batch."""
    return entry.query_id == query_id, name == f"{entry.query_id}/{entry.batch_id}"


def _entry(document: Document, pipeline: str, topic: str) -> Entry | None:
    """What can be read of an entry; None if not even its batch is known."""
    query_id, _, number = str(document["_id"]).rpartition("/")
    batch_id = document.get("batch_id")
    if not _is_count(batch_id):
        if not (number.isascii() and number.isdigit()):
            return None
        batch_id = int(number)
    reasons, sinks, clock = (document.get(name) for name in ("reasons", "sinks", "clock"))
    seconds, of_sinks = document.get("seconds"), document.get("sink_seconds")
    readable = {
        **{name: _whole(document.get(name)) for name in COUNTS},
        **{n: v if isinstance(v := document.get(n), str) else None for n in TEXTS},
        "pipeline": pipeline,
        "topic": v if isinstance(v := document.get("topic"), str) else topic,
        "query_id": v if isinstance(v := document.get("query_id"), str) else query_id,
        "batch_id": batch_id,
        "offsets": document["offsets"] if _are_ranges(document.get("offsets")) else [],
        "reasons": {k: _whole(v) for k, v in reasons.items()} if isinstance(reasons, dict) else {},
        "sinks": [s for s in sinks if isinstance(s, str)] if isinstance(sinks, list) else [],
        "accepted_loss": v if _are_ranges(v := document.get("accepted_loss")) else [],
        "clock": clock if _is_clock(clock) else None,
        "rebuilt": document.get("rebuilt") is True,
        "seconds": seconds if _is_duration(seconds) else None,
        "sink_seconds": of_sinks if _are_durations(of_sinks) else {},
    }
    return Entry.of(readable)


def _faults_of(document: Document, pipeline: str) -> Iterator[str]:
    """What is wrong with an entry by itself."""
    query_id, batch_id = document.get("query_id"), document.get("batch_id")
    if document["_id"] != f"{query_id}/{batch_id}":
        yield f"`query_id` and `batch_id` are `{query_id}` and `{batch_id}`, unlike its `_id`"
    if document.get("pipeline") != pipeline:
        yield f"`pipeline` is `{document.get('pipeline')}`, not `{pipeline}`"
    for name, (is_right, words) in FORMS.items():
        value = document.get(name)
        if not is_right(value):
            yield f"`{name}` is {_shown(value)}, not {words}"
    if document.get("alerts") is not None and not _is_count(document["alerts"]):
        yield f"`alerts` is {_shown(document['alerts'])}, not a count"
    offsets, lost = document.get("offsets"), document.get("accepted_loss")
    for name, ranges in (("offsets", offsets), ("accepted_loss", lost)):
        if ranges is not None and isinstance(ranges, list) and not _are_ranges(ranges):
            yield f"`{name}` has a range without `partition`, `from` and `until` in order"


def _shown(value: Any) -> str:
    is_integer = isinstance(value, int) and not isinstance(value, bool)
    return str(value) if is_integer else kind_of(value)


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < inf


def _whole(value: Any) -> int:
    """A count, also of a wrong type; 0 if it is none."""
    is_whole = isinstance(value, float) and value.is_integer()
    return int(value) if (_is_count(value) or is_whole) and value >= 0 else 0


def _are_ranges(value: Any) -> bool:
    if not isinstance(value, list):
        return False
    partitions = [_partition(each) for each in value]
    return None not in partitions and len({*partitions}) == len(partitions)


def _partition(value: Any) -> int | None:
    """The partition of a range; None if it is not one."""
    is_range = isinstance(value, dict) and value.keys() == RANGE
    if not is_range or not all(map(_is_count, value.values())) or value["from"] > value["until"]:
        return None
    return int(value["partition"])


def _is_clock(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and value.keys() == CLOCK
        and isinstance(value["wall"], datetime | DatetimeMS)
        and isinstance(value["boot_id"], str | None)
        and isinstance(value["uptime_seconds"], int | float)
    )


def _are_reasons(value: Any) -> bool:
    return isinstance(value, dict) and all(map(_is_count, value.values()))


def _is_duration(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < inf


def _are_durations(value: Any) -> bool:
    return isinstance(value, dict) and all(map(_is_duration, value.values()))


def _are_sinks(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(each, str) for each in value)


Form = tuple[Callable[[Any], bool], str]
FORMS: Final[Mapping[str, Form]] = {
    "batch_id": (_is_count, "a count"),
    **{name: (_is_count, "a count") for name in COUNTS if name != "alerts"},
    **{n: (lambda v: isinstance(v, str), "text") for n in ("query_id", "topic")},
    **{n: (lambda v: isinstance(v, str | None), "text") for n in TEXTS},
    "offsets": (lambda v: isinstance(v, list), "a list of ranges"),
    "accepted_loss": (lambda v: isinstance(v, list | None), "a list of ranges"),
    "reasons": (_are_reasons, "reasons with counts"),
    "sinks": (_are_sinks, "a list of names"),
    "clock": (lambda v: v is None or _is_clock(v), "a clock's time"),
    "rebuilt": (lambda v: isinstance(v, bool | None), "true or false"),
    "seconds": (lambda v: v is None or _is_duration(v), "a number of seconds"),
    "sink_seconds": (lambda v: v is None or _are_durations(v), "seconds by sink"),
    "updated_at": (lambda v: isinstance(v, datetime | DatetimeMS), "a time"),
}
