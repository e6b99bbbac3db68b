"""A range of a topic applied again to a sink that lost it; by the real job, stores and broker."""

from __future__ import annotations

from typing import Any

import pytest
from confluent_kafka import TopicPartition

from errors import JobError
from operations.repair.apply import Replayed, apply_replay
from operations.repair.range import understood
from operations.repair.replay import planned
from spark_jobs.profiles import PROFILES
from spark_jobs.sources.broker import kafka_admin
from spark_jobs.state.ledger import Counts, Ledger
from spark_jobs.tickets import TICKETS
from tests.integration.test_profiles_pipeline import profile
from tests.integration.test_tickets_pipeline import SENT_MS, ticket
from tests.support.pipelines import MakeWorld
from tests.support.world import World

Documents = dict[str, list[dict[str, Any]]]
UUID = "7a0eed16-9430-4d68-901f-c0d4c1c3bf0{}"


def replayed(
    world: World, sink: str, start: str = "earliest", end: str = "latest", **changes: Any
) -> Replayed:
    settings = world.settings.model_copy(update=changes)
    request = understood(settings, world.topic, start, end, sink, (world.pipeline,))
    plan = planned(settings, world.database, request)
    if not plan.replayed:
        return Replayed()
    return apply_replay(plan, settings, world.spark, world.database, print)


def stored_rows(world: World) -> dict[str, list[dict[str, Any]]]:
    return {table.name: sorted(world.rows(table.name), key=str) for table in world.pipeline.tables}


def everything(world: World) -> Documents:
    names = [*world.pipeline.collections, "batches", "dead_letters"]
    return {name: list(world.database[name].find().sort("_id", 1)) for name in names}


TIMES = {"updated_at", "clock", "seconds", "sink_seconds", "clients_sketch"}


def timeless(documents: Documents) -> Documents:
    """Without times, and without sketches, whose bytes depend on the order of the clients."""
    return {
        name: [{k: v for k, v in d.items() if k not in TIMES} for d in found]
        for name, found in documents.items()
    }


def restore(world: World, backup: Documents) -> None:
    for name, documents in backup.items():
        world.database[name].delete_many({})
        if documents:
            world.database[name].insert_many(documents)


def delete_rows(world: World, *ticket_ids: str) -> None:
    keys = {row["ticket_id"]: row for row in world.rows("tickets_by_team")}
    for ticket_id in ticket_ids:
        row = keys[ticket_id]
        world.session.execute(
            f"DELETE FROM {world.keyspace}.tickets WHERE ticket_id = %s", [ticket_id]
        )
        world.session.execute(
            f"DELETE FROM {world.keyspace}.tickets_by_team WHERE assigned_team = %s"
            " AND created_hour = %s AND created_at = %s AND ticket_id = %s",
            [row["assigned_team"], row["created_hour"], row["created_at"], ticket_id],
        )


def three_batches(world: World) -> None:
    """Five tickets in three batches; each id but E comes more than once, never alike."""
    world.send(ticket("A", request="not first"), partition=0, timestamp_ms=SENT_MS + 9)
    world.send(ticket("A", request="first"), partition=1, timestamp_ms=SENT_MS + 5)
    world.send(ticket("B", client_id="CLIENT_8"), partition=2, timestamp_ms=SENT_MS)
    world.process()
    # Older by Kafka's clock than those stored before, and so are some within the batch.
    world.send(ticket("B", request="late"), ticket("C", request="not first"),
               partition=0, timestamp_ms=SENT_MS - 50)  # fmt: skip
    world.send(ticket("C", request="first", request_type="account"),
               ticket("C", priority="low"), partition=1, timestamp_ms=SENT_MS - 60)  # fmt: skip
    world.send((None, b"no ticket"), ticket("A", request="late"), partition=2)
    world.process()
    world.send(ticket("D", created_at="2026-11-21T01:02:03Z"), ticket("C", request="late"),
               partition=0, timestamp_ms=SENT_MS)  # fmt: skip
    world.send(ticket("E"), ticket("D", request="not first"), partition=2,
               timestamp_ms=SENT_MS + 70)  # fmt: skip
    world.process()


def test_rows_of_a_range_come_back_as_they_were(make_world: MakeWorld) -> None:
    world = make_world(TICKETS)
    three_batches(world)
    before, documents = stored_rows(world), everything(world)
    delete_rows(world, "A", "C", "D", "E")
    kept_out = [row for row in before["tickets"] if row["ticket_id"] in {"B", "C"}]

    # Both messages of C in partition 1, neither its later nor its earlier-numbered ones.
    done = replayed(world, "cassandra", "1:1", "1:3")

    assert (done.messages, done.written) == (2, {"rows in each table": 1})
    assert stored_rows(world)["tickets"] == kept_out
    done = replayed(world, "cassandra")
    assert stored_rows(world) == before
    assert {row["ticket_id"]: row["request"] for row in world.rows("tickets")} == {
        "A": "first",
        "B": "The invoice is wrong",
        "C": "first",
        "D": "The invoice is wrong",
        "E": "The invoice is wrong",
    }
    # 3 + 6 + 4 messages.
    assert (done.batches, done.messages, done.written["rows in each table"]) == (3, 13, 5)
    assert everything(world) == documents


