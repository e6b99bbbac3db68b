"""What documents remember: the last batch that changed them, and sketches of distinct values."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import datasketches
import pytest

from operations.verify.coverage import batch_finder
from operations.verify.differences import Figure
from operations.verify.marks import (
    Marks,
    is_settled,
    last_batches,
    mark_faults,
    sketch_differences,
)
from operations.verify.snapshot import LedgerSnapshot, mark_of
from spark_jobs.state.ledger import Counts, Entry

NOW = datetime(2026, 11, 22, tzinfo=UTC)
MARKS = Marks("q", 5, {7}, set())


def words_of(document: dict[str, Any], last: int | None = None, marks: Marks = MARKS) -> list[str]:
    faults = mark_faults("c", [{"_id": "d", "updated_at": NOW} | document], {"d": last}, marks)
    assert all(fault.startswith("c: `d`: ") for fault in faults)
    return [fault.removeprefix("c: `d`: ") for fault in faults]


@pytest.mark.parametrize(
    ("mark", "last", "rebuilt", "words"),
    [
        (3, 3, set(), None),
        (7, 3, set(), None),
        (3, None, set(), None),
        (4, 3, {4}, None),
        (3, 3, {2}, None),
        (
            6,
            3,
            set(),
            "names batch 6, but the ledger ends with batch 5 and no such batch is in work: the next"
            " job would leave out its own batch here",
        ),
        (5, 3, set(), "names batch 5, but batch 3 was the last to change it"),
        (5, 3, {4}, "names batch 5, but batch 3 was the last to change it"),
        (2, 3, set(), "names batch 2, but batch 3 was the last to change it"),
        (
            2,
            3,
            {2},
            "names batch 2, but batch 3 changed it too: repeated, it would be added twice",
        ),
        (3.0, 3, set(), "has a double in place of a batch's number"),
        ("3", 3, set(), "has text in place of a batch's number"),
        (-1, 3, set(), "has an integer in place of a batch's number"),
    ],
)
def test_mark_is_that_of_the_last_batch_with_a_row(
    mark: Any, last: int | None, rebuilt: set[int], words: str | None
) -> None:
    marks = Marks("q", 5, {7}, rebuilt)

    assert words_of({"applied": {"q": mark}}, last, marks) == (
        [f"`applied` {words}"] if words else []
    )


def test_mark_of_a_batch_before_the_first_confirmed_one_is_named() -> None:
    assert words_of({"applied": {"q": 0}}, None, Marks("q", -1, {0}, set())) == []
    assert words_of({"applied": {"q": 0}}, None, Marks("q", -1, set(), set())) == [
        "`applied` names batch 0, but the ledger is empty and no such batch is in work: the next"
        " job would leave out its own batch here"
    ]


@pytest.mark.parametrize("applied", [..., None, {}, 3, {"x": 3}])
def test_document_without_the_mark_of_its_query_is_named(applied: Any) -> None:
    document = {} if applied is ... else {"applied": applied}

    assert words_of(document) == [
        "`applied` does not name the pipeline's query: a repeated batch would be added twice"
    ]


def test_mark_of_a_foreign_query_and_another_type_of_time_are_named() -> None:
    assert words_of({"applied": {"q": 3, "x": 3}, "updated_at": "now"}, 3) == [
        "`updated_at` is text, not a time",
        "`applied` names the query x, which is not the pipeline's",
    ]


@pytest.mark.parametrize(
    ("applied", "mark"),
    [
        ({"q": 3, "x": 9}, 3),
        ({"q": "3"}, None),
        ({"q": True}, None),
        (None, None),
        ({"x": 1}, None),
    ],
)
def test_mark_that_is_no_batch_makes_no_later_batch(applied: Any, mark: int | None) -> None:
    assert mark_of({"applied": applied}, "q") == mark


def test_last_batch_follows_from_the_highest_offset_of_each_partition() -> None:
    sinks = ("mongodb",)
    entries = [
        Entry("p", "t", "q", 0, {0: (0, 10), 1: (5, 5)}, Counts(), sinks),
        Entry("p", "t", "q", 2, {0: (10, 11), 1: (5, 9)}, Counts(), sinks),
    ]
    reached = {"a": {0: 9}, "b": {0: 3, 1: 5}, "c": {0: 10}, "d": {0: 3, 1: 9}, "e": {}}

    found = last_batches(reached, batch_finder(entries))

    # The ledger lacks the batch of partition 1, offset 9.
    assert found == {"a": 0, "b": 2, "c": 2, "d": None, "e": None}


def sketch(*values: str, lg_k: int = 14) -> bytes:
    made = datasketches.hll_sketch(lg_k, datasketches.tgt_hll_type.HLL_8)
    for value in values:
        made.update(value)
    return bytes(made.serialize_compact())


TWO, BROKEN = (
    sketch("a", "b"),
    "`s` is no sketch of distinct values, so no batch can be added to it",
)


OF_ROWS = Figure(2, "estimate", 2.0, members=("a", "b"))


@pytest.mark.parametrize(
    ("stored", "words"),
    [
        (TWO, None),
        (sketch("a", "b", "c"), None),  # within the error
        (sketch(), "`s` lacks a value that rows have"),
        (sketch("a", "c"), "`s` lacks a value that rows have"),
        (sketch(*"abcde"), "`s` holds about 5 distinct values, there are 2"),
        (sketch("a", "b", lg_k=12), BROKEN),
        (TWO[:-3], BROKEN),
        (b"", BROKEN),
        (b"garbage " * 9, BROKEN),
        ("text", BROKEN),
        (None, BROKEN),
    ],
)
def test_sketch_is_one_of_the_rows_values(stored: Any, words: str | None) -> None:
    document = {"_id": "d", "n": 2, "s": stored}

    found = list(sketch_differences(document, {"n": "s"}, {"n": OF_ROWS}))
    assert found == ([words] if words else [])


def test_large_sketch_has_its_members_and_no_other_value() -> None:
    many = {"n": Figure(50_000, "estimate", 1500.0, members=("0", "49999"))}
    document = {"n": 50_000, "s": sketch(*map(str, range(50_000)))}

    assert list(sketch_differences(document, {"n": "s"}, many)) == []


def test_sketch_of_an_unfinished_batch_has_the_members_and_perhaps_more() -> None:
    document = {"n": 9, "s": sketch(*"abcdefghi")}
    other = {"n": 9, "s": sketch(*"bcdefghij")}

    def found(document: dict[str, Any]) -> list[str]:
        return list(sketch_differences(document, {"n": "s"}, {"n": OF_ROWS}, is_settled=False))

    assert found(document) == []
    assert found(other) == ["`s` lacks a value that rows have"]


def test_sketch_of_unknown_rows_is_compared_with_the_stored_number() -> None:
    assert list(sketch_differences({"n": 4, "s": TWO}, {"n": "s"}, {})) == []
    assert list(sketch_differences({"n": 5, "s": TWO}, {"n": "s"}, {})) == [
        "`s` holds about 2 distinct values, there are 5"
    ]


@pytest.mark.parametrize(
    ("before", "now", "expected"),
    [
        ({"q": 3}, {"q": 3}, True),
        ({"q": 3}, {"q": 8}, False),
        ({"q": 7}, {"q": 7}, False),
        (None, {"q": 8}, False),
    ],
    ids=["as it was", "a job has added a batch since", "of a batch in work", "new"],
)
def test_document_that_changed_since_the_ledger_was_read_is_not_settled(
    before: dict[str, int] | None, now: dict[str, int], expected: bool
) -> None:
    snapshot = LedgerSnapshot([], {}, {}, (7,), [], "q")
    then = None if before is None else {"_id": "d", "applied": before}

    assert is_settled({"_id": "d", "applied": now}, then, snapshot) is expected
