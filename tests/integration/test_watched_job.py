"""What is seen of a job that ran: its lag in Kafka's own tools, its seconds in the ledger."""

from __future__ import annotations

import json
import signal
import urllib.request

import pytest
from confluent_kafka import ConsumerGroupTopicPartitions
from confluent_kafka.admin import AdminClient
from prometheus_client.parser import text_string_to_metric_families

from operations import reset
from operations.overview.proof import last_proof
from operations.pipelines import topic_offsets
from operations.verify import verify
from spark_jobs.sinks.dead_letters import COLLECTION as SUMMARIES
from spark_jobs.sources.consumer_group import delete_group
from spark_jobs.state.ledger import Ledger
from spark_jobs.tickets import TICKETS
from tests.conftest import free_ports
from tests.integration.test_tickets_pipeline import ticket
from tests.support.pipelines import MakeWorld
from tests.support.processes import kill_with_children, start_job, wait_for
from tests.support.world import World


@pytest.fixture
def world(make_world: MakeWorld) -> World:
    world = make_world(TICKETS)
    # Tests of other files on this broker have committed to the same group.
    delete_group(world.settings, world.pipeline.name)
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


def test_running_job_serves_its_metrics_and_health(world: World) -> None:
    (port,) = free_ports(1)
    job = start_job(world, METRICS_PORT=str(port))
    try:
        wait_for(lambda: process_has_read(port, 3), 120, "message in the metrics")
        found = scraped(port)
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=5) as answer:
            health = json.load(answer)
        job.send_signal(signal.SIGTERM)
        assert job.wait(60) == 0
    finally:
        if job.poll() is None:
            kill_with_children(job)

    name = world.pipeline.name
    assert found["millrace_messages_total", name, "dead_lettered"] == 1
    assert found["millrace_messages_total", name, "stored"] == 2
    assert found["millrace_batch_seconds_sum", name] > 0
    assert found["millrace_sink_seconds_count", name, "cassandra"] >= 1
    assert sum(n for (metric, *_), n in found.items() if metric == "millrace_lag_messages") == 0
    assert found["millrace_last_success_timestamp_seconds", name] > 1_795_000_000
    assert health == {"status": "ok", "down": []}


def scraped(port: int) -> dict[tuple[str, ...], float]:
    """Metric, pipeline and the other label -> value."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        text = answer.read().decode()
    found = {}
    for family in text_string_to_metric_families(text):
        for each in family.samples:
            labels = dict(each.labels)
            found[each.name, labels.pop("pipeline", ""), *labels.values()] = each.value
    return found


def process_has_read(port: int, number: int) -> bool:
    try:
        found = scraped(port)
    except OSError:
        return False
    return sum(n for (name, *_), n in found.items() if name == "millrace_messages_total") >= number


def test_verification_is_kept_as_the_last_proof(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verify, "pipelines_of", lambda settings: [world.pipeline])
    world.process()
    verify.balance(world.settings, world.spark)
    proof = last_proof(world.database)
    assert proof is not None
    assert (proof.verified, proof.faults) == (True, ())

    world.session.execute(f"TRUNCATE {world.keyspace}.tickets_by_team")
    verify.balance(world.settings, world.spark)
    proof = last_proof(world.database)
    assert proof is not None
    assert not proof.verified
    assert any("tickets_by_team" in fault for fault in proof.faults)


def test_ledger_says_how_long_a_batch_and_each_of_its_sinks_took(world: World) -> None:
    world.process()

    (entry,) = Ledger(world.database, world.pipeline.name).entries()
    assert entry.seconds is not None
    assert {*entry.sink_seconds} == {*entry.sinks, "dead-letters"}
    assert all(seconds > 0 for seconds in entry.sink_seconds.values())
    assert sum(entry.sink_seconds.values()) <= entry.seconds
    assert world.database[SUMMARIES].count_documents({"source_topic": world.topic}) == 1
