"""What must be refused before anything is lost or counted twice, and what must go on."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from confluent_kafka import Producer

from errors import JobError
from operations import reset
from spark_jobs.run import query as pipeline_run
from spark_jobs.sinks.cassandra import CassandraSink
from spark_jobs.start_checks.guard import check_start
from spark_jobs.state.checkpoint import checkpoint_of
from spark_jobs.state.ledger import Counts, Ledger
from spark_jobs.tickets import TICKETS
from tests.integration.test_tickets_pipeline import ticket
from tests.support.pipelines import MakeWorld


@pytest.mark.parametrize(
    ("place", "step"),
    [(reset, "check_mongodb"), (CassandraSink, "delete"), (reset, "connect_mongodb")],
    ids=["before anything", "ledger gone", "not begun"],
)
def test_interrupted_reset_lets_no_job_go_on_over_emptied_stores(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch, place: Any, step: str
) -> None:
    """Dies at a step; a job that starts then is refused or finds everything as it was."""
    world = make_world(TICKETS)
    world.send(ticket("A"), ticket("B"))
    world.process()

    def die(*_: Any, **__: Any) -> None:
        raise JobError("crash on purpose")

    with monkeypatch.context() as patched:
        patched.setattr(place, step, die)
        with pytest.raises(JobError, match="on purpose"):
            reset.delete_stored(world.pipeline, world.settings)

    if step == "delete":
        with pytest.raises(JobError, match="the ledger `batches` in MongoDB is empty"):
            world.process()
    else:
        world.process()
    reset.delete_stored(world.pipeline, world.settings)
    world.process()
    assert world.totals() == Counts(read=2, stored=2)
    assert [d["count"] for d in world.documents("tickets_by_type").values()] == [2]
    assert len(world.rows("tickets")) == 2


def test_offsets_without_a_message_are_covered_by_the_ledger(make_world: MakeWorld) -> None:
    world = make_world(TICKETS)
    producer = Producer(
        world.settings.kafka_client_options() | {"transactional.id": f"t-{world.keyspace}"}
    )
    producer.init_transactions(30)
    producer.begin_transaction()
    producer.produce(world.topic, value=b"never seen", partition=0)
    producer.flush(30)
    producer.abort_transaction(30)

    world.process()
    world.send(ticket("A"), partition=0)
    world.process()

    assert world.totals() == Counts(read=1, stored=1)
    reached = 0
    for entry in Ledger(world.database, "tickets").entries():
        start, end = entry.offsets[0]
        assert start == reached
        reached = end
    assert reached == 3


def test_other_topic_on_the_same_checkpoint_is_refused(make_world: MakeWorld) -> None:
    world, other = make_world(TICKETS), make_world(TICKETS)
    world.send(ticket("A"))
    world.process()

    with pytest.raises(JobError, match=f"belongs to the topic `{world.topic}`"):
        world.process(tickets_topic=other.topic)

    world.send(ticket("B"))
    world.process()
    assert world.totals() == Counts(read=2, stored=2)


def test_start_reports_how_much_waits_on_the_topic(make_world: MakeWorld) -> None:
    world = make_world(TICKETS)
    ledger = Ledger(world.database, TICKETS.name)
    waiting = []
    for number in (3, 2):
        world.send(*(ticket(f"{number}-{i}") for i in range(number)))
        waiting.append(check_start(TICKETS, world.settings, ledger).unread)
        world.process()
    waiting.append(check_start(TICKETS, world.settings, ledger).unread)

    assert waiting == [3, 2, 0]


def test_other_sinks_than_before_are_refused(make_world: MakeWorld) -> None:
    world = make_world(TICKETS)
    world.send(ticket("A"))
    world.process(sinks=("mongodb",))
    assert world.rows("tickets") == []

    with pytest.raises(JobError) as added:
        world.process()
    refusal = str(added.value)
    assert "earlier batches went to `mongodb`, new ones go to `cassandra,mongodb`." in refusal
    assert "cassandra would lack the 1 stored records." in refusal
    assert "set SINKS to `mongodb` again" in refusal
    assert f".venv/bin/millrace replay --topic {world.topic} --sink cassandra`" in refusal
    assert "dropped" not in refusal


def test_dropped_sink_is_reported_as_dropped(make_world: MakeWorld) -> None:
    world = make_world(TICKETS)
    world.send(ticket("A"))
    world.process()

    with pytest.raises(JobError) as dropped:
        world.process(sinks=("mongodb",))

    refusal = str(dropped.value)
    assert "cassandra would be dropped: they keep what they hold of the 1 stored records" in refusal
    assert "set SINKS to `mongodb,cassandra` again" in refusal
    assert "would lack" not in refusal
    assert "replay" not in refusal


def test_aggregates_without_ledger_and_checkpoint_are_refused(make_world: MakeWorld) -> None:
    import shutil

    world = make_world(TICKETS)
    world.send(ticket("A"))
    world.process(sinks=("mongodb",))
    world.database["batches"].delete_many({})
    shutil.rmtree(checkpoint_of(world.settings, world.pipeline.name).path)

    with pytest.raises(JobError, match="MongoDB holds aggregates"):
        world.process(sinks=("mongodb",))


def test_dead_letters_never_age_out_and_have_room(make_world: MakeWorld) -> None:
    from confluent_kafka.admin import AdminClient, ConfigResource, ResourceType

    world = make_world(TICKETS)
    resource = ConfigResource(ResourceType.TOPIC, f"{world.topic}-dead-letter")
    admin = AdminClient(world.settings.kafka_client_options())
    config = next(iter(admin.describe_configs([resource]).values())).result(10)

    assert config["retention.ms"].value == "-1"
    assert config["max.message.bytes"].value == str(1_048_588 + 65_536)


@pytest.mark.usefixtures("no_pause")
def test_ids_are_remembered_for_the_days_asked_for(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The clock is moved forward by the floor under it, as no test can wait for days."""
    world = make_world(TICKETS)
    now = datetime.now(UTC)
    # Day of processing, id, whether it is a duplicate. The batch after the one that
    # moved the watermark clears the state, so there are batches in between.
    days: list[tuple[float, str, bool]] = [
        (0, "A", False),
        (6.9, "A", True),
        (7.1, "B", False),
        (7.2, "C", False),
        (7.3, "A", False),
    ]
    duplicates = 0
    for day, ticket_id, is_duplicate in days:
        later = now + timedelta(days=day)
        monkeypatch.setattr(pipeline_run, "earliest_clock", lambda *_, later=later: later)
        world.send(ticket(ticket_id))
        world.process(deduplication_days=7)
        duplicates += is_duplicate
        assert world.totals().duplicates == duplicates, f"day {day}"