def test_replay_over_intact_sinks_changes_nothing(make_world: MakeWorld) -> None:
    world = make_world(TICKETS)
    three_batches(world)
    rows, documents, letters = stored_rows(world), everything(world), world.dead_letters()

    replayed(world, "cassandra")
    done = replayed(world, "mongodb", "0:2", "0:3")

    # The offset is in the second batch, which is replayed as a whole.
    assert (done.batches, done.messages) == (1, 6)
    replayed(world, "mongodb")
    assert stored_rows(world) == rows
    assert everything(world) == documents
    assert world.dead_letters() == letters


def test_mongodb_set_back_with_its_ledger_is_brought_up_to_date(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = make_world(TICKETS)
    world.send(ticket("Z", client_id="CLIENT_9"), timestamp_ms=SENT_MS)
    world.process()
    backup = everything(world)
    three_batches(world)
    after = everything(world)
    rows = stored_rows(world)
    world.send(ticket("F"), ticket("A", request="later still"), timestamp_ms=SENT_MS)

    def die(*_: Any, **__: Any) -> None:
        raise JobError("crash on purpose")

    with monkeypatch.context() as patched:
        patched.setattr(Ledger, "confirm", die)
        with pytest.raises(JobError, match="on purpose"):
            world.process()
    restore(world, backup)
    with pytest.raises(JobError, match="restored from an older backup"):
        world.process()
    with pytest.raises(JobError, match="the ledger lacks 3 committed batches, up to 3"):
        replayed(world, "cassandra")

    # Whatever the range: the ledger must have no hole.
    done = replayed(world, "mongodb", "latest")

    assert (done.batches, done.written["batches added to the ledger"]) == (3, 3)
    assert timeless(everything(world)) == timeless(after)
    assert world.totals() == Counts(
        read=14, stored=6, dead_lettered=1, duplicates=7, reasons={"unparseable": 1}
    )
    again = everything(world)
    replayed(world, "mongodb")
    assert everything(world) == again
    world.process()
    assert world.totals() == Counts(
        read=16, stored=7, dead_lettered=1, duplicates=8, reasons={"unparseable": 1}
    )
    metrics = world.documents("ticket_metrics")
    assert {day: d["total_tickets"] for day, d in metrics.items()} == {
        "2026-11-21": 1,
        "2026-11-22": 6,
    }
    assert len(stored_rows(world)["tickets"]) == len(rows["tickets"]) + 1


def test_lost_database_of_profiles_is_rebuilt_though_the_first_try_dies(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = make_world(PROFILES)
    child = {"date": "2016-01-01T00:00:00Z"}
    world.send(profile(UUID.format(1)), profile(UUID.format(2), dob=child), timestamp_ms=SENT_MS)
    world.process()
    world.send(
        profile(UUID.format(1), gender="male"),
        profile(UUID.format(3), gender=None, dob={"date": "1992-11-23T00:00:00Z"}),
        (None, b"{}"),
        timestamp_ms=SENT_MS,
    )
    world.process()
    before = everything(world)
    world.database.client.drop_database(world.database.name)
    confirm = Ledger.confirm

    def confirm_the_first(self: Ledger, entry: Any) -> None:
        if entry.batch_id == 1:
            raise JobError("crash on purpose")
        confirm(self, entry)

    with monkeypatch.context() as patched:
        patched.setattr(Ledger, "confirm", confirm_the_first)
        with pytest.raises(JobError, match="on purpose"):
            replayed(world, "mongodb")

    replayed(world, "mongodb")

    found = everything(world)
    # Topic and code of then are in the lost entries alone.
    for entry in [*found["batches"], *before["batches"]]:
        entry.pop("topic_id", None)
        entry.pop("plan", None)
    assert timeless(found) == timeless(before)
    totals = world.totals()
    assert (totals.read, totals.stored, totals.filtered, totals.duplicates) == (5, 2, 1, 1)
    # 34 years, and 33 on the day before the birthday.
    everyone = world.documents("profile_metrics")["all"]
    assert (everyone["total_profiles"], everyone["average_age"]) == (2, 33.5)
    assert world.documents("profiles_by_gender")["unknown"]["count"] == 1


def test_documents_that_lack_batches_before_the_range_are_refused(make_world: MakeWorld) -> None:
    world = make_world(TICKETS)
    three_batches(world)
    before = everything(world)
    world.database["tickets_by_type"].delete_one({"_id": "2026-11-22|billing"})

    with pytest.raises(JobError, match=r"tickets_by_type `2026-11-22\|billing`"):
        replayed(world, "mongodb", "0:3")

    assert world.documents("tickets_by_type").keys() == {"2026-11-22|account", "2026-11-21|billing"}
    replayed(world, "mongodb")
    assert timeless(everything(world)) == timeless(before)


def test_messages_gone_from_the_broker_are_counted_or_left_out(make_world: MakeWorld) -> None:
    world = make_world(TICKETS)
    world.send(ticket("A"), ticket("B"), partition=0, timestamp_ms=SENT_MS)
    world.process()
    world.send(ticket("C"), ticket("D"), partition=0, timestamp_ms=SENT_MS + 1000)
    world.process()
    world.send(ticket("A", request="late"), ticket("E"), partition=0, timestamp_ms=SENT_MS + 2000)
    world.process()
    before, documents = stored_rows(world), everything(world)
    admin = kafka_admin(world.settings)
    gone = admin.delete_records([TopicPartition(world.topic, 0, 1)])
    assert [future.result(30).low_watermark for future in gone.values()] == [1]

    with pytest.raises(JobError, match="1 messages of this range are no longer on the broker"):
        replayed(world, "cassandra", "0")
    with pytest.raises(JobError, match="1 messages of this range are no longer on the broker"):
        replayed(world, "mongodb", "0:1")

    # Nothing shows any more that the late A was not the first.
    with pytest.raises(
        JobError, match="batch 2: stored, dead-lettered, filtered are 2, 0, 0 now, 1, 0"
    ):
        replayed(world, "cassandra")
    delete_rows(world, "C")
    done = replayed(world, "cassandra", "2026-11-22T10:15:01Z", "2026-11-22T11:15:02+01:00")
    assert (done.messages, done.written) == (2, {"rows in each table": 2})
    assert stored_rows(world) == before
    done = replayed(world, "mongodb", "earliest", "4")
    assert (done.batches, done.messages) == (1, 2)
    assert everything(world) == documents


def test_mongodb_that_is_turned_on_later_gets_every_batch_before_the_job_goes_on(
    make_world: MakeWorld,
) -> None:
    world = make_world(TICKETS)
    world.send(ticket("A"), ticket("B"), partition=0, timestamp_ms=SENT_MS)
    world.process(sinks=("cassandra",))
    backup = everything(world)
    world.send(ticket("A", request="late"), ticket("C"), partition=0, timestamp_ms=SENT_MS)
    world.process(sinks=("cassandra",))
    # The ledger lost its last batch as well.
    restore(world, backup)

    with pytest.raises(JobError, match="mongodb would lack the 2 stored records"):
        world.process()
    with pytest.raises(JobError, match=r"mongodb has nothing of tickets yet.*rebuild aggregates"):
        replayed(world, "mongodb", "2")
    # Without MongoDB in SINKS only the ledger is completed.
    with pytest.raises(JobError, match="went to `cassandra`"):
        replayed(world, "mongodb", sinks=("cassandra", "files"))

    assert replayed(world, "mongodb").batches == 2

    assert {*map(tuple, (e["sinks"] for e in world.documents("batches").values()))} == {
        ("cassandra", "mongodb")
    }
    world.send(ticket("D"), ticket("C", request="late"), timestamp_ms=SENT_MS)
    world.process()
    assert world.documents("ticket_metrics")["2026-11-22"]["total_tickets"] == 4
    assert world.totals() == Counts(read=6, stored=4, duplicates=2)


def test_ledger_of_a_job_without_aggregates_is_completed_without_naming_mongodb(
    make_world: MakeWorld,
) -> None:
    world = make_world(TICKETS)
    world.send(ticket("A"))
    world.process(sinks=("cassandra",))
    before = everything(world)
    world.database["batches"].delete_many({})

    replayed(world, "mongodb", sinks=("cassandra",))

    (entry,) = world.documents("batches").values()
    assert (entry["sinks"], entry["stored"]) == (["cassandra"], 1)
    assert timeless(everything(world))["ticket_metrics"] == before["ticket_metrics"] == []


def test_new_sink_is_refused_a_part_of_its_only_batch(make_world: MakeWorld) -> None:
    world = make_world(TICKETS)
    world.send(ticket("A"), ticket("B"), partition=0)
    world.process(sinks=("mongodb",))

    with pytest.raises(JobError, match="cassandra has nothing of tickets yet"):
        replayed(world, "cassandra", "1")

    assert replayed(world, "cassandra").written == {"rows in each table": 2}


def test_batches_that_the_ledger_lacks_are_not_counted_without_the_messages_before_them(
    make_world: MakeWorld,
) -> None:
    world = make_world(TICKETS)
    world.send(ticket("A"), ticket("B"), partition=0, timestamp_ms=SENT_MS)
    world.process()
    backup = everything(world)
    world.send(ticket("A", request="late"), ticket("C"), partition=0, timestamp_ms=SENT_MS)
    world.process()
    restore(world, backup)
    admin = kafka_admin(world.settings)
    gone = admin.delete_records([TopicPartition(world.topic, 0, 1)])
    assert [future.result(30).low_watermark for future in gone.values()] == [1]

    # The late A would be stored a second time.
    with pytest.raises(JobError, match=r"lacks 1 committed batches, up to 1, and messages of"):
        replayed(world, "mongodb")

    assert everything(world) == backup
