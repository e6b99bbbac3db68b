"""Entries of the ledger, and the topic that it describes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from typing import Any, Final

from spark_jobs.sources.broker import kafka_admin
from spark_jobs.sources.topics import ensure_topics
from spark_jobs.state.ledger import COLLECTION
from tests.support.tampering.documents import Document, instead
from tests.support.tampering.tampering import Change, Kind, Tampering
from tests.support.tampering.topics import messages_of, send
from tests.support.tampering.values import MARK
from tests.support.world import World

# What is judged as another change of an entry is.
SIMILAR: Final = {
    "batch_id as a fraction": "batch_id as text",
    "a reason's number as text": "reasons as a list",
    "sinks as text": "reasons as a list",
    "stored for dead_lettered": "dead_lettered for filtered",
    "filtered for duplicates": "duplicates for stored",
    "a reason's number": "one reason for another",
    "reasons": "one reason for another",
    "all sinks": "a sink",
    "sinks of the last": "a sink",
    "batch_id of the last": "batch_id",
    "the first entry twice": "the middle entry twice",
    "the last entry twice": "the middle entry twice",
    "counts of two entries": "duplicates for stored",
    "query_id of the last": "query_id",
    "topic_id of the last": "topic_id",
    "offsets begin later": "offsets end earlier",
    "offsets begin earlier": "offsets end later",
    "an entry of a foreign query": "the middle entry twice",
}
PARTS: Final = ("stored", "dead_lettered", "filtered", "duplicates")


def of_ledger(world: World) -> Iterator[Tampering]:
    """Tamperings with each entry's fields, and with entries."""
    own = {"pipeline": world.pipeline.name}
    entries = [*world.database[COLLECTION].find(own).sort("batch_id", 1)]
    assert len(entries) > 2
    middle = entries[1]
    for kind, name, changes in _changes(middle):
        # Types of numbers, and their sum, are judged alike.
        sort = re.sub("|".join((*PARTS, "read", "alerts")), "a count", name)
        mechanism = name if kind == "swap" else sort
        yield _tampering(world, kind, name, [middle], [middle | changes], mechanism)
    for field in ("offsets", "read", "stored", "reasons", "sinks", "query_id", "topic", "batch_id"):
        without = {key: value for key, value in middle.items() if key != field}
        yield _tampering(world, "delete", f"without {field}", [middle], [without], "a field")
    last = entries[-1]
    for name, changes in _of_the_last(last):
        yield _tampering(world, "change", f"{name} of the last", [last], [last | changes])
    for name, entry in (("first", entries[0]), ("middle", middle), ("last", last)):
        yield _tampering(world, "delete", f"the {name} entry", [entry], [])
        twin = entry | {"_id": f"{entry['_id']}-{MARK}"}
        yield _tampering(world, "double", f"the {name} entry twice", [], [twin])
    yield _tampering(world, "delete", "all but the first", entries[1:], [])
    beyond = last | {"_id": f"{last['query_id']}/{last['batch_id'] + 1}"}
    beyond |= {"batch_id": last["batch_id"] + 1}
    yield _tampering(world, "foreign", "an entry after the last", [], [beyond])
    other = middle | {"_id": f"foreign/{middle['batch_id']}", "query_id": "foreign"}
    yield _tampering(world, "foreign", "an entry of a foreign query", [], [other])
    exchanged = [middle | {"offsets": last["offsets"]}, last | {"offsets": middle["offsets"]}]
    yield _tampering(world, "swap", "offsets of two entries", [middle, last], exchanged)
    counted = {name: (middle[name], last[name]) for name in ("read", *PARTS, "alerts", "reasons")}
    if any(a != b for a, b in counted.values()):
        one = middle | {name: b for name, (_, b) in counted.items()}
        two = last | {name: a for name, (a, _) in counted.items()}
        yield _tampering(world, "swap", "counts of two entries", [middle, last], [one, two])


def _tampering(
    world: World, kind: Kind, name: str, old: list[Document], new: list[Document],
    mechanism: str = "",
) -> Tampering:  # fmt: skip
    changed = partial(instead, world, COLLECTION, old, new)
    named = "|".join(each for entry in (*old, *new) for each in _names(entry))
    mechanism = f"ledger {SIMILAR.get(name, mechanism or name)}"
    return Tampering(kind, f"MongoDB {COLLECTION}: {name}", mechanism, changed, ((named,),))


def _names(entry: Document) -> Iterator[str]:
    """How the batch may be named: by its number, or by its offsets."""
    if isinstance(entry.get("batch_id"), int):
        yield rf"\bbatch(?:es)?\b[^:;]*\b{entry['batch_id']}\b"
    whole = [r for r in entry.get("offsets", ()) if isinstance(r["from"], int)]
    yield from (f"offsets {r['from']} to {r['until'] - 1}" for r in whole)


