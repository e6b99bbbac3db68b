"""Checks what documents remember: the last batch that changed each (`applied`), and their sketches.

A batch changes a document once, so `applied` must name the last batch that has a row of its group.
After a rebuild all documents name the batch that was the last one then; the ledger notes it. A mark
that is too high makes the next job leave out a batch; one that is too low lets a batch be added
twice when it is repeated.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import datasketches
from bson.datetime_ms import DatetimeMS
from pymongo.database import Database

from operations.verify.coverage import batch_finder
from operations.verify.differences import Document, kind_of, shortened
from operations.verify.expected_aggregates import ESTIMATED, FEW, ExpectedAggregates
from operations.verify.snapshot import LedgerSnapshot, is_batch, mark_of
from spark_jobs.aggregates import SKETCH_LG_K, Aggregate

# What the library raises for bytes that are no sketch.
NO_SKETCH: Final = (ValueError, RuntimeError, LookupError, ArithmeticError, MemoryError)


@dataclass(frozen=True)
class Marks:
    """Which batches documents may name.

    Attributes:
        query_id: The pipeline's query.
        last: The last batch of the ledger; -1: it is empty.
        in_work: Later ones that may be in work.
        rebuilt: Those after which the aggregates were rebuilt.
    """

    query_id: str
    last: int
    in_work: AbstractSet[int]
    rebuilt: AbstractSet[int]


def last_batches(
    reached: Mapping[str, Mapping[int, int]], batch_of: Callable[[int, int], int | None]
) -> dict[str, int | None]:
    """`_id` -> the last batch with a row of the document; None if that is unknown.

    Args:
        reached: `_id` -> partition -> the highest offset of a row.
        batch_of: Finds the batch of a partition's offset.
    """
    found: dict[str, int | None] = {}
    for name, places in reached.items():
        batches = [batch_of(*place) for place in places.items()]
        known = [batch_id for batch_id in batches if batch_id is not None]
        found[name] = max(known) if known and len(known) == len(batches) else None
    return found


def mark_account(
    database: Database[Document],
    snapshot: LedgerSnapshot,
    aggregates: Sequence[Aggregate],
    expected: ExpectedAggregates,
    reached: Mapping[str, Mapping[str, Mapping[int, int]]],
    differing: Mapping[str, AbstractSet[str]],
    remedy: str,
) -> list[str]:
    """What is wrong with the marks and sketches of a pipeline's documents, as text.

    Args:
        database: Where the documents are.
        snapshot: Ledger and documents.
        aggregates: The aggregates of the snapshot.
        expected: What the rows of confirmed batches say; empty if that is unknown.
        reached: Collection -> `_id` -> partition -> the highest offset of a row.
        differing: Collection -> `_id`s of documents whose numbers differ from the rows: which
            batch changed them last cannot be seen from the rows either.
        remedy: The command that makes the documents again.
    """
    faults: list[str] = []
    batch_of = batch_finder(snapshot.entries)
    rebuilt = {entry.batch_id for entry in snapshot.entries if entry.rebuilt}
    for each in aggregates if snapshot.settled else ():
        if snapshot.query_id is None:
            continue  # neither ledger nor checkpoint: no document can belong to a batch
        rows_of, documents = reached.get(each.name), snapshot.documents(each.name)
        judged = (rows_of or {}).keys() - differing.get(each.name, set())
        known = {key: rows_of[key] for key in judged} if rows_of else {}
        faults += mark_faults(
            f"MongoDB {database.name}.{each.name}",
            # A document without rows is named as such.
            [d for d in documents if rows_of is None or str(d["_id"]) in rows_of],
            last_batches(known, batch_of),
            Marks(snapshot.query_id, snapshot.last, {*snapshot.later}, rebuilt),
        )
    if snapshot.settled:
        faults += sketch_faults(database, snapshot, aggregates, expected)
    if faults:
        faults.append(f"MongoDB {database.name}: `{remedy}` makes these documents right again")
    return faults


def mark_faults(
    place: str, documents: Iterable[Document], last: Mapping[str, int | None], marks: Marks
) -> list[str]:
    """Documents whose `applied` is not what the ledger and the rows say, as text.

    Args:
        place: The collection, as the words name it.
        documents: All its documents.
        last: `_id` -> the last batch with a row of the document, where that is known.
        marks: The batches that documents may name.
    """
    faults = (
        f"{place}: `{document['_id']}`: {words}"
        for document in documents
        for words in _wrong(document, last.get(str(document["_id"])), marks)
    )
    return shortened(place, list(faults))


def _wrong(document: Document, last: int | None, marks: Marks) -> Iterator[str]:
    applied = document.get("applied")
    if not isinstance(document.get("updated_at"), datetime | DatetimeMS):
        yield f"`updated_at` is {kind_of(document.get('updated_at'))}, not a time"
    if not isinstance(applied, dict) or marks.query_id not in applied:
        yield "`applied` does not name the pipeline's query: a repeated batch would be added twice"
        return
    if others := applied.keys() - {marks.query_id}:
        yield f"`applied` names the query {', '.join(sorted(others))}, which is not the pipeline's"
    mark = applied[marks.query_id]
    if not is_batch(mark):
        yield f"`applied` has {kind_of(mark)} in place of a batch's number"
    elif mark > marks.last and mark not in marks.in_work:
        ledger = f"ends with batch {marks.last}" if marks.last >= 0 else "is empty"
        yield (
            f"`applied` names batch {mark}, but the ledger {ledger} and no such batch is in work:"
            " the next job would leave out its own batch here"
        )
    elif last is not None and mark not in marks.in_work | marks.rebuilt | {last}:
        yield f"`applied` names batch {mark}, but batch {last} was the last to change it"
    elif last is not None and mark < last:
        yield (
            f"`applied` names batch {mark}, but batch {last} changed it too: repeated, it would be"
            " added twice"
        )


def sketch_faults(
    database: Database[Document],
    snapshot: LedgerSnapshot,
    aggregates: Iterable[Aggregate],
    expected: ExpectedAggregates,
) -> Iterator[str]:
    """Sketches that are not of the rows' values, as text; reads one document at a time.

    A running job may have changed a document since the snapshot: then its mark is another one.
    """
    for aggregate in aggregates:
        if not (sketches := aggregate.sketches):
            continue
        place = f"MongoDB {database.name}.{aggregate.name}"
        of_rows = expected.get(aggregate.name)
        before = {str(d["_id"]): d for d in snapshot.documents(aggregate.name)}
        wanted = dict.fromkeys(["applied", *sketches, *sketches.values()], 1)
        faults = [
            f"{place}: `{document['_id']}`: {words}"
            for document in database[aggregate.name].find({}, wanted, batch_size=100)
            if of_rows is None or str(document["_id"]) in of_rows
            for words in sketch_differences(
                document,
                sketches,
                (of_rows or {}).get(str(document["_id"]), {}),
                is_settled=is_settled(document, before.get(str(document["_id"])), snapshot),
            )
        ]
        yield from shortened(place, faults)


def is_settled(document: Document, before: Document | None, snapshot: LedgerSnapshot) -> bool:
    """Whether a document has only rows of the snapshot's confirmed batches."""
    mark = mark_of(document, snapshot.query_id)
    is_same = before is not None and mark == mark_of(before, snapshot.query_id)
    return is_same and mark not in snapshot.later


