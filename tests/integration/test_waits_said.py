"""A job that waits for a store says so while it waits, even if no call to the store has failed."""

from __future__ import annotations

import re
import threading
import time
from typing import Any

import pytest

from local_stack.cassandra import Cassandra
from settings import Settings
from spark_jobs.sinks.cassandra import CassandraSink
from spark_jobs.tickets import TICKETS
from tests.integration.test_tickets_pipeline import ticket
from tests.support.pipelines import MakeWorld


def test_job_names_a_frozen_store_while_it_waits_and_goes_on_by_itself(
    make_world: MakeWorld,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    world = make_world(TICKETS)
    world.send(*[ticket(f"T-{n}") for n in range(20)])
    cassandra = Cassandra(settings).process()
    assert cassandra is not None
    write, frozen_at = CassandraSink.write_batch, list[float]()
    said_after: list[float] = []

    def freeze_and_write(self: CassandraSink, *batch: Any) -> None:
        if not frozen_at:
            frozen_at.append(time.monotonic())
            cassandra.suspend()
            threading.Thread(target=thaw_when_said).start()
        write(self, *batch)
        # The job could end before it has noticed.
        while "answers again" not in caplog.text and time.monotonic() < frozen_at[0] + 60:
            time.sleep(0.1)

    def thaw_when_said() -> None:
        while "waiting for Cassandra" not in caplog.text and time.monotonic() < frozen_at[0] + 40:
            time.sleep(0.1)
        said_after.append(time.monotonic() - frozen_at[0])
        cassandra.resume()

    monkeypatch.setattr(CassandraSink, "write_batch", freeze_and_write)
    try:
        world.process()
    finally:
        cassandra.resume()

    # Ten seconds are promised; the machine may be busy.
    assert said_after[0] < 30
    assert re.search(
        r"waiting for Cassandra since \S+, until \S+ \(STORE_RETRY_SECONDS=\d+\): no answer",
        caplog.text,
    )
    assert re.search(r"Cassandra answers again after \d+ s: the job goes on", caplog.text)
    assert caplog.text.count("waiting for MongoDB") == 0
    assert len(world.rows("tickets")) == len(world.rows("tickets_by_team")) == 20
