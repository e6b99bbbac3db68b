"""One suite for every sink: what the contract in `spark_jobs/sinks/base.py` promises."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from confluent_kafka.admin import AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType
from pymongo import MongoClient

from errors import SinkRejected, SinkUnavailable
from operations.pipelines import read_topic
from runtime.config.sink_modules import SINK_MODULES
from schemas.spark import MESSAGE_SCHEMA
from settings import Settings
from spark_jobs.customers import CUSTOMERS
from spark_jobs.pipeline import Pipeline
from spark_jobs.profiles import PROFILES
from spark_jobs.registry import built_in
from spark_jobs.sinks.base import Batch, Sink
from spark_jobs.sinks.cassandra import connector_options, in_table_order
from spark_jobs.sinks.cassandra_watchdog import forget_sessions
from spark_jobs.sinks.registry import sinks_of
from spark_jobs.sources.broker import kafka_admin
from spark_jobs.sources.topics import LIMIT
from spark_jobs.tickets import TICKETS
from spark_jobs.transforms.outcomes import STORED
from sql.client import transaction
from sql.tables import count_rows
from tests.conftest import free_ports
from tests.integration.test_profiles_pipeline import profile
from tests.integration.test_tickets_pipeline import ticket
from tests.support.builders import customer, payload
from tests.support.pipelines import MakeWorld
from tests.support.world import Message, World

QUERY = "5f1d7c2e-0000-4000-8000-000000000001"
SENT = datetime(2026, 11, 22, 10, 15, tzinfo=UTC)


def _customer(customer_id: str, address: str, **changes: Any) -> Message:
    record = customer(customer_id=customer_id, address=address, **changes)
    return customer_id.encode(), payload(record)


NOTHING: dict[str, Any] = dict.fromkeys(("gender", "location", "phone", "nat", "registered"))
BARE_PROFILES = (PROFILES, profile(**NOTHING), profile("7a0eed16-9430-4d68-901f-c0d4c1c3bf01"))
ABSENT: dict[str, Any] = dict.fromkeys(("phone", "city", "state", "postal_code", "created_at"), ...)
BARE_CUSTOMERS = (
    CUSTOMERS,
    _customer("A", "", **ABSENT),
    # An alert without a key.
    (None, payload(customer(customer_id=..., **ABSENT))),
)


@dataclass(frozen=True)
class Case:
    """How the suite meets one sink.

    Attributes:
        name: As `SINKS` lists it.
        count: How many records (in an aggregate: what it adds up to) the store has.
        away: Settings under which the store is away; None where it cannot be.
        break_it: Makes the store refuse the next write.
        pipeline: Whose records it gets.
        message: A record with an id and a text, as a message.
        bare: A pipeline and two messages with nothing but what is required.
        changes: Settings that differ from the usual ones.
    """

    name: str
    count: Callable[[World], int]
    away: Callable[[int], dict[str, Any]] | None
    break_it: Callable[[World], None]
    pipeline: Pipeline = TICKETS
    message: Callable[[str, str], Message] = lambda name, text: ticket(name, request=text)
    bare: tuple[Pipeline, Message, Message] = BARE_PROFILES
    changes: dict[str, Any] = field(default_factory=dict)


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


def _customers_on_topics(world: World) -> int:
    """A batch that comes again puts copies there; coordinates count."""
    headers = [
        dict(message.headers())
        for topic in (world.settings.customers_usa_topic, world.settings.customers_alerts_topic)
        for message in read_topic(world.settings, topic)
    ]
    return len({(h["source_partition"], h["source_offset"]) for h in headers})


def _narrow_topic(world: World) -> None:
    """The topic takes nothing any more that is larger than a few bytes."""
    entry = ConfigEntry(LIMIT, "20", incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(
        ResourceType.TOPIC, world.settings.customers_usa_topic, incremental_configs=[entry]
    )
    admin = kafka_admin(world.settings)
    for change in admin.incremental_alter_configs([resource]).values():
        change.result(30)


CASSANDRA = Case(
    "cassandra",
    _rows_in_cassandra,
    lambda port: {"cassandra_port": port},
    _drop_column,
)
CASES = {
    "cassandra": CASSANDRA,
    "cassandra, direct": replace(CASSANDRA, changes={"cassandra_writer": "direct"}),
    "files": Case("files", _rows_in_files, None, _block_output, bare=BARE_CUSTOMERS),
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
    "topics": Case(
        "topics",
        _customers_on_topics,
        lambda port: {
            "kafka_bootstrap_servers": f"127.0.0.1:{port}",
            "kafka_connect_timeout_seconds": 1,
        },
        _narrow_topic,
        CUSTOMERS,
        _customer,
        BARE_CUSTOMERS,
    ),
}


@pytest.fixture(params=CASES.values(), ids=CASES)
def case(request: pytest.FixtureRequest) -> Case:
    return request.param  # type: ignore[no-any-return]


def sink_of(world: World, case: Case) -> Sink:
    """The sink, checked as before every start of a job."""
    settings = world.settings.model_copy(update={"sinks": (case.name,)} | case.changes)
    # The connector hears of tables that were made a moment ago only after a while.
    forget_sessions(world.spark)
    made = {sink.name: sink for sink in sinks_of(world.pipeline, settings, world.database)}
    made[case.name].check()
    return made[case.name]


def batch_of(world: World, *messages: Message, first_offset: int = 0) -> Batch:
    """A batch as the job makes it of messages."""
    rows = [
        (key, value, world.topic, 0, offset, SENT, int(SENT.timestamp() * 1000), 0)
        for offset, (key, value) in enumerate(messages, first_offset)
    ]
    read = world.spark.createDataFrame(rows, MESSAGE_SCHEMA)
    classified = world.pipeline.classify(read, world.settings).cache()
    summary = world.pipeline.roll_up(
        row.asDict() for row in world.pipeline.summarise(classified).collect()
    )
    records = classified.filter(classified.outcome.isin(*STORED))
    return Batch(records, summary, QUERY)


def test_every_sink_takes_part_in_this_suite() -> None:
    everything = Settings(sinks=tuple(SINK_MODULES))
    with MongoClient[Any](connect=False) as client:
        used = {s.name for p in built_in() for s in sinks_of(p, everything, client["unused"])}

    assert {case.name for case in CASES.values()} == used
    assert used >= set(SINK_MODULES)


def test_sink_goes_by_the_name_under_which_it_is_listed(make_world: MakeWorld, case: Case) -> None:
    assert sink_of(make_world(case.pipeline), case).name == case.name


@pytest.mark.quick
def test_batch_is_written_once_however_often_it_comes(make_world: MakeWorld, case: Case) -> None:
    world = make_world(case.pipeline)
    sink = sink_of(world, case)
    first, second = (
        batch_of(world, case.message("A", "plain"), case.message("B", 'é "q", 名\n')),
        batch_of(world, case.message("C", "plain"), first_offset=2),
    )

    sink.write_batch(first, 0)
    assert case.count(world) == 2
    sink.write_batch(first, 0)
    assert case.count(world) == 2
    sink.write_batch(second, 1)
    sink.write_batch(second, 1)
    assert case.count(world) == 3


def test_empty_batch_changes_nothing(make_world: MakeWorld, case: Case) -> None:
    world = make_world(case.pipeline)
    sink = sink_of(world, case)

    sink.write_batch(batch_of(world, (b"k", b"no record")), 0)

    assert case.count(world) == 0


def test_record_with_nothing_but_what_is_required_is_taken(
    make_world: MakeWorld, case: Case
) -> None:
    pipeline, *messages = case.bare
    world = make_world(pipeline)
    batch = batch_of(world, *messages)
    assert batch.records.count() == 2

    sink_of(world, case).write_batch(batch, 0)


def test_batch_of_few_partitions_is_grouped_by_them_and_stored_whole(
    make_world: MakeWorld,
) -> None:
    world = make_world(TICKETS)
    # All of one team and hour; texts of 1 to 500 characters, so that groups are of any size.
    messages = [ticket(f"T-{n}", request="é" * (1 + n * n % 500)) for n in range(2400)]
    batch = batch_of(world, *messages)
    by_id, by_team = (connector_options(table, batch.summary) for table in world.pipeline.tables)
    grouping = "spark.cassandra.output.batch.grouping.key"
    assert (by_id[grouping], by_team[grouping]) == ("none", "partition")

    for _ in range(2):
        sink_of(world, CASES["cassandra"]).write_batch(batch, 0)

        assert _rows_in_cassandra(world) == 2400


def test_rows_of_few_partitions_are_brought_into_the_order_of_their_table(
    make_world: MakeWorld,
) -> None:
    world = make_world(TICKETS)
    one = (("b", "2026-11-02T10:00:01Z"), ("a", "2026-11-02T10:00:01Z"))
    two = (("c", "2026-11-02T10:59:00Z"), ("d", "2026-11-02T09:00:00Z"))
    batch = batch_of(
        world, *(ticket(f"T-{name}", created_at=moment) for name, moment in (*one, *two))
    )
    by_team = world.pipeline.tables[1]

    rows = in_table_order(by_team, by_team.rows(batch.records).coalesce(1)).collect()

    # By hour, then newest first, then by id.
    assert [row["ticket_id"] for row in rows] == ["T-d", "T-c", "T-a", "T-b"]


def test_store_that_is_away_is_distinguished_from_one_that_refuses(
    make_world: MakeWorld, case: Case
) -> None:
    world = make_world(case.pipeline)
    if case.away is not None:
        (port,) = free_ports(1)
        changed = {name: _typed(world, name, value) for name, value in case.away(port).items()}
        away = world.settings.model_copy(update=changed)
        with pytest.raises(SinkUnavailable, match="make"):
            _check_with(world, case, away)

    sink = sink_of(world, case)
    sink.write_batch(batch_of(world, case.message("A", "plain")), 0)
    case.break_it(world)
    with pytest.raises(SinkRejected, match="Nothing is lost") as refused:
        sink.write_batch(batch_of(world, case.message("B", "never to be shown")), 1)
    assert "never to be shown" not in str(refused.value)


def _typed(world: World, name: str, value: Any) -> Any:
    return type(getattr(world.settings, name))(value)


def _check_with(world: World, case: Case, settings: Any) -> None:
    from spark_jobs.sinks.mongodb import confirmed_database, connect_mongodb

    with connect_mongodb(settings, timeout_seconds=1) as client:
        database = confirmed_database(client, settings)
        alone = settings.model_copy(update={"sinks": (case.name,)})
        (sink,) = sinks_of(world.pipeline, alone, database)
        sink.check()
