"""Aggregates rebuilt from the stored records, as readers and the next job find them."""

from __future__ import annotations

import threading
from collections import Counter
from typing import Any

import pytest

from errors import JobError
from operations.repair.rebuild import Rebuilt, rebuild
from spark_jobs.profiles import PROFILES
from spark_jobs.sinks.mongodb import connect_mongodb
from spark_jobs.state.ledger import Counts, Ledger
from spark_jobs.tickets import TICKETS
from tests.integration.test_profiles_pipeline import profile
from tests.integration.test_tickets_pipeline import SENT_MS, ticket
from tests.support.pipelines import MakeWorld
from tests.support.world import World

# A sketch has other bytes when the same clients come in another order; a rebuild marks all
# documents with one batch.
APART = ("updated_at", "applied", "clients_sketch")


def rebuilt(world: World) -> Rebuilt:
    return rebuild(world.pipeline, world.settings, world.spark, world.database)


def aggregates(world: World) -> dict[str, dict[str, dict[str, Any]]]:
    return {
        name: {
            key: {field: value for field, value in document.items() if field not in APART}
            for key, document in world.documents(name).items()
        }
        for name in world.pipeline.collections
    }


def test_damaged_missing_and_foreign_documents_are_corrected(make_world: MakeWorld) -> None:
    world = make_world(TICKETS)
    world.send(ticket("A"), ticket("B", client_id="CLIENT_8"), timestamp_ms=SENT_MS)
    world.process()
    world.send(
        ticket("C", created_at="2026-11-23T01:00:00Z", request_type="account", priority="critical"),
        ticket("A", request="again"),
        (None, b"no ticket"),
        timestamp_ms=SENT_MS + 1,
    )
    world.process()
    before = aggregates(world)
    world.database["tickets_by_team"].update_one(
        {"_id": "2026-11-22|Billing"}, {"$inc": {"count": 2}}
    )
    world.database["tickets_by_type"].delete_many({})
    world.database["tickets_by_priority"].insert_one({"_id": "2026-11-01|low", "count": 9})
    world.database["ticket_metrics"].update_many({}, {"$unset": {"clients_sketch": ""}})
    world.database["ticket_metrics__rebuild"].insert_one({"_id": "left by a former run"})

    done = rebuilt(world)

    assert aggregates(world) == before
    assert {key: d["count"] for key, d in world.documents("tickets_by_team").items()} == {
        "2026-11-22|Billing": 2,
        "2026-11-23|Account Management": 1,
    }
    metrics = world.documents("ticket_metrics")
    assert [metrics[day]["unique_clients"] for day in sorted(metrics)] == [2, 1]
    last = Ledger(world.database, "tickets").last()
    assert last is not None
    marks = [d["applied"] for name in before for d in world.documents(name).values()]
    assert marks == [{last.query_id: last.batch_id}] * 8
    assert (done.records, done.expected, done.whole) == (3, 3, True)
    names = world.database.list_collection_names()
    assert [name for name in names if name.endswith("__rebuild")] == []

    world.send(ticket("D", client_id="CLIENT_8"), timestamp_ms=SENT_MS + 2)
    world.process()
    metrics = world.documents("ticket_metrics")
    assert (metrics["2026-11-22"]["total_tickets"], metrics["2026-11-22"]["unique_clients"]) == (
        3,
        2,
    )


def test_profiles_have_bands_averages_and_unknowns_again(make_world: MakeWorld) -> None:
    world = make_world(PROFILES)
    world.send(
        profile(),
        profile("7a0eed16-9430-4d68-901f-c0d4c1c3bf01", nat=None, gender="male"),
        profile("7a0eed16-9430-4d68-901f-c0d4c1c3bf02", dob={"date": "2010-01-01T00:00:00Z"}),
        timestamp_ms=SENT_MS,
    )
    world.process()
    before = aggregates(world)
    for name in world.pipeline.collections:
        world.database[name].drop()

    rebuilt(world)

    assert aggregates(world) == before
    bands = {key: d["count"] for key, d in world.documents("profiles_by_age_band").items()}
    assert bands == {"25-34": 2, "14-17": 1}
    assert world.documents("profiles_by_nationality")["unknown"]["count"] == 1
    everyone = world.documents("profile_metrics")["all"]
    # 34, 34 and 16 years.
    assert (everyone["total_profiles"], everyone["average_age"]) == (3, 28.0)


