"""One suite for every sink: what the contract in `spark_jobs/sinks/base.py` promises."""

from __future__ import annotations

import re
import shutil
import sqlite3
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Any

import pyarrow.parquet as pq
import pytest

from schemas.spark import MESSAGE_SCHEMA
from settings import PROJECT_ROOT, SINK_MODULES, SinkRejected, SinkUnavailable
from spark_jobs.connector import forget_sessions
from spark_jobs.profiles import PROFILES
from spark_jobs.sinks.base import Batch, Sink
from spark_jobs.tickets import TICKETS
from spark_jobs.transforms.outcomes import STORED
from sql.client import transaction
from sql.tables import count_rows
from tests.conftest import free_ports
from tests.integration.test_profiles_pipeline import profile
from tests.integration.test_tickets_pipeline import ticket
from tests.support.pipelines import MakeWorld
from tests.support.world import Message, World

QUERY = "5f1d7c2e-0000-4000-8000-000000000001"
SENT = datetime(2026, 11, 22, 10, 15, tzinfo=UTC)


@dataclass(frozen=True)
class Case:
    """How the suite meets one sink.

    Attributes:
        name: As `SINKS` lists it.
        count: How many records of tickets (in an aggregate: what it adds up to) the store has.
        away: Settings under which the store is away; None where it cannot be.
        break_it: Makes the store refuse the next write.
    """

    name: str
    count: Callable[[World], int]
    away: Callable[[int], dict[str, Any]] | None
    break_it: Callable[[World], None]


def _rows_in_cassandra(world: World) -> int:
    by_id, by_team = (len(world.rows(name)) for name in ("tickets", "tickets_by_team"))
    assert by_id == by_team
    return by_id


def _drop_column(world: World) -> None:
    world.session.execute(f"ALTER TABLE {world.keyspace}.tickets_by_team DROP priority")


def _counted_in_mongodb(world: World) -> int:
    return sum(d["count"] for d in world.documents("tickets_by_team").values())


def _spoil_counts(world: World) -> None:
    world.database["tickets_by_team"].update_many({}, {"$set": {"count": "one"}})


def _rows_in_postgres(world: World) -> int:
    return count_rows(world.settings, "tickets")


def _drop_sql_column(world: World) -> None:
    with transaction(world.settings, "drop a column") as work:
        work.execute("ALTER TABLE tickets DROP COLUMN priority")


def _rows_in_files(world: World) -> int:
    folder = Path(world.settings.output_path) / "tickets_with_assignment"
    return sum(pq.read_metadata(path).num_rows for path in folder.rglob("*.parquet"))


def _block_output(world: World) -> None:
    """A file stands where the sink needs a folder."""
    staging = Path(world.settings.output_path) / "_staging"
    shutil.rmtree(staging, ignore_errors=True)
    staging.write_text("in the way")


CASES = {
    "cassandra": Case(
        "cassandra",
        _rows_in_cassandra,
        lambda port: {"cassandra_port": port},
        _drop_column,
    ),
    "files": Case("files", _rows_in_files, None, _block_output),
    "postgres": Case(
        "postgres",
        _rows_in_postgres,
        lambda port: {"postgres_dsn": f"postgresql://millrace@127.0.0.1:{port}/millrace"},
        _drop_sql_column,
    ),
    "mongodb": Case(
        "mongodb",
        _counted_in_mongodb,
        lambda port: {"mongo_uri": f"mongodb://127.0.0.1:{port}"},
        _spoil_counts,
    ),
}


@pytest.fixture(params=CASES.values(), ids=CASES)
def case(request: pytest.FixtureRequest) -> Case:
    return request.param  # type: ignore[no-any-return]


def sink_of(world: World, case: Case) -> Sink:
    settings = world.settings.model_copy(update={"sinks": (case.name,)})
    # The connector hears of tables that were made a moment ago only after a while.
    forget_sessions(world.spark)
    (sink,) = world.pipeline.sinks(settings, world.database)
    return sink


def batch_of(world: World, *messages: Message) -> Batch:
    """A batch as the job makes it of messages."""
    rows = [
        (key, value, world.topic, 0, offset, SENT, 0)
        for offset, (key, value) in enumerate(messages)
    ]
    read = world.spark.createDataFrame(rows, MESSAGE_SCHEMA)
    classified = world.pipeline.classify(read, world.settings).cache()
    summary = world.pipeline.roll_up(
        row.asDict() for row in world.pipeline.summarise(classified).collect()
    )
    records = classified.filter(classified.outcome.isin(*STORED))
    return Batch(records, summary, QUERY)


