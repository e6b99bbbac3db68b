"""The peer of `make bench` that runs on Kafka Connect stores what it claims to store."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator

import pytest
from pyspark.sql import SparkSession

from operations.bench.workload import valid
from operations.pipelines import topic_offsets
from producers.generate import TicketGenerator
from runtime.jars import ensure_jars
from runtime.java import find_java
from settings import Settings
from spark_jobs.tickets import TICKETS
from tests.benchmarks.kafka_connect import ConnectError, Worker, running_worker
from tests.support.pipelines import MakeWorld
from tests.support.world import World

COUNT = 500
INVALID = [b"no JSON", b"", b"[1]", b'{"ticket_id":"only an id"}', None]
# Every way in which the load of the benchmark is broken, about thirty times each.
BROKEN = 1000


@pytest.fixture(scope="module")
def worker(stack_settings: Settings, job_spark: SparkSession) -> Iterator[Worker]:
    java = find_java(stack_settings, print)
    ensure_jars(stack_settings, ["connect"], print, java)
    with running_worker(stack_settings, job_spark, java) as running:
        yield running


def ends(world: World) -> dict[int, int]:
    return {n: end for n, (_, end) in topic_offsets(world.settings, world.topic).items()}


def test_the_peer_stores_the_valid_tickets_in_both_tables_and_counts_them(
    make_world: MakeWorld, worker: Worker
) -> None:
    world = make_world(TICKETS)
    sent = [*valid(COUNT)]
    world.send(*sent, *((None, value) for value in INVALID))

    rate = worker.run(world.topic, ends(world), world.keyspace, world.settings.mongo_database)

    tickets = [json.loads(message.value) for message in sent]
    ids = sorted(ticket["ticket_id"] for ticket in tickets)
    assert rate >= 0
    for table in ("tickets", "tickets_by_team"):
        assert sorted(row["ticket_id"] for row in world.rows(table)) == ids
    counted = Counter(f"{ticket['created_at'][:10]}|{ticket['priority']}" for ticket in tickets)
    found = world.documents("connect_priority")
    assert {name: document["count"] for name, document in found.items()} == counted


def test_broken_records_of_every_kind_do_not_stop_the_peer(
    make_world: MakeWorld, worker: Worker
) -> None:
    world = make_world(TICKETS)
    (last,) = valid(1)
    world.send(*TicketGenerator(1, invalid_ratio=1).messages(BROKEN), last)

    worker.run(world.topic, ends(world), world.keyspace, world.settings.mongo_database)

    name = json.loads(last.value)["ticket_id"]
    for table in ("tickets", "tickets_by_team"):
        assert name in {row["ticket_id"] for row in world.rows(table)}


def test_a_table_that_is_not_there_ends_the_measurement(
    make_world: MakeWorld, worker: Worker
) -> None:
    world = make_world(TICKETS)
    world.send(*valid(1))

    with pytest.raises(ConnectError, match=re.escape("A part of Kafka Connect failed: ")):
        worker.run(world.topic, ends(world), "no_such_keyspace", world.settings.mongo_database)
