"""The ledger against a checkpoint, and which batch may be in work."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from operations.verify.checkpoint_reading import (
    CheckpointReading,
    Plans,
    batches_in_work,
    checkpoint_faults,
)
from spark_jobs.state.checkpoint import Checkpoint
from spark_jobs.state.ledger import Counts, Entry
from tests.unit.test_checkpoint import write_plan

# Batch 2 has no message, batch 4 was planned and not committed.
UNTIL = {0: {0: 5}, 1: {0: 8}, 2: {0: 8}, 3: {0: 9, 1: 2}, 4: {0: 12, 1: 2}}
PLANS = Plans(committed=3, until=UNTIL, first={0: 1})


def entry(batch_id: int, offsets: dict[int, tuple[int, int]]) -> Entry:
    return Entry("p", "t", "q", batch_id, offsets, Counts(), ("files",))


RIGHT = [
    entry(0, {0: (1, 5)}),
    entry(1, {0: (5, 8)}),
    entry(3, {0: (8, 9), 1: (0, 2)}),
]


def test_ledger_that_has_what_was_planned_has_no_fault() -> None:
    assert checkpoint_faults(RIGHT, PLANS) == []
    assert checkpoint_faults([], Plans(None, UNTIL, {0: 1})) == []


@pytest.mark.parametrize(
    ("offsets", "words"),
    [
        ({0: (5, 9)}, "partition 0, offsets 5 to 8"),
        ({0: (5, 7)}, "partition 0, offsets 5 to 6"),
        ({0: (6, 8)}, "partition 0, offsets 6 to 7"),
        ({0: (5, 8), 1: (0, 1)}, "partition 0, offsets 5 to 7; partition 1, offset 0"),
        ({}, "no offset"),
    ],
)
def test_range_unlike_the_planned_one_is_named(
    offsets: dict[int, tuple[int, int]], words: str
) -> None:
    assert checkpoint_faults([RIGHT[0], entry(1, offsets), RIGHT[2]], PLANS) == [
        f"ledger: batch 1 names {words}; Spark's checkpoint planned partition 0, offsets 5 to 7"
    ]


def test_missing_entry_is_named_unless_its_batch_had_no_message() -> None:
    assert checkpoint_faults([RIGHT[0], RIGHT[2]], PLANS) == [
        "ledger: batch 1 (partition 0, offsets 5 to 7) is missing; Spark's checkpoint has it"
    ]


def test_committed_batch_after_the_last_entry_is_named() -> None:
    (fault,) = checkpoint_faults(RIGHT[:2], PLANS)

    assert fault.startswith("ledger: batch 3 (partition 0, offset 8; partition 1, offsets 0 to 1)")
    assert checkpoint_faults(RIGHT[:2], Plans(1, UNTIL, {0: 1})) == []


def test_entry_of_a_batch_that_was_not_planned_is_named() -> None:
    planned, later = entry(4, {0: (9, 12), 1: (2, 2)}), entry(5, {0: (12, 13)})

    assert checkpoint_faults([*RIGHT, planned, later], PLANS) == [
        "ledger: batch 5 is beyond Spark's checkpoint, which has not planned it"
    ]


def test_of_batches_whose_plans_are_gone_only_the_known_end_is_compared() -> None:
    kept = Plans(3, {3: UNTIL[3]}, {0: 1})

    assert checkpoint_faults(RIGHT, kept) == []
    (fault,) = checkpoint_faults([*RIGHT[:2], entry(3, {0: (8, 10), 1: (0, 2)})], kept)
    assert fault.endswith("planned partition 0, offset 8; partition 1, offsets 0 to 1")


@pytest.mark.parametrize(
    ("ahead", "plans", "noted", "in_work"),
    [
        ({4}, PLANS, None, {4}),
        ({5}, PLANS, 5, set()),  # not planned
        ({2}, PLANS, 2, set()),  # planned without a message
        ({4, 6}, PLANS, None, {4}),
        ({0}, Plans(None, {}, {}), None, set()),
        # No checkpoint here: one batch more, or one that sinks have confirmed.
        ({2}, None, None, {2}),
        ({3}, None, None, set()),
        ({3}, None, 3, {3}),
    ],
)
def test_batch_may_be_in_work_only_if_it_was_planned(
    ahead: set[int], plans: Plans | None, noted: int | None, in_work: set[int]
) -> None:
    assert batches_in_work(ahead, 1, plans, noted) == in_work


def checkpoint(folder: Path) -> Checkpoint:
    write_plan(folder, 0, {"0": 5})
    write_plan(folder, 1, {"0": 8})
    initial = folder / "sources" / "0" / "0"
    initial.parent.mkdir(parents=True)
    initial.write_bytes(b'\0v1\n{"topic":{"0":1}}')
    (folder / "metadata").write_text(json.dumps({"id": "q"}))
    (folder / "commits").mkdir()
    (folder / "commits" / "0").write_text("")
    return Checkpoint(folder)


def test_checkpoint_is_read_before_and_after_the_ledger(tmp_path: Path) -> None:
    found = checkpoint(tmp_path)
    reading = CheckpointReading(found)
    (tmp_path / "commits" / "1").write_text("")
    write_plan(tmp_path, 2, {"0": 9})
    found.note_accepted_loss({0: (1, 3)})

    assert reading.query_id == "q"
    assert reading.plans() == Plans(0, {0: {0: 5}, 1: {0: 8}, 2: {0: 9}}, {0: 1}, {0: (1, 3)})
    assert (reading.faults, reading.notes) == ([], [])


def test_absent_checkpoint_is_no_fault(tmp_path: Path) -> None:
    reading = CheckpointReading(Checkpoint(tmp_path / "absent"))

    assert (reading.query_id, reading.plans(), reading.faults) == (None, None, [])


@pytest.mark.parametrize("name", ["metadata", "offsets/1", "sources/0/0"])
@pytest.mark.parametrize("text", ["v1\n[]\n[]", "x"])
def test_damaged_checkpoint_is_one_fault(tmp_path: Path, name: str, text: str) -> None:
    found = checkpoint(tmp_path)
    (tmp_path / name).write_text(text)
    reading = CheckpointReading(found)

    assert reading.plans() is None
    (fault,) = reading.faults
    assert str(tmp_path) in fault
    assert "Restore it" in fault


def test_checkpoint_elsewhere_that_cannot_be_reached_is_a_note() -> None:
    reading = CheckpointReading(Checkpoint("s3a://bucket/checkpoints/p/v1"))

    assert (reading.query_id, reading.plans(), reading.faults) == (None, None, [])
    assert reading.notes == [
        "The checkpoint `s3a://bucket/checkpoints/p/v1` cannot be reached here. The ledger was not"
        " compared with it."
    ]
