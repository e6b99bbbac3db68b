"""Which files a set may hold: those of batches and compactions, and what readers skip."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from settings import Settings
from spark_jobs.session.file_system import LocalFiles
from spark_jobs.sinks.files.compaction import CompactionNotes, notes_path
from spark_jobs.sinks.files.manifest import Manifest
from spark_jobs.sinks.files.placement import placement_faults
from spark_jobs.state.ledger import Counts, Entry
from spark_jobs.tickets import TICKETS

QUERY = "5f1d7c2e-0000-4000-8000-000000000001"
SET = "tickets_with_assignment"
DAY = f"{SET}/day=2026-11-22"
LAST = f"{DAY}/5f1d7c2e-0000000003-000.parquet"


def entry(batch_id: int) -> Entry:
    return Entry("tickets", "t", QUERY, batch_id, {0: (0, 1)}, Counts(1, 1), ("files",))


@pytest.fixture
def system(tmp_path: Path) -> LocalFiles:
    """Batches 0 to 3 are confirmed; the manifest knows them, and the file of the last."""
    system = LocalFiles(tmp_path)
    Manifest("tickets", ("parquet",), {QUERY: [(0, 3)]}, (QUERY, 3, (LAST,))).save(system)
    system.write(LAST, b"rows")
    return system


def faults(system: LocalFiles, until: int = 3, *, is_known: bool = True) -> list[str]:
    settings = Settings(output_path=str(system.root))
    confirmed = [entry(batch_id) for batch_id in range(4)]
    latest = {QUERY: until} if is_known else {}
    return list(placement_faults(settings, TICKETS, confirmed, lambda: latest))


@pytest.mark.parametrize(
    "path",
    [
        f"{DAY}/5f1d7c2e-0000000000-000.parquet",
        f"{SET}/day=unknown/5f1d7c2e-0000000003-1000.parquet",
        # As crashes leave them: of the unfinished batch, of a compaction, and of a write.
        f"{DAY}/5f1d7c2e-0000000004-000.parquet",
        f"{DAY}/.a1b2c3d4e5f6",
        "metrics/.metrics.parquet.partial",
        "_staging/tickets/anything/0/part.parquet",
        f"{SET}/_temporary/part.parquet",
        # Irrelevant: not in a set.
        "report.html",
        "metrics/metrics.parquet",
    ],
)
def test_files_of_batches_and_what_readers_skip_are_in_order(system: LocalFiles, path: str) -> None:
    system.write(path, b"rows")

    assert faults(system, until=4) == []


@pytest.mark.parametrize(
    "path",
    [
        f"{DAY}/ffffffff-0000000000-000.parquet",
        f"{DAY}/5f1d7c2e-0000000000-000.csv",
        f"{DAY}/5f1d7c2e-0000000000-00.parquet",
        f"{DAY}/copy of 5f1d7c2e-0000000000-000.parquet",
        f"{DAY}/deeper/5f1d7c2e-0000000000-000.parquet",
        f"{SET}/5f1d7c2e-0000000000-000.parquet",
        f"{SET}/hour=3/5f1d7c2e-0000000000-000.parquet",
        f"{SET}/parquet/day=2026-11-22/5f1d7c2e-0000000000-000.parquet",
        f"{SET}/notes.txt",
        f"{DAY}/compacted-a1b2c3d4e5f6-000.parquet",  # nothing was compacted
        "metrics/other.parquet",
    ],
)
def test_stray_file_is_named(system: LocalFiles, path: str) -> None:
    system.write(path, b"rows")

    (fault,) = faults(system)

    assert fault.startswith(f"`{path}`: no job of tickets put this file there")


def test_file_of_a_batch_that_no_job_can_have_begun_is_named(system: LocalFiles) -> None:
    """Nothing waits for a batch 4."""
    path = f"{DAY}/5f1d7c2e-0000000004-000.parquet"
    system.write(path, b"rows")

    (fault,) = faults(system)

    assert fault.startswith(f"`{path}` names batch 4, which the ledger does not have")
    assert "millrace replay --topic client_tickets --sink mongodb`" in fault


def test_merged_files_are_in_order_once_something_was_compacted(system: LocalFiles) -> None:
    notes = CompactionNotes("tickets")
    notes.add(SET, QUERY, 3)
    notes.save(system)
    system.delete(LAST)
    system.write(f"{DAY}/compacted-a1b2c3d4e5f6-000.parquet", b"rows")

    assert faults(system) == []


def test_batch_is_compacted_in_the_sets_that_its_note_names_or_in_all_if_it_names_none(
    system: LocalFiles,
) -> None:
    notes = CompactionNotes("tickets")
    for batch_id in (3, 1, 2):
        notes.add(SET, QUERY, batch_id)
    notes.save(system)

    notes = CompactionNotes.load(system, "tickets")
    assert [notes.covers(path, QUERY, 2) for path in (SET, LAST, "another")] == [True, True, False]
    assert not notes.covers(SET, QUERY, 4)
    assert notes.last(QUERY) == 3
    # What jobs of earlier versions read.
    assert json.loads(system.read(notes_path("tickets")) or b"")["batches"] == {QUERY: [[1, 3]]}
    system.write(notes_path("tickets"), json.dumps({"batches": {QUERY: [[1, 3]]}}).encode())

    notes = CompactionNotes.load(system, "tickets")
    assert [notes.covers("another", QUERY, n) for n in (0, 1, 3, 4)] == [False, True, True, False]
    assert notes.last("other") is None


def test_files_that_are_missing_or_empty_are_named(system: LocalFiles) -> None:
    system.delete(LAST)
    system.write(f"{DAY}/5f1d7c2e-0000000001-000.parquet", b"")

    assert faults(system) == [
        f"`{DAY}/5f1d7c2e-0000000001-000.parquet` is empty, and no job writes empty files:"
        " restore it",
        f"`{LAST}` is missing; batch 3 put it there: restore it",
    ]


def test_first_batch_that_died_is_in_order_and_later_ones_are_foreign(tmp_path: Path) -> None:
    system = LocalFiles(tmp_path)
    system.write(f"{DAY}/ffffffff-0000000000-000.parquet", b"rows")
    settings = Settings(output_path=str(tmp_path))

    assert list(placement_faults(settings, TICKETS, [], dict)) == []
    system.write(f"{DAY}/ffffffff-0000000001-000.parquet", b"rows")
    assert len(list(placement_faults(settings, TICKETS, [], dict))) == 1


@pytest.mark.parametrize(
    ("applied", "fault"),
    [
        ({QUERY: [(0, 4)]}, "names batch 4 of query 5f1d7c2e"),
        ({QUERY: [(0, 1), (3, 3)]}, "lacks 1 batches of the ledger, the first is 2"),
        ({QUERY: [(0, 3)], "other": [(0, 0)]}, "names batch 0 of query other"),
    ],
)
def test_manifest_that_does_not_fit_the_ledger_is_named_with_what_to_do(
    system: LocalFiles, applied: dict[str, list[tuple[int, int]]], fault: str
) -> None:
    Manifest("tickets", ("parquet",), applied).save(system)

    (found,) = faults(system)

    assert found.startswith(f"`_millrace/tickets.json` {fault}")
    assert "millrace replay --topic client_tickets --sink files`" in found
    # The unfinished batch may be in it, after a crash.
    assert (faults(system, until=4) == []) == ("batch 4" in fault)
