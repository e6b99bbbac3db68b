"""The ledger comes last: what it names is in every sink already."""

from __future__ import annotations

from typing import Any

import pytest

from errors import JobError
from spark_jobs.sinks.cassandra import CassandraSink
from spark_jobs.sinks.cassandra_log import NodeLog
from spark_jobs.sinks.mongodb import MongoAggregates
from spark_jobs.state.ledger import Counts
from spark_jobs.tickets import TICKETS
from tests.integration.test_tickets_pipeline import ticket
from tests.support.pipelines import MakeWorld


@pytest.mark.quick
def test_batch_whose_last_sink_failed_is_not_in_the_ledger(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = make_world(TICKETS)
    world.send(ticket("A"), (b"k", b"no ticket"))

    def crash(*_: Any, **__: Any) -> None:
        raise JobError("crash on purpose")

    monkeypatch.setattr(MongoAggregates, "apply", crash)

    with pytest.raises(JobError, match="crash on purpose"):
        world.process()

    # All that comes before the aggregates is done.
    assert [row["ticket_id"] for row in world.rows("tickets")] == ["A"]
    assert len(world.dead_letters()) == 1
    assert len(world.documents("dead_letters")) == 1
    assert world.documents("batches") == {}
    assert world.totals() == Counts()


def test_failing_sink_keeps_no_other_back_and_only_it_gets_the_batch_again(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = make_world(TICKETS)
    world.send(ticket("A"), (b"k", b"no ticket"))
    applied: list[int] = []
    apply = MongoAggregates.apply

    def note(sink: MongoAggregates, changes: Any, batch_id: int) -> None:
        applied.append(batch_id)
        apply(sink, changes, batch_id)

    def crash(*_: Any, **__: Any) -> None:
        raise JobError("crash on purpose")

    monkeypatch.setattr(MongoAggregates, "apply", note)
    with monkeypatch.context() as patched:
        patched.setattr(CassandraSink, "write_batch", crash)
        with pytest.raises(JobError, match="crash on purpose"):
            world.process()
    assert world.rows("tickets") == []
    assert world.documents("batches") == {}
    assert len(world.dead_letters()) == 1

    world.process()

    assert [row["ticket_id"] for row in world.rows("tickets")] == ["A"]
    assert applied == [0], "MongoDB had confirmed it"
    assert len(world.dead_letters()) == 1, "its topic had confirmed it"
    assert world.totals() == Counts(read=2, stored=1, dead_lettered=1, reasons={"unparseable": 1})


def test_batch_during_which_cassandra_was_started_again_is_written_again(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = make_world(TICKETS)
    world.send(ticket("A"))
    seen = iter(["before", "after", "after", "after"])
    asked: list[str] = []

    def started(log: NodeLog) -> dict[str, str]:
        asked.append(next(seen))
        return {"local": asked[-1]}

    monkeypatch.setattr(NodeLog, "started", started)

    world.process()

    assert asked == ["before", "after", "after", "after"]
    assert [row["ticket_id"] for row in world.rows("tickets")] == ["A"]
    assert world.totals() == Counts(read=1, stored=1)
