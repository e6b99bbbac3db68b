"""The ledger's ranges: which offsets are missing, read twice or lost with consent."""

from __future__ import annotations

from typing import Any

from operations.verify.coverage import accepted_losses, coverage_faults
from spark_jobs.state.ledger import Counts, Entry


def entry(batch_id: int, offsets: dict[int, tuple[int, int]], **others: Any) -> Entry:
    return Entry("tickets", "t", "q", batch_id, offsets, Counts(), ("cassandra",), **others)


def test_consecutive_ranges_have_no_fault() -> None:
    entries = [entry(0, {0: (5, 9), 1: (0, 0)}), entry(2, {0: (9, 10), 1: (0, 3)})]

    assert coverage_faults(entries, {0: (5, 10), 1: (0, 3)}) == []


def test_beginning_that_the_broker_has_dropped_since_is_no_fault() -> None:
    assert coverage_faults([entry(0, {0: (5, 9)}), entry(1, {0: (9, 12)})], {0: (11, 12)}) == []


def test_beginning_that_was_never_read_is_named() -> None:
    (fault,) = coverage_faults([entry(3, {0: (0, 2), 1: (40, 50)})], {0: (0, 2), 1: (10, 50)})

    assert fault.startswith("ledger: partition 1, offsets 10 to 39 were never read")


def test_hole_overlap_and_offsets_beyond_the_topic_are_named() -> None:
    entries = [
        entry(0, {0: (0, 10), 1: (0, 10), 2: (0, 10)}),
        entry(1, {0: (12, 20), 1: (7, 20), 2: (10, 20)}),
    ]

    offsets = {0: (0, 20), 1: (0, 20), 2: (0, 4)}
    faults = coverage_faults(entries, offsets, is_same_topic=True)
    assert faults == [
        "ledger: partition 0, offsets 10 to 11 are missing before batch 1",
        "ledger: partition 1, offsets 7 to 9 are read twice before batch 1",
        "ledger: batch 1 was read to offset 20 of partition 2, which ends at 4 on the broker: the"
        " ledger names offsets that the topic never had",
    ]
    (*_, unsure) = coverage_faults(entries, offsets)
    assert unsure == f"{faults[-1]}, or the topic was created again"


def test_accepted_loss_is_a_note_and_no_hole() -> None:
    entries = [
        entry(0, {0: (0, 10), 1: (0, 5)}),
        entry(1, {0: (110, 120), 1: (5, 9)}, accepted_loss={0: (10, 110), 1: (5, 5)}),
    ]

    assert coverage_faults(entries, {0: (110, 120), 1: (0, 9)}) == []
    assert accepted_losses(entries) == [
        "accepted loss: partition 0, offsets 10 to 109 (100 messages)"
    ]


def test_hole_wider_than_the_accepted_loss_is_named() -> None:
    entries = [
        entry(0, {0: (0, 10)}),
        entry(1, {0: (110, 120)}, accepted_loss={0: (11, 110)}),
    ]

    assert coverage_faults(entries, {0: (110, 120)}) == [
        "ledger: partition 0, offsets 10 to 109 are missing before batch 1"
    ]


def test_counts_add_up_with_their_reasons() -> None:
    left = Counts(read=3, stored=1, dead_lettered=2, reasons={"a": 2})
    right = Counts(read=4, filtered=1, duplicates=2, dead_lettered=1, reasons={"a": 1, "b": 1})

    assert left + right == Counts(7, 1, 3, 1, 2, 0, {"a": 3, "b": 1})


def test_entry_survives_its_document() -> None:
    from datetime import UTC, datetime

    before = entry(4, {1: (2, 3)})

    assert Entry.of(before.document(datetime(2026, 1, 1, tzinfo=UTC))) == before
