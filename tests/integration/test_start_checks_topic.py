"""Topic and checkpoint compared before a start: losses named with numbers, and accepted or not."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from confluent_kafka.admin import NewPartitions

from errors import JobError
from spark_jobs.run.batch_writer import BatchWriter
from spark_jobs.run.job import RunOptions, run_pipelines
from spark_jobs.session.stopping import StopRequest
from spark_jobs.sources.broker import kafka_admin
from spark_jobs.sources.kafka import stream_messages
from spark_jobs.sources.topics import delete_topics, ensure_topics
from spark_jobs.state.acceptance import Accepted
from spark_jobs.state.ledger import Confirmations, Counts, Entry, Ledger
from spark_jobs.tickets import TICKETS
from tests.integration.test_tickets_pipeline import ticket
from tests.support.pipelines import MakeWorld
from tests.support.processes import wait_for
from tests.support.starts import age_out, counted, crash, entries, run, tickets


def test_recreated_topic_is_refused_with_the_records_concerned(make_world: MakeWorld) -> None:
    world = make_world(TICKETS)
    world.send(*tickets("A", "B"), partition=0)
    run(world)
    delete_topics(world.settings, [world.topic])
    ensure_topics(world.settings, [world.topic])
    world.send(*tickets("C", "D", "E"), partition=0)

    with pytest.raises(JobError) as refused:
        run(world, loss=True, partitions=True, code=True)

    text = str(refused.value)
    assert f"the topic `{world.topic}`" in text
    assert "is not the same as before (its id is `" in text
    assert "The stores hold 2 records from the former topic, this one holds 3 messages" in text
    assert "make reset PIPELINE=tickets" in text
    assert len(entries(world)) == 1


def test_entry_of_an_older_version_knows_another_topic_by_its_end(make_world: MakeWorld) -> None:
    world = make_world(TICKETS)
    world.send(*tickets("A", "B", "C"), partition=0)
    run(world)
    world.database["batches"].update_many({}, {"$unset": {"topic_id": "", "plan": ""}})
    run(world)
    delete_topics(world.settings, [world.topic])
    ensure_topics(world.settings, [world.topic])
    world.send(ticket("D"), partition=0)

    with pytest.raises(JobError, match=r"2 offsets read before lie beyond its end"):
        run(world)


def test_messages_that_aged_out_are_named_and_passed_over_only_if_accepted(
    make_world: MakeWorld,
) -> None:
    """The loss is wider than three batches; what comes after it is read strictly again."""
    world = make_world(TICKETS)
    world.send(*tickets("A", "B"), partition=0)
    run(world)
    world.send(*tickets(*"CDEFGHIJ"), partition=0)
    age_out(world, 8)

    with pytest.raises(JobError) as refused:
        run(world)
    text = str(refused.value)
    assert f"6 messages of the topic `{world.topic}` aged out" in text
    assert "partition 0, offsets 2 to 7." in text
    assert "`--accept-loss`" in text
    assert "make reset PIPELINE=tickets`" in text

    run(world, loss=True, changes={"max_records_per_batch": 2})

    assert world.totals() == Counts(read=4, stored=4)
    assert {row["ticket_id"] for row in world.rows("tickets")} == {"A", "B", "I", "J"}
    assert counted(world) == 4
    lost = [entry.accepted_loss[0] for entry in entries(world) if entry.accepted_loss]
    assert (lost[0][0], lost[-1][1]) == (2, 8)
    assert sum(end - start for start, end in lost) == 6
    world.send(*tickets("K", "L"), partition=0)
    age_out(world, 11)
    with pytest.raises(JobError, match=r"1 messages .* partition 0, offset 10\."):
        run(world)


def test_query_is_strict_again_once_the_accepted_loss_is_passed(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One query passes the accepted loss, the next is strict, in the same run."""
    world = make_world(TICKETS)
    world.send(*tickets("A", "B"), partition=0)
    run(world)
    world.send(*tickets("C", "D", "E"), partition=0)
    age_out(world, 4)
    strict: list[bool] = []

    def noted(*args: Any, fail_on_data_loss: bool, **options: Any) -> Any:
        strict.append(fail_on_data_loss)
        return stream_messages(*args, fail_on_data_loss=fail_on_data_loss, **options)

    monkeypatch.setattr("spark_jobs.run.query.stream_messages", noted)
    stop = StopRequest()
    with ThreadPoolExecutor(1) as pool:
        options = RunOptions(accepted=Accepted(loss=True))
        job = pool.submit(
            run_pipelines, world.spark, [world.pipeline], world.settings, options, stop, print
        )
        wait_for(lambda: strict == [False, True] or job.done(), 60, "strict query")
        world.send(ticket("F"), partition=0)
        wait_for(lambda: world.totals().read == 4 or job.done(), 60, "batch")
        stop.ask()
        job.result(60)

    assert strict == [False, True]
    assert world.totals() == Counts(read=4, stored=4)
    assert [e.accepted_loss for e in entries(world) if e.accepted_loss] == [{0: (2, 4)}]