def test_a_batch_half_applied_before_is_applied_once_by_the_next_start(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = make_world(TICKETS)
    world.send(ticket("A"), timestamp_ms=SENT_MS)
    world.process()
    world.send(
        ticket("B"), ticket("C", request_type="general", priority="low"), timestamp_ms=SENT_MS
    )

    def die(*_: Any, **__: Any) -> None:
        raise JobError("crash on purpose")

    with monkeypatch.context() as patched:
        patched.setattr(Ledger, "confirm", die)
        with pytest.raises(JobError, match="on purpose"):
            world.process()
    assert len(world.rows("tickets")) == 3
    world.database["tickets_by_team"].delete_many({})

    done = rebuilt(world)

    assert done.records == 1
    team = world.documents("tickets_by_team")
    assert {key: d["count"] for key, d in team.items()} == {"2026-11-22|Billing": 1}
    world.process()
    expected = {"2026-11-22|Billing": 2, "2026-11-22|Customer Service": 1}
    team = world.documents("tickets_by_team")
    assert {key: d["count"] for key, d in team.items()} == expected
    assert world.documents("ticket_metrics")["2026-11-22"]["total_tickets"] == 3
    assert world.totals() == Counts(read=3, stored=3)


def test_rebuild_that_dies_anywhere_can_be_run_again(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pymongo.collection import Collection

    world = make_world(TICKETS)
    world.send(ticket("A"), ticket("B"), timestamp_ms=SENT_MS)
    world.process()
    before = aggregates(world)
    for name in world.pipeline.collections:
        world.database[name].update_many({}, {"$inc": {"count": 5}, "$set": {"total_tickets": 7}})
    rename = Collection.rename
    calls: Counter[str] = Counter()

    def rename_twice(self: Any, *arguments: Any, **options: Any) -> Any:
        calls["rename"] += 1
        if calls["rename"] > 2:
            raise JobError("crash on purpose")
        return rename(self, *arguments, **options)

    with monkeypatch.context() as patched:
        patched.setattr(Collection, "rename", rename_twice)
        with pytest.raises(JobError, match="on purpose"):
            rebuilt(world)
    assert world.documents("ticket_metrics")["2026-11-22"]["total_tickets"] == 7

    rebuilt(world)

    assert aggregates(world) == before


def test_readers_see_the_old_numbers_or_the_new_ones_and_nothing_else(
    make_world: MakeWorld,
) -> None:
    world = make_world(TICKETS)
    world.send(
        *(ticket(f"T{n}", created_at=f"2026-11-{n + 1:02}T10:00:00Z") for n in range(20)),
        timestamp_ms=SENT_MS + 30 * 86_400_000,
    )
    world.process()
    world.database["tickets_by_team"].update_many({}, {"$inc": {"count": 1}})
    seen: Counter[int] = Counter()
    ended = threading.Event()

    def read() -> None:
        with connect_mongodb(world.settings) as client:
            collection = client[world.settings.mongo_database]["tickets_by_team"]
            while not ended.is_set():
                seen[sum(document["count"] for document in collection.find())] += 1

    reader = threading.Thread(target=read)
    reader.start()
    try:
        for _ in range(3):
            rebuilt(world)
    finally:
        ended.set()
        reader.join()

    assert set(seen) == {40, 20}
    assert min(seen.values()) > 3


def test_missing_rows_are_reported_and_nothing_happens_without_a_ledger(
    make_world: MakeWorld,
) -> None:
    world = make_world(TICKETS)
    assert rebuilt(world) == Rebuilt("tickets", world.topic, None)
    world.send(ticket("A"), ticket("B"), timestamp_ms=SENT_MS)
    world.process()
    world.session.execute(f"DELETE FROM {world.keyspace}.tickets WHERE ticket_id = 'A'")

    done = rebuilt(world)

    assert (done.records, done.expected, done.whole) == (1, 2, False)
    assert world.documents("tickets_by_team")["2026-11-22|Billing"]["count"] == 1


def test_rebuild_without_records_in_cassandra_is_refused(make_world: MakeWorld) -> None:
    world = make_world(TICKETS)
    settings = world.settings.model_copy(update={"sinks": ("mongodb",)})

    with pytest.raises(JobError, match="SINKS is `mongodb`"):
        rebuild(world.pipeline, settings, world.spark, world.database)


def test_aggregates_turned_on_later_are_rebuilt_before_the_job_goes_on(
    make_world: MakeWorld,
) -> None:
    world = make_world(TICKETS)
    world.send(ticket("A"), ticket("B"), timestamp_ms=SENT_MS)
    world.process(sinks=("cassandra",))
    lost = f"DELETE FROM {world.keyspace}.tickets WHERE ticket_id = 'A'"
    row = next(row for row in world.rows("tickets") if row["ticket_id"] == "A")
    world.session.execute(lost)

    # Part of the records is not enough.
    assert not rebuilt(world).whole
    with pytest.raises(JobError, match="mongodb would lack the 2 stored records"):
        world.process()
    names = ", ".join(row)
    world.session.execute(
        f"INSERT INTO {world.keyspace}.tickets ({names}) VALUES ({', '.join(['%s'] * len(row))})",
        [*row.values()],
    )
    assert rebuilt(world).whole

    world.send(ticket("C"), timestamp_ms=SENT_MS)
    world.process()
    assert world.documents("ticket_metrics")["2026-11-22"]["total_tickets"] == 3
    assert [entry["sinks"] for entry in world.documents("batches").values()] == [
        ["cassandra", "mongodb"]
    ] * 2
