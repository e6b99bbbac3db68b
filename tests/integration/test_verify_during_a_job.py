"""`make verify` while a batch is in work, and after a job that died in the middle of one."""

from __future__ import annotations

from threading import Event, Thread
from typing import Any

import pytest

from errors import JobError
from operations.verify import snapshot
from spark_jobs.state.ledger import Counts, Ledger
from spark_jobs.tickets import TICKETS
from tests.integration.test_tickets_pipeline import ticket
from tests.integration.test_verify import account_of
from tests.support.pipelines import MakeWorld
from tests.support.world import World


@pytest.fixture
def world(make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch) -> World:
    """One confirmed batch, and the messages of another on the topic."""
    monkeypatch.setattr(snapshot, "SETTLE_SECONDS", 0.3)
    made = make_world(TICKETS)
    made.send(ticket("A", client_id="C1"), ticket("B", client_id="C2"), partition=0)
    made.process()
    made.send(
        ticket("C", client_id="C1"),
        ticket("D", request_type="technical"),
        (None, b"garbage"),
        partition=0,
    )
    return made


def test_batch_in_work_is_no_fault_and_waits(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    confirm, reached, may_go_on = Ledger.confirm, Event(), Event()

    def confirm_later(*arguments: Any) -> None:
        reached.set()
        assert may_go_on.wait(120)
        confirm(*arguments)

    monkeypatch.setattr(Ledger, "confirm", confirm_later)
    job = Thread(target=world.process)
    job.start()
    try:
        assert reached.wait(120)
        account = account_of(world)
    finally:
        may_go_on.set()
        job.join(120)

    # All stores have the second batch already: 4 rows, a dead letter, other counts.
    assert account.faults == []
    assert account.balanced
    assert account.is_running
    assert account.waiting == 3
    assert account.counts == Counts(read=2, stored=2)
    assert [(store.found, store.sum_found) for store in account.stores] == [
        (1, 0),  # dead letters on the topic
        (1, 0),  # and as summaries
        (4, 2),
        (4, 2),
        (2, 4),  # two teams
        (2, 4),
        (1, 4),
        (1, 4),
    ]
    later = account_of(world)
    assert later.balanced
    assert not later.is_running
    assert later.counts == Counts(5, 4, 1, reasons={"unparseable": 1})


def test_batch_that_died_before_the_ledger_is_judged_by_bounds(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: Any) -> None:
        raise JobError("crash on purpose")

    with monkeypatch.context() as patched:
        patched.setattr(Ledger, "confirm", die)
        with pytest.raises(JobError, match="on purpose"):
            world.process()
    left = account_of(world)
    teams = world.database["tickets_by_team"]
    teams.update_one({"_id": "2026-11-22|Billing"}, {"$inc": {"count": 1}})
    too_many = account_of(world)
    teams.update_one({"_id": "2026-11-22|Billing"}, {"$inc": {"count": -1}})
    world.process()

    assert left.faults == []
    assert left.waiting == 3
    assert not left.balanced  # no job is there to finish it
    tables = [f"Cassandra {world.keyspace}.{name}" for name in ("tickets", "tickets_by_team")]
    behind = "2 rows belong to messages after the last confirmed batch and were not checked"
    assert left.notes == [
        *(f"{table}: {behind}" for table in tables),
        "batch 1 is unfinished: 6 documents of MongoDB already include it and were checked within"
        " bounds; a job will finish it",
    ]
    assert too_many.faults == [
        f"MongoDB {world.keyspace}.tickets_by_team: `2026-11-22|Billing`: `count` is 4; with an"
        f" unfinished batch, the rows of {world.keyspace}.tickets give 2 to 3",
    ]
    assert account_of(world).balanced


def test_ledger_that_lacks_several_batches_is_named(world: World) -> None:
    world.process()
    world.send(ticket("E"), partition=0)
    world.process()

    world.database["batches"].delete_many({"batch_id": {"$gt": 0}})

    ahead, *others, remedy = account_of(world).faults
    assert ahead.startswith(
        "ledger: the checkpoint is ahead (committed batch 2), the ledger ends with batch 0 and"
        " lacks 4 offsets."
    )
    assert "millrace replay" in remedy
    assert others == [
        f"ledger: batch {batch_id} (partition 0, {offsets}) is missing; Spark's checkpoint has it"
        for batch_id, offsets in ((1, "offsets 2 to 4"), (2, "offset 5"))
    ]