def test_planned_batch_whose_messages_aged_out_in_part_is_completed(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = make_world(TICKETS)
    world.send(*tickets(*"ABCD"), partition=0)
    with monkeypatch.context() as patched:
        patched.setattr(BatchWriter, "_write_sinks", crash)
        with pytest.raises(JobError, match="on purpose"):
            run(world)
    age_out(world, 3)

    with pytest.raises(JobError, match=r"3 messages .* partition 0, offsets 0 to 2"):
        run(world)
    with monkeypatch.context() as patched:
        patched.setattr(Ledger, "confirm", crash)
        with pytest.raises(JobError, match="on purpose"):
            run(world, loss=True)
    # What it wrote was without them, so the loss can be accepted again.
    run(world, loss=True)

    assert world.totals() == Counts(read=1, stored=1)
    (entry,) = entries(world)
    assert (entry.offsets[0], entry.accepted_loss) == ((0, 4), {0: (0, 3)})
    assert [row["ticket_id"] for row in world.rows("tickets_by_team")] == ["D"]
    assert counted(world) == 1


@pytest.mark.parametrize(
    ("dies", "sinks", "trace"),
    [
        ("mongodb.MongoAggregates.apply", ("cassandra", "mongodb"), "cassandra confirmed it"),
        ("cassandra.fault_point", ("cassandra",), "Cassandra holds rows from them"),
    ],
    ids=["after a sink", "within a sink"],
)
def test_half_written_messages_that_aged_out_cannot_be_called_lost(
    make_world: MakeWorld,
    monkeypatch: pytest.MonkeyPatch,
    dies: str,
    sinks: tuple[str, ...],
    trace: str,
) -> None:
    world = make_world(TICKETS)
    world.send(*tickets(*"ABCD"), partition=0)
    with monkeypatch.context() as patched:
        patched.setattr(f"spark_jobs.sinks.{dies}", crash)
        with pytest.raises(JobError, match="on purpose"):
            run(world, changes={"sinks": sinks})
    age_out(world, 3)

    with pytest.raises(JobError, match=f"half written, and {trace}"):
        run(world, loss=True, changes={"sinks": sinks})

    assert entries(world) == []


@pytest.mark.parametrize(
    ("sink", "store"), [("postgres", "PostgreSQL"), ("files", "files")], ids=["postgres", "files"]
)
def test_loss_is_refused_if_a_store_has_the_batch_though_that_is_not_confirmed(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch, sink: str, store: str
) -> None:
    world = make_world(TICKETS)
    world.send(*tickets(*"ABCD"), partition=0)
    with monkeypatch.context() as patched:
        patched.setattr(Confirmations, "add", crash)
        with pytest.raises(JobError, match="on purpose"):
            run(world, changes={"sinks": (sink,)})
    age_out(world, 3)

    with pytest.raises(JobError, match=f"half written, and {store} keeps what it has of that"):
        run(world, loss=True, changes={"sinks": (sink,)})

    assert entries(world) == []


def test_confirmed_batch_that_aged_out_before_the_commit_lost_nothing(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = make_world(TICKETS)
    world.send(*tickets(*"ABCD"), partition=0)
    confirm = Ledger.confirm

    def confirm_and_crash(ledger: Ledger, entry: Entry) -> None:
        confirm(ledger, entry)
        crash()

    with monkeypatch.context() as patched:
        patched.setattr(Ledger, "confirm", confirm_and_crash)
        with pytest.raises(JobError, match="on purpose"):
            run(world)
    age_out(world, 3)

    with pytest.raises(JobError, match="so its messages are in all sinks"):
        run(world)
    world.send(ticket("E"), partition=0)
    run(world, loss=True)

    assert world.totals() == Counts(read=5, stored=5)
    assert counted(world) == 5
    assert all(entry.accepted_loss == {} for entry in entries(world))


def test_new_partitions_are_read_from_their_beginning_once_accepted(make_world: MakeWorld) -> None:
    world = make_world(TICKETS)
    world.send(*tickets("A", "B"), partition=0)
    run(world)
    admin = kafka_admin(world.settings)
    before = len(entries(world)[-1].offsets)
    admin.create_partitions([NewPartitions(world.topic, before + 1)])[world.topic].result(30)
    world.send(*tickets("C", "D"), partition=before)

    with pytest.raises(JobError) as refused:
        run(world)
    text = str(refused.value)
    assert f"has {before + 1} partitions, the checkpoint knows {before}" in text
    assert "The new ones hold 2 messages" in text
    run(world, partitions=True)

    assert world.totals() == Counts(read=4, stored=4)
    assert entries(world)[-1].offsets[before] == (0, 2)
    world.send(ticket("E"), partition=before)
    run(world)
    assert world.totals() == Counts(read=5, stored=5)


def test_start_behind_all_messages_can_be_repeated_before_any_comes(make_world: MakeWorld) -> None:
    world = make_world(TICKETS)
    world.send(*tickets("A", "B"), partition=0)
    latest = RunOptions(available_now=True, starting_offsets="latest")

    for _ in range(2):
        world.process(latest)
    world.send(*tickets("C"), partition=0)
    run(world)

    assert world.totals() == Counts(read=1, stored=1)
    assert [row["ticket_id"] for row in world.rows("tickets")] == ["C"]
