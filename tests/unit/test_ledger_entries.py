"""Ledger entries of another shape: each is named once, and what can be read of it is."""

from __future__ import annotations

from datetime import UTC, datetime
from math import inf
from typing import Any

import pytest

from errors import JobError
from operations.verify.ledger_entries import query_of, read_entries
from spark_jobs.state.clock import Moment
from spark_jobs.state.ledger import Counts, Entry

NOW = datetime(2026, 11, 22, tzinfo=UTC)
COUNTS = Counts(read=3, stored=1, dead_lettered=2, reasons={"unparseable": 2})
ENTRY = Entry(
    "p", "t", "q", 1, {0: (4, 7)}, COUNTS, ("files",), "k", "id", "a/b", {}, Moment(NOW, "b", 1.5)
)
LATER_FIELDS = ("alerts", "hash_key_id", "topic_id", "plan", "accepted_loss", "clock", "rebuilt")


def read(*changes: dict[str, Any]) -> tuple[list[Entry], list[str]]:
    documents = [
        {k: v for k, v in (ENTRY.document(NOW) | each).items() if v is not ...} for each in changes
    ]
    return read_entries(documents, "p", "t", "q")


def test_entry_as_a_job_writes_it_has_no_fault() -> None:
    assert read({}) == ([ENTRY], [])


def test_entry_without_the_fields_of_later_versions_has_no_fault() -> None:
    ((entry,), faults) = read(dict.fromkeys((*LATER_FIELDS, "seconds", "sink_seconds"), ...))

    assert faults == []
    assert (entry.counts, entry.moment) == (COUNTS, None)


def test_seconds_of_an_entry_and_its_sinks_are_no_fault() -> None:
    ((entry,), faults) = read({"seconds": 2.5, "sink_seconds": {"files": 1, "dead-letters": 0.5}})

    assert faults == []
    assert (entry.seconds, entry.sink_seconds) == (2.5, {"files": 1, "dead-letters": 0.5})


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"seconds": "2"}, "`seconds` is text, not a number of seconds"),
        ({"sink_seconds": {"files": inf}}, "`sink_seconds` is a document, not seconds by sink"),
        ({"sink_seconds": {"files": -1}}, "`sink_seconds` is a document, not seconds by sink"),
        ({"read": 3.0}, "`read` is a double, not a count"),
        ({"stored": "1"}, "`stored` is text, not a count"),
        ({"duplicates": ...}, "`duplicates` is absent, not a count"),
        ({"filtered": -1}, "`filtered` is -1, not a count"),
        ({"alerts": True}, "`alerts` is a boolean, not a count"),
        ({"reasons": {"a": 2.0}}, "`reasons` is a document, not reasons with counts"),
        ({"reasons": []}, "`reasons` is a list, not reasons with counts"),
        ({"sinks": "files"}, "`sinks` is text, not a list of names"),
        ({"offsets": None}, "`offsets` is absent, not a list of ranges"),
        (
            {"offsets": [{"partition": 0, "from": 7, "until": 4}]},
            "`offsets` has a range without `partition`, `from` and `until` in order",
        ),
        (
            {"accepted_loss": [{"partition": 0, "from": 7}]},
            "`accepted_loss` has a range without `partition`, `from` and `until` in order",
        ),
        ({"topic": 5}, "`topic` is 5, not text"),
        ({"hash_key_id": 5}, "`hash_key_id` is 5, not text"),
        ({"clock": {"wall": NOW}}, "`clock` is a document, not a clock's time"),
        ({"updated_at": "now"}, "`updated_at` is text, not a time"),
        ({"rebuilt": "yes"}, "`rebuilt` is text, not true or false"),
        ({"pipeline": "x"}, "`pipeline` is `x`, not `p`"),
        ({"query_id": "x"}, "`query_id` and `batch_id` are `x` and `1`, unlike its `_id`"),
        ({"batch_id": 2}, "`query_id` and `batch_id` are `q` and `2`, unlike its `_id`"),
    ],
)
def test_changed_field_is_named_with_its_entry(change: dict[str, Any], words: str) -> None:
    entries, faults = read(change)

    assert len(entries) == 1
    number = change.get("batch_id", 1)
    assert faults == [f"ledger: batch {number} (entry `q/1`): {words}"]


def test_several_faults_of_an_entry_are_one_finding_and_the_rest_is_read() -> None:
    ((entry,), (fault,)) = read({"read": "x", "stored": 1.0, "batch_id": "one", "clock": 5})

    assert entry.batch_id == 1
    assert entry.counts == Counts(0, 1, 2, reasons={"unparseable": 2})
    assert fault.count(";") == 4


def test_entry_that_names_no_batch_is_left_out() -> None:
    (entries, (fault,)) = read({"_id": "seven", "batch_id": None, "offsets": 1})

    assert entries == []
    assert fault.endswith("; it names no batch and was left out")


def test_second_entry_of_a_batch_is_named_and_left_out() -> None:
    foreign = {"_id": "x/1", "query_id": "x", "offsets": [{"partition": 0, "from": 5, "until": 9}]}

    for order in ([{}, foreign], [foreign, {}]):
        assert read(*order) == (
            [ENTRY],
            [
                "ledger: `x/1` is a second entry of batch 1: `q/1` is there already. Delete it",
            ],
        )


def test_query_is_the_checkpoints_unless_no_entry_names_it() -> None:
    assert query_of([ENTRY], "q") == "q"
    assert query_of([], "q") == "q"
    assert query_of([ENTRY], "other") == "q"
    assert query_of([ENTRY], None) == "q"
    assert query_of([], None) is None


@pytest.mark.parametrize("change", [{"read": "3"}, {"batch_id": 1.0}, {"offsets": 5}, {"clock": 5}])
def test_job_refuses_an_entry_that_it_cannot_read(change: dict[str, Any]) -> None:
    with pytest.raises(JobError, match=r"ledger entry `q/1`.*make verify"):
        Entry.of(ENTRY.document(NOW) | change)
