"""Both writers of Cassandra store the same, whatever they do on the way."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import psutil
import pytest
from cassandra.cluster import NoHostAvailable
from pyspark.sql import functions as F

from cql.declared import CassandraShape
from errors import SinkRejected
from local_stack import stack
from local_stack.cassandra import CONFIGURATION
from operations.chaos.chaos_stack import wait_until
from settings import Settings
from spark_jobs.changes import BatchSummary
from spark_jobs.pipeline import Pipeline
from spark_jobs.profiles import PROFILES
from spark_jobs.sinks.base import Batch, Sink
from spark_jobs.sinks.cassandra_watchdog import forget_sessions
from spark_jobs.targets import Table
from spark_jobs.tickets import TICKETS
from tests.integration.test_profiles_pipeline import profile
from tests.integration.test_sinks import CASES, NOTHING, QUERY, batch_of, sink_of
from tests.integration.test_tickets_pipeline import ticket
from tests.support.pipelines import MakeWorld
from tests.support.world import World

CONNECTOR, DIRECT = CASES["cassandra"], CASES["cassandra, direct"]
# More than a task of the direct writer sorts at a time: 100,000.
MANY = 130_000
TICKET_MESSAGES = [
    *(
        ticket(
            f"T-{n}",
            request="é" * (1 + n * n % 500),
            request_type=("billing", "technical", "account", "general")[n % 4],
            created_at=f"2026-11-{1 + n % 9:02}T{n % 24:02}:05:00.{n % 1000:03}Z",
        )
        for n in range(600)
    ),
    # Before 1970, where milliseconds are negative, and as late as a message may say.
    ticket("OLD", created_at="1900-01-01T00:00:00.001Z"),
    ticket("NEW", created_at="2026-11-23T10:14:59.999Z"),
]
PROFILE_MESSAGES = [
    profile(f"7a0eed16-9430-4d68-901f-c0d4c1c3{n:04x}", **(NOTHING if n % 3 else {}))
    for n in range(64)
]


def contents(world: World) -> dict[str, list[tuple[Any, ...]]]:
    """All rows of the pipeline's tables, in an order of their own."""
    return {
        table.name: sorted((tuple(row.items()) for row in world.rows(table.name)), key=str)
        for table in world.pipeline.tables
    }


@pytest.mark.parametrize(
    ("pipeline", "messages"),
    [(TICKETS, TICKET_MESSAGES), (PROFILES, PROFILE_MESSAGES)],
    ids=["tickets", "profiles"],
)
def test_both_writers_store_the_same_rows(
    make_world: MakeWorld, pipeline: Pipeline, messages: list[Any]
) -> None:
    world = make_world(pipeline)
    batch = batch_of(world, *messages)
    stored = []

    for case in (CONNECTOR, DIRECT):
        sink_of(world, case).write_batch(batch, 0)
        stored.append(contents(world))
        for table in pipeline.tables:
            world.session.execute(f"TRUNCATE {world.keyspace}.{table.name}", timeout=60)

    by_connector, directly = stored
    assert [len(rows) for rows in directly.values()] == [len(messages)] * 2
    assert directly == by_connector


@pytest.mark.parametrize("case", [CONNECTOR, DIRECT], ids=["connector", "direct"])
def test_absent_value_deletes_nothing(make_world: MakeWorld, case: Any) -> None:
    world = make_world(PROFILES)
    sink, name = sink_of(world, case), "7a0eed16-9430-4d68-901f-c0d4c1c3bf01"
    sink.write_batch(batch_of(world, profile(name)), 0)
    (before,) = world.rows("users_profiles")

    sink.write_batch(batch_of(world, profile(name, phone=None), first_offset=1), 1)

    (after,) = world.rows("users_profiles")
    assert after["kafka_offset"] == 1
    assert after["phone"] == before["phone"]
    assert before["phone"] is not None


