"""`millrace compact`: fewer files, the same rows, at every moment."""

from __future__ import annotations

import shutil
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import pytest
from pyspark.sql import SparkSession

from operations.repair.compact import compact_pipeline
from settings import Settings
from spark_jobs.session.file_system import output_files
from spark_jobs.sinks.files import exchange as file_exchange
from spark_jobs.sinks.files import sink as file_sink
from spark_jobs.sinks.files.compaction import CompactionNotes
from spark_jobs.sinks.files.exchange import Intent, read_intent
from spark_jobs.sinks.files.reading import delete_sets, read_set
from spark_jobs.sinks.files.sink import stage
from spark_jobs.state.ledger import Ledger
from spark_jobs.tickets import TICKETS
from tests.integration.test_tickets_pipeline import ticket as sent_ticket
from tests.support.builders import ticket
from tests.support.file_batches import batch_of, files_sink, ids
from tests.support.pipelines import MakeWorld
from tests.support.world import World


class Died(BaseException):
    """Stands for `kill -9`: nothing catches it."""


def day_files(settings: Settings) -> list[str]:
    folder = Path(settings.output_path) / "tickets_with_assignment" / "day=2026-11-22"
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))


def stored(world: World, settings: Settings) -> list[str]:
    rows = read_set(world.spark, settings, TICKETS.file_sets[0], "parquet").collect()
    return sorted(row.ticket_id for row in rows)


def filled(make_world: MakeWorld) -> tuple[World, Settings, list[str]]:
    """A world whose job has written four batches of ten, and a fifth that is not confirmed."""
    world = make_world(TICKETS)
    settings = world.settings.model_copy(update={"sinks": ("files",)})
    for first in (0, 10, 20, 30):
        tickets = [sent_ticket(f"T{first + i:02d}") for i in range(10)]
        world.send(*tickets)
        world.process(sinks=("files",))
    files_sink(settings).write_batch(batch_of(world.spark, ticket(ticket_id="U")), 99)
    return world, settings, [*(f"T{i:02d}" for i in range(40)), "U"]


def test_compaction_keeps_every_row_whatever_interrupts_it(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    world, settings, expected = filled(make_world)
    before = day_files(settings)
    assert len(before) == 5

    for point in ("before-compaction-exchange", "after-compaction-exchange"):

        def die(name: str, point: str = point) -> None:
            if name == point:
                raise Died

        monkeypatch.setattr(file_exchange, "fault_point", die)
        with pytest.raises(Died):
            compact_pipeline(world.spark, settings, world.database, world.pipeline)
        assert stored(world, settings) == expected
        # The job continues, with the interrupted compaction's files still there.
        files_sink(settings).write_batch(batch_of(world.spark, ticket(ticket_id="U")), 99)
        assert stored(world, settings) == expected
    monkeypatch.undo()
    # As one leaves it that was killed while it merged.
    output_files(settings).write("_staging/tickets/compact/1/rows/part-0.parquet", b"")
    compact_pipeline(world.spark, settings, world.database, world.pipeline)

    merged, open_batch = sorted(day_files(settings), reverse=True)
    assert merged.startswith("compacted-")
    assert "-0000000099-" in open_batch
    assert stored(world, settings) == expected
    assert "; 40 rows before and after" in capsys.readouterr().out
    staged = Path(settings.output_path) / "_staging"
    assert [path for path in staged.rglob("*") if path.is_file()] == []


def written_again(world: World, settings: Settings) -> None:
    """Batch 0 of `filled`, as a replay writes it."""
    query_id = Ledger(world.database, "tickets").entries()[0].query_id
    again = batch_of(world.spark, *(ticket(ticket_id=f"T{i:02d}") for i in range(10)))
    files_sink(settings).write_batch(replace(again, query_id=query_id), 0)


def test_batch_that_is_merged_while_it_is_written_again_is_there_once(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    world, settings, expected = filled(make_world)

    def staged_then_merged(*given: Any) -> None:
        stage(*given)
        compact_pipeline(world.spark, settings, world.database, world.pipeline)

    monkeypatch.setattr(file_sink, "stage", staged_then_merged)
    written_again(world, settings)

    assert stored(world, settings) == expected
    assert len(day_files(settings)) == 2


def test_set_that_is_new_is_filled_with_batches_that_are_compacted_in_the_others(
    make_world: MakeWorld,
) -> None:
    world, settings, expected = filled(make_world)
    compact_pipeline(world.spark, settings, world.database, world.pipeline)
    before = day_files(settings)
    new_set = Path(settings.output_path) / "high_priority_tickets"
    shutil.rmtree(new_set)
    notes = CompactionNotes.load(output_files(settings), "tickets")
    # As of a set that was declared after the compaction.
    del notes.sets["high_priority_tickets"]
    notes.save(output_files(settings))

    written_again(world, settings)

    (file,) = new_set.rglob("*.parquet")
    assert file.name.endswith("-0000000000-000.parquet")
    assert day_files(settings) == before
    assert stored(world, settings) == expected


def test_files_that_are_deleted_take_an_interrupted_compaction_with_them(
    settings: Settings, job_spark: SparkSession, tmp_path: Path
) -> None:
    own = settings.model_copy(update={"output_path": str(tmp_path / "output")})
    sink = files_sink(own)
    sink.write_batch(batch_of(job_spark, ticket(ticket_id="A")), 0)
    system, folder = output_files(own), "tickets_with_assignment/day=2026-11-22"
    (name,) = [file.path for file in system.files(folder)]
    Intent.of(folder, "_staging/tickets/compact/1", [name], ["part-0.parquet"]).save(
        system, "tickets"
    )

    delete_sets(own, TICKETS)

    assert read_intent(system, "tickets") is None
    sink.write_batch(batch_of(job_spark, ticket(ticket_id="B")), 0)
    assert ids(read_set(job_spark, own, TICKETS.file_sets[0], "parquet")) == ["B"]


def test_reader_meets_all_rows_once_while_files_are_merged_and_none_is_written_again(
    make_world: MakeWorld,
) -> None:
    world, settings, expected = filled(make_world)
    pattern = f"{settings.output_path}/tickets_with_assignment/**/*.parquet"
    seen: list[Any] = []
    ended = threading.Event()

    def poll() -> None:
        connection = duckdb.connect()
        while not ended.is_set():
            try:
                query = f"SELECT count(*), count(DISTINCT ticket_id) FROM read_parquet('{pattern}')"
                seen.append(connection.execute(query).fetchone())
            except duckdb.IOException:
                seen.append("a file is gone, and it says so")

    thread = threading.Thread(target=poll)
    thread.start()
    try:
        compact_pipeline(world.spark, settings, world.database, world.pipeline)
    finally:
        ended.set()
        thread.join()
    assert {*seen} <= {(41, 41), "a file is gone, and it says so"}
    assert (41, 41) in seen

    written_again(world, settings)
    assert stored(world, settings) == expected
