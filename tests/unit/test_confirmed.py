"""The rate of the batches that a ledger has, by its times and the viewer's clock."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from pymongo import MongoClient

from operations.overview.confirmed import ConfirmedBatches
from operations.overview.model import BatchView
from spark_jobs.state.ledger import Counts

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)


def test_rate_is_no_higher_if_the_clock_of_the_job_is_ahead() -> None:
    batches = ConfirmedBatches(MongoClient[Any](connect=False)["none"], "tickets", 60)
    ahead = NOW + timedelta(seconds=60)
    # 100 a second: a batch every ten seconds, the last one just now.
    batches.history.extend(
        BatchView("tickets", n, ahead - timedelta(seconds=10 * (5 - n)), Counts(read=1000), 10.0)
        for n in range(6)
    )

    # Four batches were confirmed in the half minute before the newest; the first took ten seconds.
    assert batches.rate(NOW) == 100.0
    assert batches.rate(ahead) == 100.0
    assert batches.rate(ahead + timedelta(seconds=31)) == 0.0
