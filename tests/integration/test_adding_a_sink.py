"""The sink of docs/adding-a-sink.md, taken from the page, in jobs and in every command."""

from __future__ import annotations

import re
import shutil
import sqlite3
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from pydantic import SecretStr

from errors import SinkRejected
from operations import reset
from operations.doctor.check import Line, run_checks
from operations.doctor.doctor import checks_for
from operations.repair.apply import apply_replay
from operations.repair.range import understood
from operations.repair.replay import planned
from operations.show import RowFilter, show
from operations.status import show_status
from operations.verify.account import Account
from operations.verify.accounts import take_accounts
from runtime.config.sink_modules import SINK_MODULES
from settings import PROJECT_ROOT, Settings
from spark_jobs.sinks.registry import sinks_of
from spark_jobs.tickets import TICKETS
from tests.conftest import free_ports
from tests.integration.test_tickets_pipeline import ticket
from tests.support.pipelines import MakeWorld
from tests.support.world import World

SINKS = ("cassandra", "mongodb", "sqlite")
EXPECTED = [("A", "Billing"), ("B", "Billing")]


@pytest.fixture
def world(make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch) -> World:
    """Two tickets, one of them sent twice, in Cassandra, MongoDB and the sink of the page."""
    page = (PROJECT_ROOT / "docs" / "adding-a-sink.md").read_text()
    module, line = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    name, path = re.fullmatch(r'"(\w+)": "([\w.]+)",\n', line).groups()  # type: ignore[union-attr]
    written = ModuleType(path)
    monkeypatch.setitem(sys.modules, path, written)
    exec(compile(module, path, "exec"), written.__dict__)  # noqa: S102 - it is our own page
    monkeypatch.setitem(SINK_MODULES, name, path)
    world = make_world(TICKETS)
    world.send(ticket("A"), ticket("B"), ticket("A"))
    settings = with_sink(world)
    with pytest.raises(SinkRejected, match="`make up` creates it"):
        world.process(sinks=SINKS)
    for sink in sinks_of(world.pipeline, settings, world.database):
        if sink.name == name:
            sink.prepare()
    world.process(sinks=SINKS)
    return world


def with_sink(world: World) -> Settings:
    return world.settings.model_copy(update={"sinks": SINKS})


def file_of(world: World) -> Path:
    return world.settings.millrace_home / "tickets.sqlite"


def execute(world: World, statement: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(file_of(world))) as connection, connection:
        return connection.execute(statement).fetchall()


def stored(world: World) -> list[tuple[Any, ...]]:
    return sorted(execute(world, "SELECT ticket_id, assigned_team FROM tickets"))


def account_of(world: World) -> Account:
    (account,) = take_accounts(with_sink(world), world.database, world.spark, [world.pipeline])
    return account


def test_job_writes_each_record_once_and_enters_the_sink_into_the_ledger(world: World) -> None:
    assert stored(world) == EXPECTED
    (batch,) = world.documents("batches").values()
    assert batch["sinks"] == [*SINKS]


def test_status_and_show_have_the_rows_and_doctor_a_line(
    world: World, stack_settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    # The state of the services is in the folder of the stack.
    here = stack_settings.model_copy(update={"sinks": ("mongodb", "sqlite")})
    copied = shutil.copy(file_of(world), here.millrace_home)
    try:
        show_status(here)
    finally:
        Path(copied).unlink()
    (line,) = [text for text in capsys.readouterr().out.splitlines() if "SQLite" in text]
    assert re.findall(r"[\w.]+", line) == ["SQLite", "tickets", "2"]

    show(with_sink(world), "", RowFilter({}, 5), "table")
    assert "sqlite.tickets" in capsys.readouterr().out

    def look() -> Line:
        settings = with_sink(world)
        checks = [check for check in checks_for(settings) if check.names == ("sqlite",)]
        (found,) = run_checks(checks, settings)
        return found

    assert str(look()) == f"ok   sqlite       rows: SQLite {file_of(world)}"
    file_of(world).unlink()
    assert str(look()) == (
        f"fix  sqlite       `{file_of(world)}` is missing. `make up` creates it."
    )


def test_status_has_the_rows_of_the_other_stores_when_one_is_down(
    stack_settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    (port,) = free_ports(1)
    dsn = SecretStr(f"postgresql://x@127.0.0.1:{port}/x")
    sinks = ("postgres", "mongodb")

    code = show_status(stack_settings.model_copy(update={"sinks": sinks, "postgres_dsn": dsn}))

    shown = capsys.readouterr().out
    assert code == 1
    assert re.search(r"│ MongoDB +│ \w+\.ticket_metrics +│ +\d+ │", shown)
    assert f"Cannot reach PostgreSQL at `127.0.0.1:{port}/x`" in shown


def test_verify_finds_what_differs_and_replay_writes_it_again(
    world: World, replay_here: Callable[[], dict[str, int]]
) -> None:
    account = account_of(world)
    assert account.balanced
    (count,) = [count for count in account.stores if count.store == "SQLite"]
    assert (count.place, count.found, count.sum_expected) == ("tickets", 2, 2)

    execute(world, "UPDATE tickets SET assigned_team = 'X' WHERE ticket_id = 'A'")
    execute(world, "DELETE FROM tickets WHERE ticket_id = 'B'")
    source = f"{world.keyspace}.tickets"
    assert account_of(world).faults == [
        "SQLite tickets: the number of rows is 1, the ledger says 2 (-1)",
        f"SQLite tickets: `A` differs from {source} in assigned_team",
        f"SQLite tickets: `B` is missing; {source} has it",
    ]

    assert replay_here() == {"batches, written or already there": 1}

    assert stored(world) == EXPECTED
    assert account_of(world).balanced


@pytest.fixture
def replay_here(world: World) -> Callable[[], dict[str, int]]:
    def replayed() -> dict[str, int]:
        settings = with_sink(world)
        request = understood(
            settings, world.topic, "earliest", "latest", "sqlite", (world.pipeline,)
        )
        plan = planned(settings, world.database, request)
        return apply_replay(plan, settings, world.spark, world.database, print).written

    return replayed


def test_reset_says_what_goes_and_deletes_it(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(reset, "chosen_pipelines", lambda *_: [world.pipeline])
    monkeypatch.setattr(reset, "prepare_stores", lambda *_: None)
    monkeypatch.setattr("sys.stdin.readline", lambda: "y\n")

    reset.reset(with_sink(world), "tickets", topics=False, yes=False)

    assert f"  rows: SQLite {file_of(world)}\n" in capsys.readouterr().out
    assert stored(world) == []
    world.process(sinks=SINKS)
    assert stored(world) == EXPECTED


def test_job_without_a_ledger_does_not_add_to_the_rows(world: World) -> None:
    for collection in ("batches", *TICKETS.collections):
        world.database[collection].delete_many({})
    shutil.rmtree(world.settings.checkpoints)
    for table in world.pipeline.tables:
        world.session.execute(f"TRUNCATE {world.keyspace}.{table.name}")

    with pytest.raises(Exception, match=re.escape("SQLite holds records (2 rows), but there is")):
        world.process(sinks=SINKS)
