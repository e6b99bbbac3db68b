"""A batch that dies at each named moment, and comes again: exact every time."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from errors import JobError
from operations.pipelines import read_topic
from operations.verify.accounts import take_accounts
from runtime.config.sink_modules import SINK_MODULES
from spark_jobs.customers import CUSTOMERS
from spark_jobs.state import fault_points as faults
from spark_jobs.state.ledger import Counts
from spark_jobs.tickets import TICKETS
from tests.integration.test_tickets_pipeline import ticket
from tests.support.builders import customer, payload
from tests.support.pipelines import MakeWorld
from tests.support.world import World


def die_at(monkeypatch: pytest.MonkeyPatch, point: str) -> None:
    """Let the batch fail at a point; `kill -9` at the same points is for the crash tests."""

    def fail(name: str) -> None:
        raise JobError(f"died at {name}")

    monkeypatch.setenv(faults.VARIABLE, point)
    monkeypatch.setattr(faults, "die", fail)
    monkeypatch.setattr(faults, "_reached", Counter())


def crash(world: World, monkeypatch: pytest.MonkeyPatch, point: str, **changes: Any) -> None:
    with monkeypatch.context() as patched:
        die_at(patched, point)
        with pytest.raises(JobError, match=f"died at {point}"):
            world.process(**changes)


@pytest.mark.parametrize("point", [p for p in faults.FAULT_POINTS if "topics" not in p])
def test_batch_that_dies_at_any_point_is_applied_once(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch, point: str
) -> None:
    world = make_world(TICKETS)
    world.send(ticket("A"), ticket("B", client_id="C9"), ticket("A"), (b"k", b"{"), (None, b"x"))

    sinks = tuple(SINK_MODULES)
    crash(world, monkeypatch, point, sinks=sinks)
    world.process(sinks=sinks)

    assert world.totals() == Counts(
        read=5, stored=2, dead_lettered=2, duplicates=1, reasons={"unparseable": 2}
    )
    assert sorted(row["ticket_id"] for row in world.rows("tickets")) == ["A", "B"]
    assert sorted(row["ticket_id"] for row in world.rows("tickets_by_team")) == ["A", "B"]
    assert world.sql("SELECT ticket_id FROM tickets ORDER BY 1") == [("A",), ("B",)]
    for collection in ("tickets_by_team", "tickets_by_type", "tickets_by_priority"):
        assert [d["count"] for d in world.documents(collection).values()] == [2]
    (metrics,) = world.documents("ticket_metrics").values()
    assert (metrics["total_tickets"], metrics["unique_clients"]) == (2, 2)
    coordinates = {
        (headers["source_partition"], headers["source_offset"])
        for _, _, headers in world.dead_letters()
    }
    assert len(coordinates) == 2
    assert len(world.documents("dead_letters")) == 2


@pytest.mark.parametrize("point", ["before-topics", "between-topics-and-confirmation"])
def test_batch_of_customers_that_dies_at_any_point_is_applied_once(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch, point: str
) -> None:
    world = make_world(CUSTOMERS)
    valid, incomplete = customer(), customer(customer_id=..., email="x")
    for record in (valid, incomplete, valid):
        world.send((b"k", payload(record)), partition=0)

    sinks = ("files", "postgres")
    crash(world, monkeypatch, point, sinks=sinks)
    before = len(origins(world, world.settings.customers_usa_topic))
    assert before == (0 if point == "before-topics" else 1)
    world.process(sinks=sinks)

    # Sent once more where nothing said that they were there; never under other coordinates.
    assert origins(world, world.settings.customers_usa_topic) == ["0"] * (before + 1)
    assert origins(world, world.settings.customers_alerts_topic) == ["1"] * (before + 1)
    assert world.sql("SELECT kafka_offset FROM customers_usa") == [(0,)]
    assert world.sql("SELECT kafka_offset FROM customers_alerts") == [(1,)]
    assert world.totals() == Counts(read=3, stored=2, duplicates=1, alerts=1)
    (account,) = take_accounts(
        world.settings.model_copy(update={"sinks": sinks}), world.database, world.spark, [CUSTOMERS]
    )
    assert account.faults == []


def origins(world: World, topic: str) -> list[str]:
    """Offsets of the source messages that a topic of customers names, copies included."""
    headers = [dict(message.headers()) for message in read_topic(world.settings, topic)]
    return sorted(each["source_offset"].decode() for each in headers)


def test_repeated_batch_chooses_the_same_one_of_differing_tickets_with_one_id(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The tables are written one before, one after the crash: another choice would show."""
    world = make_world(TICKETS)
    for number in range(40):
        for partition in range(3):
            # The earliest is in partition 2, 1 or 0 in turn; each has an hour of its own.
            moment = 1_795_342_500_000 + (partition + number) % 3
            world.send(
                ticket(
                    f"T{number}",
                    request=f"from {partition}",
                    created_at=f"2026-11-22T0{partition}:30:00Z",
                ),
                partition=partition,
                timestamp_ms=moment,
            )

    crash(world, monkeypatch, "between-tables")
    assert world.rows("tickets_by_team") == []
    world.process()

    expected = {f"T{n}": f"from {(3 - n % 3) % 3}" for n in range(40)}
    assert {row["ticket_id"]: row["request"] for row in world.rows("tickets")} == expected
    by_team = world.rows("tickets_by_team")
    assert len(by_team) == 40
    assert {row["ticket_id"]: row["request"] for row in by_team} == expected
    assert world.totals() == Counts(read=120, stored=40, duplicates=80)


def test_refusing_store_stops_the_job_and_costs_no_record(make_world: MakeWorld) -> None:
    world = make_world(TICKETS)
    world.send(ticket("A"))
    world.process()
    world.send(ticket("B"), (None, b"no ticket"))
    table = f"{world.keyspace}.tickets_by_team"
    world.session.execute(f"ALTER TABLE {table} DROP priority")

    with pytest.raises(Exception, match=r"(?s)Cassandra.*tickets_by_team"):
        world.process()

    assert [value for _, value, _ in world.dead_letters()] == [b"no ticket"]
    world.session.execute(f"ALTER TABLE {table} ADD priority text")
    world.process()
    assert world.totals() == Counts(read=3, stored=2, dead_lettered=1, reasons={"unparseable": 1})
    assert {row["ticket_id"] for row in world.rows("tickets_by_team")} == {"A", "B"}
