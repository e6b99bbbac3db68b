"""Documents of MongoDB: aggregates, and summaries of dead letters."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from decimal import Decimal
from functools import partial
from typing import Any, Final

from bson.decimal128 import Decimal128

from spark_jobs.aggregates import Aggregate
from spark_jobs.sinks.dead_letters import COLLECTION as SUMMARIES
from spark_jobs.state.ledger import CONFIRMATIONS, Ledger
from tests.support.tampering.tampering import Change, Kind, Named, Tampering, exactly
from tests.support.tampering.values import MARK, other
from tests.support.world import World

# What is judged as another change of a dead letter's document is.
SUMMARY: Final = {
    "reasons emptied": "reasons",
    "timestamp null": "timestamp as text",
    "source_topic as a number": "source_topic",
    "without source_timestamp": "without reasons",
    "without source_topic": "a document",
    "_id with an offset with a zero before": "_id with an offset with a letter",
    "_id with no offset": "_id with another topic",
}
Document = dict[str, Any]


@contextmanager
def instead(
    world: World, collection: str, old: Sequence[Document], new: Sequence[Document]
) -> Iterator[None]:
    """Documents replaced by others, and back at the end."""

    def exchange(old: Sequence[Document], new: Sequence[Document]) -> None:
        for document in old:
            world.database[collection].delete_one({"_id": document["_id"]})
        for document in new:
            world.database[collection].insert_one(dict(document))

    exchange(old, new)
    try:
        yield
    finally:
        exchange(new, old)


def of_aggregates(world: World) -> Iterator[Tampering]:
    """Tamperings with the documents of each aggregate."""
    for aggregate in world.pipeline.aggregates:
        documents = [*world.database[aggregate.name].find().sort("_id", 1)]
        yield from _of_aggregate(world, aggregate, documents)


def _of_aggregate(
    world: World, aggregate: Aggregate, documents: list[Document]
) -> Iterator[Tampering]:
    name, first = aggregate.name, documents[0]
    named: Named = (("MongoDB", rf"\b{name}\b", exactly(first["_id"])),)

    def changed(kind: Kind, what: str, sort: str, now: Document) -> Tampering:
        return Tampering(
            kind, f"MongoDB {name}: {what}", f"aggregate: {kind} {sort}",
            partial(instead, world, name, [first], [now]), named,
        )  # fmt: skip

    for field, sort in _fields(aggregate).items():
        value = first.get(field)
        if value is None:
            continue
        yield changed("change", field, sort, first | {field: _other(value, sort)})
        without = {key: v for key, v in first.items() if key != field}
        yield changed("delete", field, sort.partition(" ")[0], without)
        for other_type, new in _of_other_types(value):
            yield changed("type", f"{field} as {other_type}", other_type, first | {field: new})
        unlike = next((d for d in documents if d.get(field) not in (None, value)), None)
        if unlike:
            pair = [first | {field: unlike[field]}, unlike | {field: value}]
            yield Tampering(
                "swap", f"MongoDB {name}: {field} of two documents", "aggregate: swap",
                partial(instead, world, name, [first, unlike], pair),
                (*named, ("MongoDB", rf"\b{name}\b", exactly(unlike["_id"]))),
            )  # fmt: skip
    for sketch in aggregate.sketches.values():
        yield changed("change", f"{sketch} emptied", "sketch", first | {sketch: b""})
        yield changed("change", f"{sketch} garbage", "sketch garbage", first | {sketch: b"\x00no"})
        without = {key: value for key, value in first.items() if key != sketch}
        yield changed("delete", sketch, "sketch emptied", without)
        larger = next((d for d in documents if d[sketch] != first[sketch]), None)
        if larger:
            yield changed("swap", sketch, "sketch", first | {sketch: larger[sketch]})
    yield Tampering(
        "delete", f"MongoDB {name}: a document", "aggregate: delete document",
        partial(instead, world, name, [first], []), named,
    )  # fmt: skip
    for what, key in (("an _id that no record has", f"{first['_id']}{MARK}"), ("a number", 7)):
        yield Tampering(
            "foreign" if key != 7 else "type", f"MongoDB {name}: a document under {what}",
            f"aggregate: document under {what}",
            partial(instead, world, name, [], [first | {"_id": key}]),
            (("MongoDB", rf"\b{name}\b", exactly(key)),),
        )  # fmt: skip
    yield from _of_marks(changed, first)


def _fields(aggregate: Aggregate) -> dict[str, str]:
    """Field of a document -> what it holds; of parts that are no measures as well."""
    labels = {d.field: "label" for d in aggregate.dimensions}
    measures = {name: f"measure {m.kind}" for name, m in aggregate.measures.items()}
    sketches = {*aggregate.sketches.values()}
    parts = {n: f"part {p.kind}" for n, p in aggregate.parts.items() if n not in sketches}
    return parts | measures | labels


def _other(value: Any, sort: str) -> Any:
    if isinstance(value, Decimal128):
        return Decimal128(other(value.to_decimal()))
    # Estimates have an error that is stated.
    return value + 100 if sort == "measure distinct" else other(value)


def within_the_error(world: World) -> Iterator[Change]:
    """What is no tampering: an estimate within its stated error."""
    for aggregate in world.pipeline.aggregates:
        for name in aggregate.sketches:
            document = world.database[aggregate.name].find_one()
            assert document is not None
            now = document | {name: document[name] + 1}
            yield partial(instead, world, aggregate.name, [document], [now])


def with_a_note(world: World) -> Iterator[Change]:
    """What is no tampering: a field that no aggregate declares, which nothing reads."""
    for aggregate in world.pipeline.aggregates:
        document = world.database[aggregate.name].find_one()
        assert document is not None
        noted = document | {"note_of_a_user": "seen"}
        yield partial(instead, world, aggregate.name, [document], [noted])


def _of_other_types(value: Any) -> list[tuple[str, Any]]:
    match value:
        case bool() | str():
            return [("a list", [value])]
        case int():
            decimal = Decimal128(Decimal(value))
            return [("double", float(value)), ("text", str(value)), ("Decimal128", decimal)]
        case Decimal128():
            number = value.to_decimal()
            return [("double", float(number)), ("text", str(number))]
    return [("text", str(value))]


def _of_marks(changed: Callable[..., Tampering], first: Document) -> Iterator[Tampering]:
    """`applied`, by which a job knows the batches that a document includes."""
    (query, batch), *_ = first["applied"].items()
    for name, sort, marks in (
        ("raised", "raised", {query: batch + 1}),
        ("raised far", "raised", {query: batch + 1000}),
        ("lowered", "lowered", {query: batch - 1}),
        ("emptied", "emptied", {}),
        ("of a foreign query alone", "emptied", {"foreign-query": batch}),
        ("of a foreign query as well", "foreign", {query: batch, "foreign-query": batch}),
        ("as text", "as text", {query: str(batch)}),
        ("no object", "as text", 7),
    ):
        yield changed("change", f"applied {name}", f"applied {sort}", first | {"applied": marks})
    without = {key: value for key, value in first.items() if key != "applied"}
    yield changed("delete", "applied", "applied", without)


def of_summaries(world: World) -> Iterator[Tampering]:
    """Tamperings with the documents about dead letters."""
    own = {"source_topic": world.topic}
    documents = [*world.database[SUMMARIES].find(own).sort("_id", 1)]
    first, last = documents[0], documents[-1]
    named: Named = (("MongoDB", SUMMARIES, exactly(first["_id"])),)

    def tampering(
        kind: Kind, name: str, old: list[Document], new: list[Document], also: Named = named
    ) -> Tampering:
        changed = partial(instead, world, SUMMARIES, old, new)
        sort = SUMMARY.get(name, name)
        return Tampering(kind, f"MongoDB {SUMMARIES}: {name}", f"summary {sort}", changed, also)

    later = first["source_timestamp"] + timedelta(milliseconds=1)
    for kind, name, change in (
        ("change", "reasons", {"reasons": [*first["reasons"], f"missing_{MARK}"]}),
        ("delete", "reasons emptied", {"reasons": []}),
        ("type", "reasons as text", {"reasons": ",".join(first["reasons"])}),
        ("change", "timestamp", {"source_timestamp": later}),
        ("delete", "timestamp null", {"source_timestamp": None}),
        ("type", "timestamp as text", {"source_timestamp": first["source_timestamp"].isoformat()}),
        ("change", "source_topic", {"source_topic": "elsewhere"}),
        ("type", "source_topic as a number", {"source_topic": 7}),
    ):
        yield tampering(kind, name, [first], [first | change])
    for field in ("reasons", "source_timestamp", "source_topic"):
        without = {key: value for key, value in first.items() if key != field}
        yield tampering("delete", f"without {field}", [first], [without])
    if unlike := next((d for d in documents if d["reasons"] != first["reasons"]), None):
        pair = [first | {"reasons": unlike["reasons"]}, unlike | {"reasons": first["reasons"]}]
        both = (*named, ("MongoDB", SUMMARIES, exactly(unlike["_id"])))
        yield tampering("swap", "reasons of two", [first, unlike], pair, both)
    yield tampering("delete", "a document", [first], [])
    foreign = first | {"_id": _not_rejected(world, documents)}
    of_foreign: Named = (("MongoDB", SUMMARIES, exactly(foreign["_id"])),)
    yield tampering("foreign", "a document", [], [foreign], of_foreign)
    yield tampering("move", "one for another", [last], [foreign], of_foreign)
    for name, key in (
        ("an offset with a letter", f"{world.topic}/0/1x"),
        ("an offset with a zero before", f"{world.topic}/0/0{_offset(first)}"),
        ("no offset", world.topic),
        ("another topic", f"elsewhere/0/{_offset(first)}"),
        ("a number", 7),
        ("after the topic's end", f"{world.topic}/0/1000000"),
        ("a number beyond 64 bits", f"{world.topic}/0/{10**20}"),
    ):
        # Far behind the end, the offset says it.
        own = "1000000" if name == "after the topic's end" else exactly(key)
        of_key: Named = (("MongoDB", SUMMARIES, own),)
        yield tampering("foreign", f"_id with {name}", [], [first | {"_id": key}], of_key)


def _offset(document: Document) -> str:
    return str(document["_id"]).rpartition("/")[2]


def _not_rejected(world: World, documents: Sequence[Document]) -> str:
    """A confirmed message that is no dead letter."""
    names = (f"{world.topic}/0/{offset}" for offset in range(100))
    known = {document["_id"] for document in documents}
    return next(name for name in names if name not in known)


def of_confirmations(world: World) -> Iterator[Tampering]:
    """Sinks that claim to have a batch that was never read: the next job would leave them out."""
    last = Ledger(world.database, world.pipeline.name).last()
    known = world.database[CONFIRMATIONS].find_one({"_id": world.pipeline.name})
    if last is None or known is None:
        return
    ahead = known | {"batch_id": last.batch_id + 1, "plan": last.code_fingerprint}
    yield Tampering(
        "foreign", f"MongoDB {CONFIRMATIONS}: a batch ahead of the ledger", "confirmations",
        partial(instead, world, CONFIRMATIONS, [known], [ahead]),
        ((CONFIRMATIONS + "|confirm", rf"\b{last.batch_id + 1}\b"),),
    )  # fmt: skip