@pytest.mark.parametrize("partitions", ["one", "many"])
def test_direct_writer_takes_more_rows_than_it_sorts_at_a_time(
    make_world: MakeWorld, partitions: str
) -> None:
    world = make_world(TICKETS)
    world.session.execute(
        f"CREATE TABLE {world.keyspace}.numbers (kind text, number bigint, half int,"
        " PRIMARY KEY (kind, number))"
    )
    kind = F.lit("all") if partitions == "one" else F.col("id").cast("string")
    numbers = world.spark.range(0, MANY, 1, 1).select(
        kind.alias("kind"), F.col("id").alias("number"), (F.col("id") / 2).cast("int").alias("half")
    )

    columns = {"kind": "text", "number": "bigint", "half": "int"}
    sink_for(world, "numbers", columns).write_batch(batch_with(numbers), 0)

    (row,) = world.session.execute(
        f"SELECT count(*) AS rows, sum(number) AS total, max(half) AS most"
        f" FROM {world.keyspace}.numbers",
        timeout=60,
    )
    assert row == {"rows": MANY, "total": MANY * (MANY - 1) // 2, "most": MANY // 2 - 1}


def test_direct_writer_names_a_type_that_it_does_not_know(make_world: MakeWorld) -> None:
    world = make_world(TICKETS)
    world.session.execute(f"CREATE TABLE {world.keyspace}.odd (name text PRIMARY KEY, size double)")
    rows = world.spark.sql("SELECT 'a' AS name, 1.5D AS size")

    with pytest.raises(SinkRejected, match="type DOUBLE, which only the connector writes"):
        # Declared as a type that it knows, else the connector would write the table.
        sink_for(world, "odd", {"name": "text", "size": "text"}).write_batch(batch_with(rows), 0)


def sink_for(world: World, table: str, columns: dict[str, str]) -> Sink:
    """The direct writer for one table that is written as the rows are."""
    sink: Any = sink_of(world, DIRECT)
    shape = CassandraShape(columns, ((next(iter(columns)), "partition_key", "none"),))
    return replace(sink, tables=(Table(f"{world.keyspace}.{table}", shape=shape),))


def batch_with(rows: Any) -> Batch:
    return Batch(rows, BatchSummary(Counter(), Counter(), []), QUERY)


def is_back(world: World) -> bool:
    try:
        world.rows("tickets")
    except NoHostAvailable:
        return False
    return True


def node_of(settings: Settings) -> psutil.Process:
    [node] = [state.pid for state in stack.states(settings) if state.name == "cassandra"]
    assert node
    return psutil.Process(node)


def kill_and_start(node: psutil.Process, settings: Settings, world: World) -> None:
    node.kill()
    node.wait(10)
    stack.up(settings, lambda _: None)
    wait_until(lambda: is_back(world), 60, "session of these tests")
    forget_sessions(world.spark)


@pytest.fixture
def rarely_synced(
    make_world: MakeWorld, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> Iterator[World]:
    """A world whose Cassandra syncs its log so rarely that a kill nearly always loses rows."""
    world = make_world(TICKETS)
    rare = CONFIGURATION.replace("commitlog_sync_period: 20ms", "commitlog_sync_period: 300ms")
    with monkeypatch.context() as patched:
        patched.setattr("local_stack.cassandra.CONFIGURATION", rare)
        kill_and_start(node_of(settings), settings, world)
        yield world
    kill_and_start(node_of(settings), settings, world)


def test_rows_of_a_written_batch_survive_the_kill_of_cassandra(
    rarely_synced: World, settings: Settings
) -> None:
    world = rarely_synced

    for number in range(3):
        batch = batch_of(world, *(ticket(f"{number}-{n}") for n in range(200)))
        sink, node = sink_of(world, CONNECTOR), node_of(settings)
        sink.write_batch(batch, number)
        kill_and_start(node, settings, world)

        assert {name: len(rows) for name, rows in contents(world).items()} == {
            "tickets": 200 * (number + 1),
            "tickets_by_team": 200 * (number + 1),
        }