def test_every_sink_takes_part_in_this_suite() -> None:
    assert set(CASES) == set(SINK_MODULES)


def test_sink_goes_by_the_name_under_which_it_is_listed(make_world: MakeWorld, case: Case) -> None:
    assert sink_of(make_world(TICKETS), case).name == case.name


def test_batch_is_written_once_however_often_it_comes(make_world: MakeWorld, case: Case) -> None:
    world = make_world(TICKETS)
    sink = sink_of(world, case)
    sink.check()
    first, second = (
        batch_of(world, ticket("A"), ticket("B", request='é "q", 名\n')),
        batch_of(world, ticket("C")),
    )

    sink.write_batch(first, 0)
    assert case.count(world) == 2
    sink.write_batch(first, 0)
    assert case.count(world) == 2
    sink.write_batch(second, 1)
    sink.write_batch(second, 1)
    assert case.count(world) == 3


def test_empty_batch_changes_nothing(make_world: MakeWorld, case: Case) -> None:
    world = make_world(TICKETS)
    sink = sink_of(world, case)

    sink.write_batch(batch_of(world, (b"k", b"no ticket")), 0)

    assert case.count(world) == 0


def test_profile_with_nothing_but_what_is_required_is_taken(
    make_world: MakeWorld, case: Case
) -> None:
    world = make_world(PROFILES)
    if case.name not in world.pipeline.sink_names(
        world.settings.model_copy(update={"sinks": (case.name,)}), world.database
    ):
        pytest.skip("profiles have nothing for it")
    bare = profile(gender=None, location=None, phone=None, nat=None, registered=None)
    batch = batch_of(world, bare, profile("7a0eed16-9430-4d68-901f-c0d4c1c3bf01"))

    sink_of(world, case).write_batch(batch, 0)


def test_store_that_is_away_is_told_from_one_that_refuses(
    make_world: MakeWorld, case: Case
) -> None:
    world = make_world(TICKETS)
    if case.away is not None:
        (port,) = free_ports(1)
        changed = {name: _typed(world, name, value) for name, value in case.away(port).items()}
        away = world.settings.model_copy(update=changed)
        with pytest.raises(SinkUnavailable, match="make"):
            _check_with(world, case, away)

    sink = sink_of(world, case)
    sink.write_batch(batch_of(world, ticket("A")), 0)
    case.break_it(world)
    with pytest.raises(SinkRejected, match="Nothing is lost") as refused:
        sink.write_batch(batch_of(world, ticket("B", request="never to be told")), 1)
    assert "never to be told" not in str(refused.value)


def _typed(world: World, name: str, value: Any) -> Any:
    return type(getattr(world.settings, name))(value)


def _check_with(world: World, case: Case, settings: Any) -> None:
    from spark_jobs.sinks.mongodb import confirmed_database, connect_mongodb

    with connect_mongodb(settings, timeout_seconds=1) as client:
        database = confirmed_database(client, settings)
        alone = settings.model_copy(update={"sinks": (case.name,)})
        (sink,) = world.pipeline.sinks(alone, database)
        sink.check()


def test_sink_of_the_page_on_adding_one_works(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    page = (PROJECT_ROOT / "docs" / "adding-a-sink.md").read_text()
    module, line = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    name, path = re.fullmatch(r'"(\w+)": "([\w.]+)",\n', line).groups()  # type: ignore[union-attr]
    written = ModuleType(path)
    monkeypatch.setitem(sys.modules, path, written)
    exec(compile(module, path, "exec"), written.__dict__)  # noqa: S102 - it is our own page
    monkeypatch.setitem(SINK_MODULES, name, path)
    world = make_world(TICKETS)
    world.send(ticket("A"), ticket("B"), ticket("A"))

    world.process(sinks=("cassandra", "mongodb", name))

    with sqlite3.connect(world.settings.millrace_home / "tickets.sqlite") as connection:
        rows = sorted(connection.execute("SELECT * FROM tickets"))
    assert rows == [("A", "Billing"), ("B", "Billing")]
    (batch,) = world.documents("batches").values()
    assert batch["sinks"] == ["cassandra", "mongodb", "sqlite"]
