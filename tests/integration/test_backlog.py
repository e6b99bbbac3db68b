"""A backlog is processed in batches of bounded size, with bounded memory for remembered ids."""

from __future__ import annotations

from spark_jobs.state.ledger import Ledger
from spark_jobs.tickets import TICKETS
from tests.integration.test_tickets_pipeline import ticket
from tests.support.pipelines import MakeWorld

ROCKSDB = "spark.sql.streaming.stateStore.rocksdb"


def test_job_bounds_its_batches_and_its_state(make_world: MakeWorld) -> None:
    world = make_world(TICKETS)
    world.send(*(ticket(f"T-{number}") for number in range(7)), partition=0)

    world.process(max_records_per_batch=3)

    entries = Ledger(world.database, world.pipeline.name).entries()
    assert [entry.counts.read for entry in entries] == [3, 3, 1]
    assert world.spark.conf.get(f"{ROCKSDB}.boundedMemoryUsage") == "true"
    assert world.spark.conf.get(f"{ROCKSDB}.maxMemoryUsageMB") == "300"
