"""`make reset` empties every sink that holds something of a pipeline, or nothing at all."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import SecretStr

from errors import MillraceError
from operations import reset
from settings import Settings
from spark_jobs.sinks.files.reading import has_files
from spark_jobs.sinks.files.sink import FilesSink
from spark_jobs.tickets import TICKETS
from tests.conftest import free_ports
from tests.integration.test_tickets_pipeline import ticket
from tests.support.pipelines import MakeWorld
from tests.support.world import World

EVERYWHERE = ("mongodb", "files", "postgres")


@pytest.fixture
def world(make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch) -> World:
    """A pipeline that has stored in files and PostgreSQL, and whose `SINKS` names neither now."""
    world = make_world(TICKETS)
    monkeypatch.setattr(reset, "chosen_pipelines", lambda *_: [world.pipeline])
    monkeypatch.setattr(reset, "prepare_stores", lambda *_: None)
    world.send(ticket("A"), ticket("B"))
    world.process(sinks=EVERYWHERE)
    return world


def rows_and_files(world: World) -> tuple[int, bool]:
    ((rows,),) = world.sql("SELECT count(*) FROM tickets")
    return rows, has_files(world.settings, world.pipeline)


def without(world: World, **changes: Any) -> Settings:
    return world.settings.model_copy(update={"sinks": ("mongodb",), **changes})


def test_sinks_that_only_the_ledger_names_are_emptied_too(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert rows_and_files(world) == (2, True)
    monkeypatch.setattr("sys.stdin.readline", lambda: "n\n")
    assert reset.reset(without(world), "tickets", topics=False, yes=False) == 0
    asked = capsys.readouterr().out
    assert "rows: PostgreSQL " in asked
    assert f"files: {world.settings.output_path}" in asked
    assert rows_and_files(world) == (2, True)

    assert reset.reset(without(world), "tickets", topics=False, yes=True) == 0

    assert rows_and_files(world) == (0, False)
    assert world.totals().read == 0
    assert world.documents(reset.RESETS) == {}
    world.process(sinks=("mongodb",))
    assert world.totals().stored == 2


def test_store_that_is_away_is_named_before_anything_is_deleted(world: World) -> None:
    (port,) = free_ports(1)
    away = without(world, postgres_dsn=SecretStr(f"postgresql://me@127.0.0.1:{port}/x"))

    with pytest.raises(MillraceError) as refused:
        reset.reset(away, "tickets", topics=False, yes=True)

    refusal = str(refused.value)
    assert refusal.startswith("Nothing was deleted. Earlier batches went to postgres too.")
    assert "--leave postgres" in refusal
    assert rows_and_files(world) == (2, True)
    assert world.totals().stored == 2


def test_sink_that_is_left_is_named_with_the_command_that_empties_it(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = without(world)

    reset.reset(settings, "tickets", topics=False, yes=True, leave=["postgres"])

    assert rows_and_files(world) == (2, False)
    (line,) = [li for li in capsys.readouterr().out.splitlines() if li.startswith("postgres keeps")]
    assert "SINKS=mongodb,files,postgres" in line
    assert "make reset PIPELINE=tickets`" in line


def test_enabled_sink_that_is_away_and_left_keeps_nothing_else_from_being_deleted_and_prepared(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    (port,) = free_ports(1)
    dsn = SecretStr(f"postgresql://me@127.0.0.1:{port}/x")
    settings = world.settings.model_copy(update={"sinks": EVERYWHERE, "postgres_dsn": dsn})
    prepared: list[tuple[str, ...]] = []
    monkeypatch.setattr(reset, "prepare_stores", lambda of, _: prepared.append(of.sinks))

    assert reset.reset(settings, "tickets", topics=False, yes=True, leave=["postgres"]) == 0

    assert prepared == [("mongodb", "files")]
    assert rows_and_files(world) == (2, False)


def test_reset_that_was_interrupted_knows_its_sinks_the_next_time(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: Any) -> None:
        raise MillraceError("crash on purpose")

    with monkeypatch.context() as patched:
        patched.setattr(FilesSink, "delete", die)
        with pytest.raises(MillraceError, match="on purpose"):
            reset.reset(without(world), "tickets", topics=False, yes=True)
    assert world.totals().read == 0
    assert rows_and_files(world) == (2, True)

    reset.reset(without(world), "tickets", topics=False, yes=True)

    assert rows_and_files(world) == (0, False)


def test_files_that_are_elsewhere_are_named(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    other = f"{world.settings.output_path}-other"

    reset.reset(without(world, output_path=other), "tickets", topics=False, yes=True)

    assert f"tickets: OUTPUT_PATH is `{other}`, where `_millrace/tickets.json` is missing" in (
        capsys.readouterr().out
    )
    assert rows_and_files(world) == (0, True)
