"""`make verify` on users' pipelines: with things changed behind its back, each place is named."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from bson.decimal128 import Decimal128
from confluent_kafka import TopicPartition

from runtime.config.topic_names import dead_letter_topic
from spark_jobs.sources.broker import kafka_admin
from sql.client import transaction
from tests.support.own_checks import ORDERS, SENSORS, Own, faults_of, own_world
from tests.support.own_records import AT
from tests.support.pipelines import MakeWorld
from tests.support.world import World

pytestmark = pytest.mark.extended

SENT = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=AT)
BY_STATUS = "status = 'paid' AND created_day = '2026-11-22' AND created_at = %s AND order_id = %s"
BY_STATE = "state = 'ok' AND reading_day = '2026-11-22' AND sensor_id = 'roof-1' AND at = %s"
OF_ROOF = "sensor_id = 'roof-1' AND reading_day = '2026-11-22' AND at = %s"


def filled(make_world: MakeWorld, own: Own) -> World:
    world = own_world(make_world, own)
    world.send(*own.messages(), partition=0)
    world.process()
    return world


def cql(world: World, statement: str, *values: object) -> None:
    world.session.execute(statement.format(ks=world.keyspace), values)


def sql(world: World, *statements: str) -> None:
    with transaction(world.settings, "take what the test says") as work:
        for statement in statements:
            work.execute(statement.encode())


def forget_messages(world: World, topic: str) -> None:
    """Let the broker delete all that is on a topic."""
    admin = kafka_admin(world.settings)
    places = [TopicPartition(topic, partition, -1) for partition in range(3)]
    for deleted in admin.delete_records(places).values():
        deleted.result(30)


def change_file(world: World, file_set: str, change: dict[str, Any]) -> None:
    """Change the first row in the first file of a set."""
    path = sorted(Path(world.settings.output_path, file_set).rglob("*.parquet"))[0]
    table = pq.read_table(path, partitioning=None)
    rows = table.to_pylist()
    rows[0] |= change
    pq.write_table(table.from_pylist(rows, table.schema), path)


def update(world: World, collection: str, document: str, change: dict[str, Any]) -> None:
    done = world.database[collection].update_one({"_id": document}, change)
    assert done.matched_count == 1


def expect(world: World, expected: list[str]) -> None:
    names = {"ks": world.keyspace, "topic": world.topic}
    names["db"] = world.database.name
    faults = faults_of(world)
    print(*faults, sep="\n")
    assert faults == [line.format(**names) for line in expected]


def test_orders_changed_in_tables_files_and_topics_are_named(make_world: MakeWorld) -> None:
    world = filled(make_world, ORDERS)

    amount = f"UPDATE {{ks}}.orders_by_status SET amount = 7.77 WHERE {BY_STATUS}"
    cql(world, amount, SENT, "A")
    cql(world, f"DELETE FROM {{ks}}.orders_by_status WHERE {BY_STATUS}", SENT, "D")
    sql(
        world,
        "UPDATE orders SET items = '{rug}' WHERE order_id = 'A'",
        "DELETE FROM orders WHERE order_id = 'B'",
        "INSERT INTO orders SELECT 'X', created_at, status, amount FROM orders LIMIT 0",
    )
    change_file(world, "orders", {"express": None, "amount": Decimal("0.01")})
    forget_messages(world, world.pipeline.topics[0].name)

    expect(world, [])


def test_readings_changed_in_tables_and_files_are_named(make_world: MakeWorld) -> None:
    world = filled(make_world, SENSORS)

    cql(world, f"DELETE FROM {{ks}}.readings WHERE {OF_ROOF}", SENT)
    cql(world, f"DELETE FROM {{ks}}.readings_by_state WHERE {BY_STATE}", SENT)
    later = SENT + timedelta(minutes=1)
    cql(world, f"UPDATE {{ks}}.readings SET temperature = 12.5 WHERE {OF_ROOF}", later)
    sql(world, "UPDATE readings SET at = at + interval '1 ms' WHERE sensor_id = 'yard-1'")
    change_file(world, "faults", {"humidity": 60.25})

    expect(world, [])


def test_sums_of_orders_that_differ_are_named(make_world: MakeWorld) -> None:
    world = filled(make_world, ORDERS)

    euros, pounds = "2026-11-22|EUR", "2026-11-22|GBP"
    update(world, "orders_by_currency", euros, {"$inc": {"revenue": Decimal128("0.01")}})
    update(world, "orders_by_currency", euros, {"$set": {"largest": Decimal128("100.11")}})
    update(world, "orders_by_currency", pounds, {"$set": {"average_amount": Decimal128("1")}})
    update(world, "orders_by_country", "ES", {"$set": {"customers": 7}})
    update(world, "orders_by_country", "GB", {"$inc": {"count": 1, "express": 1}})
    world.database["orders_by_country"].delete_one({"_id": "unknown"})
    world.database["orders_by_currency"].insert_one({"_id": "2026-11-22|USD", "count": 0})

    expect(world, [])


def test_sums_of_readings_that_differ_are_named(make_world: MakeWorld) -> None:
    world = filled(make_world, SENSORS)

    roof = "roof-1|2026-11-22T10"
    update(world, "readings_by_hour", roof, {"$set": {"coldest": 11.25}})
    update(world, "readings_by_hour", roof, {"$set": {"warmest": None}})
    update(world, "readings_by_hour", roof, {"$inc": {"average_temperature": 1e-6}})
    update(world, "readings_by_hour", roof, {"$set": {"average_humidity_count": 2}})
    ok = "2026-11-22|ok"
    update(world, "readings_by_state", ok, {"$inc": {"battery_sum": -1}})
    update(world, "readings_by_state", ok, {"$set": {"last_at": SENT, "state": "fine"}})
    update(world, "readings_by_state", "2026-11-23|fault", {"$set": {"lowest_battery": 0}})

    expect(world, [])


def test_dead_letters_that_are_missing_are_named(make_world: MakeWorld) -> None:
    world = filled(make_world, ORDERS)

    world.database["dead_letters"].delete_one({"_id": f"{world.topic}/0/6"})
    forget_messages(world, dead_letter_topic(world.topic))

    expect(world, [])
