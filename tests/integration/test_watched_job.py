"""What is seen of a job that ran: its lag in Kafka's own tools, its seconds in the ledger."""

from __future__ import annotations

import pytest
from confluent_kafka import ConsumerGroupTopicPartitions
from confluent_kafka.admin import AdminClient

from operations import reset
from operations.pipelines import topic_offsets
from spark_jobs.sinks.dead_letters import COLLECTION as SUMMARIES
from spark_jobs.state.ledger import Ledger
from spark_jobs.tickets import TICKETS
from tests.integration.test_tickets_pipeline import ticket
from tests.support.pipelines import MakeWorld
from tests.support.world import World


@pytest.fixture
def world(make_world: MakeWorld) -> World:
    world = make_world(TICKETS)
    world.send(ticket("A"), ticket("B"), (b"C1", b"not JSON"))
    return world


def committed(world: World) -> dict[int, int]:
    """Partition -> offset of the pipeline's consumer group, as Kafka's admin client reads it."""
    admin = AdminClient(world.settings.kafka_client_options())
    asked = ConsumerGroupTopicPartitions(f"millrace-{world.pipeline.name}")
    (answer,) = admin.list_consumer_group_offsets([asked]).values()
    places = answer.result(30).topic_partitions
    assert {place.topic for place in places} <= {world.topic}
    return {place.partition: place.offset for place in places}


def test_offsets_of_confirmed_batches_are_in_the_consumer_group_until_a_reset(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.process()
    ends = {p: end for p, (_, end) in topic_offsets(world.settings, world.topic).items()}
    assert committed(world) == ends

    world.send(ticket("D"))
    assert sum(committed(world).values()) == sum(ends.values())
    world.process()
    assert sum(committed(world).values()) == sum(ends.values()) + 1

    monkeypatch.setattr(reset, "chosen_pipelines", lambda *_: [world.pipeline])
    monkeypatch.setattr(reset, "prepare_stores", lambda *_: None)
    reset.reset(world.settings, "tickets", topics=False, yes=True)
    assert committed(world) == {}


def test_job_goes_on_from_its_ledger_whatever_the_consumer_group_says(
    world: World,
) -> None:
    world.process()
    admin = AdminClient(world.settings.kafka_client_options())
    for answer in admin.delete_consumer_groups([f"millrace-{world.pipeline.name}"]).values():
        answer.result(30)
    world.send(ticket("D"))

    world.process()

    assert (world.totals().read, world.totals().stored) == (4, 3)


def test_ledger_says_how_long_a_batch_and_each_of_its_sinks_took(world: World) -> None:
    world.process()

    (entry,) = Ledger(world.database, world.pipeline.name).entries()
    assert entry.seconds is not None
    assert {*entry.sink_seconds} == {*entry.sinks, "dead-letters"}
    assert all(seconds > 0 for seconds in entry.sink_seconds.values())
    assert sum(entry.sink_seconds.values()) <= entry.seconds
    assert world.database[SUMMARIES].count_documents({"source_topic": world.topic}) == 1