def _changes(entry: Document) -> Iterator[tuple[Kind, str, dict[str, Any]]]:
    """The fields of an entry that other records of the run can contradict."""
    yield "change", "pipeline", {"pipeline": "others"}
    yield "change", "topic", {"topic": "elsewhere"}
    yield "change", "query_id", {"query_id": "00000000-0000-0000-0000-000000000000"}
    yield "change", "batch_id", {"batch_id": 1000}
    yield "type", "batch_id as text", {"batch_id": str(entry["batch_id"])}
    yield "type", "batch_id as a fraction", {"batch_id": entry["batch_id"] + 0.5}
    for name in ("read", *PARTS, "alerts"):
        yield "change", name, {name: entry[name] + 1}
        yield "type", f"{name} as text", {name: str(entry[name])}
        yield "type", f"{name} as a double", {name: float(entry[name])}
    yield (
        "change",
        "a negative number",
        {"stored": -1, "duplicates": entry["duplicates"] + 1 + entry["stored"]},
    )
    for first, second in zip(PARTS, (*PARTS[1:], PARTS[0]), strict=True):
        # The parts still add up.
        moved = {first: entry[first] - 1, second: entry[second] + 1}
        yield "swap", f"{first} for {second}", moved
    reasons = entry["reasons"]
    code, number = next(iter(reasons.items()))
    yield "swap", "one reason for another", {"reasons": {f"missing_{MARK}": number}}
    yield "change", "a reason's number", {"reasons": reasons | {code: number + 1}}
    yield "delete", "reasons", {"reasons": {}}
    yield "type", "reasons as a list", {"reasons": [code]}
    yield "type", "a reason's number as text", {"reasons": reasons | {code: str(number)}}
    yield "delete", "a sink", {"sinks": entry["sinks"][1:]}
    yield "delete", "all sinks", {"sinks": []}
    yield "foreign", "a foreign sink", {"sinks": [*entry["sinks"], MARK]}
    yield "type", "sinks as text", {"sinks": ",".join(entry["sinks"])}
    if entry["hash_key_id"]:
        yield "change", "hash_key_id", {"hash_key_id": "00000000"}
        yield "delete", "hash_key_id", {"hash_key_id": None}
    else:
        yield "foreign", "hash_key_id", {"hash_key_id": "00000000"}
    yield "change", "topic_id", {"topic_id": "AAAAAAAAAAAAAAAAAAAAAA"}
    yield from _of_ranges(entry)


def _of_ranges(entry: Document) -> Iterator[tuple[Kind, str, dict[str, Any]]]:
    ranges = entry["offsets"]
    place = next(n for n, r in enumerate(ranges) if r["from"] < r["until"])
    own = ranges[place]

    def put(changes: dict[str, Any]) -> dict[str, Any]:
        return {"offsets": [*ranges[:place], own | changes, *ranges[place + 1 :]]}

    yield "change", "offsets begin earlier", put({"from": own["from"] - 1})
    yield "change", "offsets begin later", put({"from": own["from"] + 1})
    yield "change", "offsets end later", put({"until": own["until"] + 1})
    yield "change", "offsets end earlier", put({"until": own["until"] - 1})
    yield "change", "offsets are backwards", put({"from": own["until"], "until": own["from"]})
    yield "move", "offsets of another partition", put({"partition": 99})
    yield "delete", "offsets", {"offsets": []}
    yield "type", "offsets as text", put({"from": str(own["from"])})
    lost = own | {"until": own["from"] + 1}
    yield "foreign", "a loss that was accepted", {"accepted_loss": [lost]}


def _of_the_last(entry: Document) -> Iterator[tuple[str, dict[str, Any]]]:
    """What the entry before the present end of the ledger may say."""
    ranges = [r | {"until": r["until"] + 1} for r in entry["offsets"]]
    yield "offsets end later", {"offsets": ranges}
    shorter = [r | {"until": max(r["until"] - 1, r["from"])} for r in entry["offsets"]]
    yield "offsets end earlier", {"offsets": shorter}
    yield "query_id", {"query_id": "00000000-0000-0000-0000-000000000000"}
    yield "topic_id", {"topic_id": "AAAAAAAAAAAAAAAAAAAAAA"}
    yield "sinks", {"sinks": entry["sinks"][1:]}
    yield "batch_id", {"batch_id": entry["batch_id"] + 1}


def of_source(world: World) -> Iterator[Tampering]:
    """The topic deleted and created again with the same messages."""
    yield Tampering(
        "swap", f"Kafka {world.topic}: created again", "source topic",
        partial(_created_again, world), (("created again|another topic|other topic",),),
        is_lasting=True,
    )  # fmt: skip


@contextmanager
def _created_again(world: World) -> Iterator[None]:
    messages = messages_of(world, world.topic)
    admin = kafka_admin(world.settings)
    for deleted in admin.delete_topics([world.topic]).values():
        deleted.result(30)
    ensure_topics(world.settings, [world.topic])
    send(world, world.topic, messages)
    yield


def unknowable(world: World) -> Iterator[Change]:
    """What only the entry itself records: when it was confirmed, how fast, and by which code."""
    own = {"pipeline": world.pipeline.name}
    entry = [*world.database[COLLECTION].find(own).sort("batch_id", 1)][1]
    changes = {
        "updated_at": entry["updated_at"] + timedelta(seconds=1),
        "seconds": 0.5,
        "sink_seconds": {"files": 0.25},
        "plan": "other/code",
    }
    yield partial(instead, world, COLLECTION, [entry], [entry | changes])
