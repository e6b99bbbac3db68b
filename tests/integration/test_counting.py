"""How the messages of a batch are counted where offsets do not tell."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest
from confluent_kafka import Producer

from operations.verify.verify import has_read_little
from spark_jobs.customers import CUSTOMERS
from spark_jobs.run import batch_writer
from spark_jobs.state.ledger import Counts, Ledger
from spark_jobs.tickets import TICKETS
from tests.integration.test_tickets_pipeline import ticket
from tests.support.pipelines import MakeWorld


def test_offsets_of_transactions_are_not_counted_as_messages(make_world: MakeWorld) -> None:
    world = make_world(TICKETS)
    producer = Producer(
        world.settings.kafka_client_options() | {"transactional.id": f"t-{world.keyspace}"}
    )
    producer.init_transactions(30)
    for commit in (True, False, True):
        producer.begin_transaction()
        for number in range(2):
            key, value = ticket(f"{commit}-{number}")
            producer.produce(world.topic, value=value, key=key, partition=0)
        producer.flush(30)
        (producer.commit_transaction if commit else producer.abort_transaction)(30)

    world.process()

    # Two committed transactions with the same two ids; the aborted one was never sent, as it were.
    assert world.totals() == Counts(read=4, stored=2, duplicates=2)


def test_duplicates_need_no_second_read_of_the_topic(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = make_world(TICKETS)
    world.send(ticket("A"), ticket("A"))

    def second_read(*_: Any) -> int:
        raise AssertionError("the topic was read a second time")

    monkeypatch.setattr(batch_writer, "count_messages", second_read)

    world.process()

    assert world.totals() == Counts(read=2, stored=1, duplicates=1)


def test_batch_of_rejected_messages_only_is_in_the_ledger(make_world: MakeWorld) -> None:
    world = make_world(TICKETS)
    world.send((None, b"1"), (None, json.dumps({"ticket_id": ""}).encode()))

    world.process()

    assert world.totals() == Counts(
        read=2,
        dead_lettered=2,
        reasons={
            "missing_client_id": 1,
            "missing_created_at": 1,
            "missing_priority": 1,
            "missing_request": 1,
            "missing_request_type": 1,
            "missing_ticket_id": 1,
            "unparseable": 1,
        },
    )
    assert world.documents("ticket_metrics") == {}


def test_what_jobs_have_read_is_little_up_to_a_bound(make_world: MakeWorld) -> None:
    world = make_world(TICKETS)
    assert has_read_little(world.settings, world.database)
    world.send(ticket("A"), partition=0)
    world.process()
    ledger = Ledger(world.database, TICKETS.name)
    entry = ledger.last()
    assert entry is not None
    assert has_read_little(world.settings, world.database)

    for batch_id, end, is_little in ((1, 40_000, True), (2, 40_001, False), (3, 40_000, True)):
        ends = {0: (1, 60_000), 1: (0, end)}
        ledger.confirm(dataclasses.replace(entry, batch_id=batch_id, offsets=ends))
        assert has_read_little(world.settings, world.database) is is_little

    # A job that feeds one store alone has an account of its own.
    part = CUSTOMERS.parts()[-1].name
    assert part != CUSTOMERS.name
    Ledger(world.database, part).confirm(
        dataclasses.replace(entry, pipeline=part, query_id="p", offsets={0: (0, 1)})
    )
    assert not has_read_little(world.settings, world.database)
