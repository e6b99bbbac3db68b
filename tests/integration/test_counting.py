"""How the messages of a batch are counted where offsets do not tell."""

from __future__ import annotations

import json
from typing import Any

import pytest
from confluent_kafka import Producer

from spark_jobs import pipeline
from spark_jobs.ledger import Counts
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

    monkeypatch.setattr(pipeline, "count_messages", second_read)

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
