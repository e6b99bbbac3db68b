"""A clock that jumps a year ahead and back: refused before it does harm, exact afterwards."""

from __future__ import annotations

import dataclasses
from datetime import timedelta

import pytest

from errors import JobError
from operations.verify.accounts import take_accounts
from spark_jobs.state.clock import Moment
from spark_jobs.state.ledger import Counts
from spark_jobs.tickets import TICKETS
from tests.integration.test_tickets_pipeline import ticket
from tests.support.pipelines import MakeWorld
from tests.support.starts import run

YEAR = timedelta(days=365)


def set_python_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the job's Python live a year ago: to it, Spark's own clock stands a year ahead."""
    true_moment = Moment.now

    def a_year_ago() -> Moment:
        moment = true_moment()
        return dataclasses.replace(moment, wall=moment.wall - YEAR)

    monkeypatch.setattr(Moment, "now", a_year_ago)


def test_clock_that_jumps_a_year_ahead_and_back_costs_nothing(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = make_world(TICKETS)
    world.send(ticket("A"), ticket("B"), ticket("A"))
    world.process()
    world.send(ticket("C"), ticket("B"))

    with monkeypatch.context() as patched:
        set_python_back(patched)
        with pytest.raises(JobError, match=r"set 365 days ahead .* before anything was written"):
            world.process()
        assert world.totals() == Counts(read=3, stored=2, duplicates=1)
        assert len(world.rows("tickets")) == 2
        # The clock is right again: the batch that was planned under the wrong one is done.
        world.process()
    assert world.totals() == Counts(read=5, stored=3, duplicates=2)

    world.send(ticket("A"), ticket("D"))
    with pytest.raises(JobError, match=r"is 365 days ahead .* 3 stored records"):
        world.process()
    run(world, clock=True)

    assert world.totals() == Counts(read=7, stored=4, duplicates=3)
    (account,) = take_accounts(world.settings, world.database, world.spark, [world.pipeline])
    assert account.balanced, account.faults
