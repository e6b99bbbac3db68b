"""Starts of a job on a world: with loss accepted or not, after the broker deleted messages."""

from __future__ import annotations

from typing import Any

from confluent_kafka import TopicPartition

from errors import JobError
from spark_jobs.run.job import RunOptions
from spark_jobs.sources.broker import kafka_admin
from spark_jobs.state.acceptance import Accepted
from spark_jobs.state.ledger import Entry, Ledger
from tests.integration.test_tickets_pipeline import ticket
from tests.support.world import Message, World


def tickets(*names: str) -> list[Message]:
    return [ticket(name) for name in names]


def run(world: World, *, changes: dict[str, Any] | None = None, **accepted: bool) -> None:
    options = RunOptions(available_now=True, accepted=Accepted(**accepted))
    world.process(options, **(changes or {}))


def age_out(world: World, before: int, partition: int = 0) -> None:
    """Let the broker delete a partition's messages below an offset."""
    place, admin = TopicPartition(world.topic, partition, before), kafka_admin(world.settings)
    admin.delete_records([place])[place].result(30)


def entries(world: World) -> list[Entry]:
    return Ledger(world.database, world.pipeline.name).entries()


def counted(world: World) -> int:
    return sum(d["count"] for d in world.documents("tickets_by_type").values())


def crash(*_: Any, **__: Any) -> None:
    raise JobError("crash on purpose")