def sketch_differences(
    document: Document, sketches: Mapping[str, str], figures: Document, *, is_settled: bool = True
) -> Iterator[str]:
    """Which sketches of a document are not of the rows' values, in words.

    Args:
        document: The document.
        sketches: Field of each estimate -> field of its sketch.
        figures: Field of each estimate -> what the rows say; empty if that is unknown.
        is_settled: Whether the document has no values of later rows.
    """
    for field, name in sketches.items():
        stored, figure = document.get(name), figures.get(field)
        if (number := _estimate(stored)) is None:
            yield f"`{name}` is no sketch of distinct values, so no batch can be added to it"
            continue
        expected = figure.value if figure else document.get(field)
        tolerance = figure.tolerance if figure else max(FEW, ESTIMATED * number)
        if is_settled and isinstance(expected, int) and abs(number - expected) > tolerance:
            yield f"`{name}` holds about {number} distinct values, there are {expected}"
        elif figure and not all(_holds(stored, value) for value in figure.members):
            yield f"`{name}` lacks a value that rows have"


def _estimate(sketch: Any) -> int | None:
    """The number of values in a sketch; None if it is not one."""
    if not isinstance(sketch, bytes):
        return None
    try:
        found = datasketches.hll_sketch.deserialize(sketch)
        return round(found.get_estimate()) if found.lg_config_k == SKETCH_LG_K else None
    except NO_SKETCH:
        return None


def _holds(sketch: Any, value: Any) -> bool:
    """Whether a sketch has a value: adding it then changes nothing."""
    found = datasketches.hll_sketch.deserialize(sketch)
    before = found.get_estimate()
    found.update(value)
    return bool(found.get_estimate() == before)
