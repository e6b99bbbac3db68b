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
from pyspark.sql import DataFrame, SparkSession

from operations.verify import messages, on_spark
from runtime.config.topic_names import dead_letter_topic
from settings import Settings
from spark_jobs.sources.broker import kafka_admin
from spark_jobs.sources.kafka import read_messages
from sql.client import transaction
from tests.support.own_checks import ORDERS, SENSORS, Own, faults_of, own_world
from tests.support.own_records import AT
from tests.support.pipelines import MakeWorld
from tests.support.world import World

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


def named(world: World, *lines: str) -> list[str]:
    names = {"ks": world.keyspace, "db": world.database.name, "topic": world.topic}
    return [line.format(**names) for line in lines]


def expect(world: World, *lines: str) -> None:
    assert faults_of(world) == named(world, *lines)


def faults_either_way(world: World, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is found, the same whether the rows count as few or as many; few are read once."""
    read: list[str] = []

    def noted(spark: SparkSession, settings: Settings, topic: str, *rest: Any) -> DataFrame:
        read.append(topic)
        return read_messages(spark, settings, topic, *rest)

    monkeypatch.setattr(messages, "read_messages", noted)
    faults = faults_of(world)
    assert read == [world.topic]
    monkeypatch.setattr(on_spark, "WHOLE_ROWS", 0)
    monkeypatch.setattr(on_spark, "ROWS_OF_A_PART", 3)
    assert faults_of(world) == faults
    assert len(read) > 2
    return faults


def test_orders_changed_in_tables_files_and_topics_are_named(make_world: MakeWorld) -> None:
    world = filled(make_world, ORDERS)

    amount = f"UPDATE {{ks}}.orders_by_status SET amount = 7.77 WHERE {BY_STATUS}"
    cql(world, amount, SENT, "A")
    cql(world, f"DELETE FROM {{ks}}.orders_by_status WHERE {BY_STATUS}", SENT, "D")
    sql(
        world,
        "UPDATE orders SET items = '{rug}' WHERE order_id = 'A'",
        "DELETE FROM orders WHERE order_id = 'B'",
    )
    change_file(world, "orders", {"express": None, "amount": Decimal("0.01")})
    forget_messages(world, world.pipeline.topics[0].name)

    source = "{ks}.orders"
    expect(
        world,
        "Cassandra {ks}.orders_by_status: the number of rows is 3, the ledger says 4 (-1)",
        "Kafka {ks}-orders-large: distinct records is 0, the ledger says 1 (-1)",
        "PostgreSQL orders: the number of rows is 3, the ledger says 4 (-1)",
        f"Cassandra {{ks}}.orders_by_status: `A` differs from {source} in amount",
        f"Cassandra {{ks}}.orders_by_status: `D` is missing; {source} has it",
        "Kafka {ks}-orders-large: `{topic}/0/1` is missing",
        f"files orders (parquet): `A` differs from {source} in amount, express",
        f"PostgreSQL orders: `A` differs from {source} in items",
        f"PostgreSQL orders: `B` is missing; {source} has it",
    )


def test_readings_changed_in_tables_and_files_are_named(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = filled(make_world, SENSORS)

    cql(world, f"DELETE FROM {{ks}}.readings WHERE {OF_ROOF}", SENT)
    cql(world, f"DELETE FROM {{ks}}.readings_by_state WHERE {BY_STATE}", SENT)
    later = SENT + timedelta(minutes=1)
    cql(world, f"UPDATE {{ks}}.readings SET temperature = 12.5 WHERE {OF_ROOF}", later)
    sql(world, "UPDATE readings SET at = at + interval '1 ms' WHERE sensor_id = 'yard-1'")
    change_file(world, "faults", {"humidity": 60.25})

    source, day = "{ks}.readings", "2026-11-22T"
    lost, changed = f"roof-1|{day}10:15:00.000Z", f"roof-1|{day}10:16:00.000Z"
    moved = f"yard-1|{day}11:15:00.000Z"
    faults = faults_either_way(world, monkeypatch)
    assert [line for line in faults if not line.startswith("MongoDB")] == named(
        world,
        "Cassandra {ks}.readings: the number of rows is 3, the ledger says 4 (-1)",
        "Cassandra {ks}.readings_by_state: the number of rows is 3, the ledger says 4 (-1)",
        f"Cassandra {{ks}}.readings_by_state: `{changed}` differs from {source} in temperature",
        f"Cassandra {{ks}}: `{lost}` is lost: the topic holds it as a valid message, no table does",
        f"Cassandra {source}: `{changed}` differs from its message on {{topic}} in temperature",
        f"files readings (parquet): `{lost}` is there, but not in {source}",
        f"files readings (parquet): `{changed}` differs from {source} in temperature",
        f"files faults (parquet): `{moved}` differs from {source} in humidity",
        f"PostgreSQL readings: `{lost}` is there, but not in {source}",
        f"PostgreSQL readings: `{changed}` differs from {source} in temperature",
        f"PostgreSQL readings: `{moved}` is missing; {source} has it",
        f"PostgreSQL readings: `{moved[:-4]}001Z` is there, but not in {source}",
    )
    hour = "MongoDB {db}.readings_by_hour: `roof-1|2026-11-22T10`: "
    state = "MongoDB {db}.readings_by_state: `2026-11-22|ok`: "
    by = f"by the rows of {source} it is"
    assert [line for line in faults if line.startswith("MongoDB")] == named(
        world,
        f"{hour}`count` is 2, {by} 1 (+1)",
        f"{hour}`coldest` is 11.500000, {by} 12.500000 (-1.000000)",
        f"{hour}`warmest` is 12.250000, {by} 12.500000 (-0.250000)",
        f"{hour}`average_temperature_sum` is 23.750000, {by} 12.500000 (+11.250000)",
        f"{hour}`average_temperature_count` is 2, {by} 1 (+1)",
        f"{hour}`average_humidity_sum` is 60.500000 (a double), {by} 0 (an integer)",
        f"{hour}`average_humidity_count` is 1, {by} 0 (+1)",
        f"{hour}`average_temperature` is 11.875000, {by} 12.500000 (-0.625000)",
        f"{hour}`average_humidity` is 60.500000, {by} absent",
        f"{state}`count` is 2, {by} 1 (+1)",
        f"{state}`battery_sum` is 195, {by} 97 (+98)",
    )


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

    money, country = "MongoDB {db}.orders_by_currency", "MongoDB {db}.orders_by_country"
    by = "by the rows of {ks}.orders it is"
    expect(
        world,
        f"{money}: the number of documents is 3, the ledger says 2 (+1)",
        f"{money}: `{euros}`: `revenue` is 101.01, {by} 101.00 (+0.01)",
        f"{money}: `{euros}`: `largest` is 100.11, {by} 100.10 (+0.01)",
        f"{money}: `{pounds}`: `average_amount` is 1, {by} 20000.00 (-19999.00)",
        f"{money}: `2026-11-22|USD` is there, but no row of {{ks}}.orders belongs to it",
        f"{country}: `ES`: `customers` is 7, {by} 2 (+5); an estimate may differ by 2",
        f"{country}: `GB`: `count` is 2, {by} 1 (+1)",
        f"{country}: `GB`: `express` is 1, {by} 0 (+1)",
        f"{country}: `unknown` is missing; the rows of {{ks}}.orders give count 1, express 0,"
        " customers 1",
    )


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
    fault = "2026-11-23|fault"
    update(world, "readings_by_state", fault, {"$set": {"lowest_battery": 0}})

    hour, state = f"MongoDB {{db}}.readings_by_hour: `{roof}`", "MongoDB {db}.readings_by_state"
    by = "by the rows of {ks}.readings it is"
    expect(
        world,
        f"{hour}: `coldest` is 11.250000, {by} 11.500000 (-0.250000)",
        f"{hour}: `warmest` is absent, {by} 12.250000",
        f"{hour}: `average_humidity_count` is 2, {by} 1 (+1)",
        f"{hour}: `average_temperature` is 11.875001, {by} 11.875000 (+0.000001)",
        f"{state}: `{ok}`: `state` is fine, {by} ok",
        f"{state}: `{ok}`: `battery_sum` is 194, {by} 195 (-1)",
        f"{state}: `{ok}`: `last_at` is {SENT}, {by} {SENT + timedelta(minutes=1)}",
        f"{state}: `{fault}`: `lowest_battery` is 0, {by} absent",
    )


def test_dead_letters_that_are_missing_are_named(make_world: MakeWorld) -> None:
    world = filled(make_world, ORDERS)

    world.database["dead_letters"].delete_one({"_id": f"{world.topic}/0/6"})
    forget_messages(world, dead_letter_topic(world.topic))

    kafka = "Kafka {topic}-dead-letter"
    mongodb = "MongoDB {db}.dead_letters ({topic})"
    missing = "is missing; the source topic holds it as a rejected message"
    expect(
        world,
        f"{kafka}: distinct dead letters is 0, the ledger says 2 (-2)",
        f"{mongodb}: the number of documents is 1, the ledger says 2 (-1)",
        f"{kafka}: batch 0: 0 dead letters, the ledger says 2 (-2)",
        f"{kafka}: `{{topic}}/0/6` {missing}",
        f"{kafka}: `{{topic}}/0/7` {missing}",
        f"{mongodb}: batch 0: 1 dead letters, the ledger says 2 (-1)",
        f"{mongodb}: `{{topic}}/0/6` {missing}",
    )
