"""Nodes, brokers and a worker killed under load: nothing is lost, nothing doubled.

The tests are one story in the order of this file. Each kill is by `kill -9`; a node stays away for 40
seconds. The job goes on or says that it waits; a silence of both is a fault.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

import pytest

from local_stack.service import Service
from tests.cluster.cluster_stack import ClusterStack
from tests.cluster.memory import GIGABYTE, MemorySampler
from tests.cluster.nodes import killed, name_of
from tests.cluster.processes import Job, TicketProducer
from tests.cluster.watch import Watch, longest_silence
from tests.support.processes import wait_for
from tests.support.story import Note

pytestmark = pytest.mark.timeout(1200)

SEED, RATE = 7, 40
AWAY_SECONDS = 40
# A wait is said after 10 seconds and then every 15; the rest is for a busy machine.
SILENT_SECONDS = 25
MOST_BYTES = 16 * GIGABYTE


@pytest.fixture(scope="session")
def producer(stack: ClusterStack) -> TicketProducer:
    return stack.produce(RATE, SEED)


@pytest.fixture(scope="session")
def job(stack: ClusterStack, producer: TicketProducer) -> Job:
    started = stack.submit("tickets")
    wait_for(lambda: stack.read("tickets") > 0 or started.process.poll() is not None, 240, "batch")
    assert started.process.poll() is None, started.output()[-3000:]
    return started


def outage(
    stack: ClusterStack, job: Job, producer: TicketProducer, services: Sequence[Service]
) -> Watch:
    """Kill services for 40 seconds and wait until records arrive again."""
    watch = Watch(lambda: stack.read("tickets"), lambda: job.waits() + producer.waits())
    with watch:
        with killed(*services):
            time.sleep(AWAY_SECONDS)
        stack.wait_for_records("tickets")
    assert job.process.poll() is None, job.output()[-3000:]
    return watch


def test_nodes_brokers_and_workers_come_up(stack: ClusterStack, note: Note) -> None:
    nodes = stack.nodes
    note(", ".join(dict.fromkeys(service.version for service in nodes.all)))
    assert stack.spark.alive_workers() == 2


def test_job_on_two_workers_stores_what_a_producer_sends(
    stack: ClusterStack, job: Job, note: Note
) -> None:
    stack.wait_for_records("tickets", 200)
    assert len(stack.spark.executors()) == 2
    note(f"records arrive; {stack.verify('tickets')}")


@pytest.mark.parametrize("kind", ["cassandra", "brokers"])
@pytest.mark.parametrize("number", [1, 2, 3])
def test_node_is_away_for_a_while_and_nothing_is_lost_or_doubled(
    stack: ClusterStack, job: Job, producer: TicketProducer, note: Note, kind: str, number: int
) -> None:
    service = getattr(stack.nodes, kind)[number - 1]
    watch = outage(stack, job, producer, [service])
    note(f"{name_of(service)} killed for {AWAY_SECONDS} s: {watch.summary()}")
    assert longest_silence(watch.samples) < SILENT_SECONDS, watch.new
    note(stack.verify("tickets"))
