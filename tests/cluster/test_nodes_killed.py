"""Nodes, brokers and a worker killed under load: nothing is lost, nothing doubled.

The tests are one story in the order of this file. Each kill is by `kill -9`; a node stays away for
40 seconds. The job goes on or says that it waits; a silence of both is a fault.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import pytest

from local_stack.service import Service
from tests.cluster.cluster_stack import ClusterStack
from tests.cluster.ids import differences, ids_in_files, ids_in_tables, sent_ids
from tests.cluster.memory import GIGABYTE, MemorySampler
from tests.cluster.nodes import HOSTS, are_in_sync, bytes_on, killed, name_of, replace_disk
from tests.cluster.processes import Job, TicketProducer
from tests.cluster.watch import Watch, longest_silence
from tests.support.processes import wait_for
from tests.support.story import Note

pytestmark = pytest.mark.timeout(1200)

SEED, RATE = 7, 40
AWAY_SECONDS = 40
FIRST_BATCH_SECONDS, IN_SYNC_SECONDS = 300, 180
# A wait is said after 10 seconds and then every 15; the rest is for a busy machine.
SILENT_SECONDS = 30
MOST_BYTES = 16 * GIGABYTE
VERIFIED = "verified: nothing lost, nothing doubled"


@pytest.fixture(scope="session")
def producer(stack: ClusterStack) -> TicketProducer:
    return stack.produce(RATE, SEED)


@pytest.fixture
def job(stack: ClusterStack, producer: TicketProducer) -> Job:
    """The job that runs; the first one is started."""
    return stack.jobs[-1] if stack.jobs else start_job(stack)


def start_job(stack: ClusterStack, **environment: str) -> Job:
    before, started = stack.read("tickets"), stack.submit("tickets", **environment)
    wait_for(
        lambda: stack.read("tickets") > before or started.has_ended(), FIRST_BATCH_SECONDS, "batch"
    )
    assert not started.has_ended(), started.output()[-3000:]
    return started


def watched(
    stack: ClusterStack, job: Job, producer: TicketProducer, fault: Callable[[], object]
) -> Watch:
    """Do something to the cluster and wait until records arrive again."""
    watch = Watch(lambda: stack.read("tickets"), lambda: [*job.waits(), *producer.waits()])
    with watch:
        fault()
        stack.wait_for_records("tickets", job=job)
    assert longest_silence(watch.samples) < SILENT_SECONDS, watch.summary()
    return watch


def away(*services: Service, meanwhile: Callable[[], object] = lambda: None) -> Callable[[], None]:
    """Kill services, and start them 40 seconds later."""

    def fault() -> None:
        with killed(*services):
            back_at = time.monotonic() + AWAY_SECONDS
            meanwhile()
            time.sleep(max(0.0, back_at - time.monotonic()))

    return fault


def names_of(services: Sequence[Service]) -> str:
    return " and ".join(map(name_of, services))


def test_nodes_brokers_and_workers_come_up(stack: ClusterStack, note: Note) -> None:
    note(", ".join(dict.fromkeys(service.version for service in stack.nodes.all)))
    wait_for(lambda: are_in_sync(stack.settings), IN_SYNC_SECONDS, "three copies in sync")

    assert stack.spark.alive_workers() == 2
    note(f"{len(stack.nodes.all)} servers and two workers are up, every partition has three copies")


def test_job_on_two_workers_stores_what_a_producer_sends(
    stack: ClusterStack, job: Job, note: Note
) -> None:
    stack.wait_for_records("tickets", 200)

    assert len(stack.spark.executors()) == 2
    assert "running" in stack.millrace("status")
    note(f"records arrive, Spark {stack.spark_version()}")


@pytest.mark.parametrize("kind", ["cassandra", "brokers"])
@pytest.mark.parametrize("number", [1, 2, 3])
def test_node_is_away_and_the_job_goes_on_or_says_that_it_waits(
    stack: ClusterStack, job: Job, producer: TicketProducer, note: Note, number: int, kind: str
) -> None:
    service = getattr(stack.nodes, kind)[number - 1]

    watch = watched(stack, job, producer, away(service))

    note(f"{name_of(service)} killed for {AWAY_SECONDS} s: {watch.summary()}")


def test_all_is_exact_after_each_node_was_away(stack: ClusterStack, job: Job, note: Note) -> None:
    note(stack.verify("tickets"))


@pytest.mark.parametrize(
    ("kind", "line"), [("cassandra", "a node is away"), ("brokers", "a broker is away")]
)
def test_doctor_names_the_node_that_is_away(
    stack: ClusterStack, job: Job, producer: TicketProducer, note: Note, kind: str, line: str
) -> None:
    service, said = getattr(stack.nodes, kind)[1], list[str]()

    def ask() -> None:
        said.extend(stack.millrace("doctor", code=1).splitlines())

    watched(stack, job, producer, away(service, meanwhile=ask))

    (found,) = [each for each in said if each.startswith("fix") and "away" in each]
    assert f"{line}: cannot connect to {HOSTS[1]}" in found
    assert "2 of 3 answer" in found
    assert [each for each in said if each.startswith("ok   tables")]
    note(f"doctor: {' '.join(found.split())}")


def test_worker_is_killed_and_the_other_one_does_its_work(
    stack: ClusterStack, job: Job, producer: TicketProducer, note: Note
) -> None:
    watch = watched(stack, job, producer, lambda: stack.spark.kill_worker(0))

    assert stack.spark.workers[0].poll() is not None
    note(f"worker killed with its executor: {watch.summary()}")
    stack.spark.start_again(0)
    stack.spark.wait_for_workers()
    note(f"worker is back; {stack.verify('tickets')}")


def test_broker_comes_back_with_an_empty_disk_and_serves_what_it_had(
    stack: ClusterStack, job: Job, producer: TicketProducer, note: Note
) -> None:
    replaced, other = stack.nodes.brokers[1], stack.nodes.brokers[0]

    before = bytes_on(other)

    watch = watched(stack, job, producer, lambda: replace_disk(replaced))
    note(f"{name_of(replaced)} replaced with an empty disk: {watch.summary()}")
    # The brokers' own word may be older than the new disk.
    wait_for(lambda: bytes_on(replaced) >= before, IN_SYNC_SECONDS, "bytes of all copies")
    wait_for(lambda: are_in_sync(stack.settings), IN_SYNC_SECONDS, "copies in sync")
    note(f"it has all copies again, {bytes_on(replaced) / 1e6:.1f} MB")

    # Now one of the brokers that it copied from is gone.
    watch = watched(stack, job, producer, away(other))
    note(f"{name_of(other)} killed for {AWAY_SECONDS} s: {watch.summary()}")
    note(stack.verify("tickets"))


def test_two_nodes_of_cassandra_are_away_and_the_job_waits_and_says_so(
    stack: ClusterStack, job: Job, producer: TicketProducer, note: Note
) -> None:
    two = stack.nodes.cassandra[:2]

    watch = watched(stack, job, producer, away(*two))

    assert [line for line in watch.new if "waits" in line and "Cassandra" in line]
    note(f"{names_of(two)} killed for {AWAY_SECONDS} s: {watch.summary()}")
    note(stack.verify("tickets"))


def test_direct_writer_goes_on_without_a_node(
    stack: ClusterStack, job: Job, producer: TicketProducer, note: Note
) -> None:
    assert job.stop() == 0, job.output()[-3000:]
    direct, lost = start_job(stack, CASSANDRA_WRITER="direct"), stack.nodes.cassandra[2]
    note("job stopped and started with CASSANDRA_WRITER=direct")

    watch = watched(stack, direct, producer, away(lost))

    note(f"{name_of(lost)} killed for {AWAY_SECONDS} s: {watch.summary()}")
    note(stack.verify("tickets"))


def test_customers_reach_postgresql_without_a_broker(stack: ClusterStack, note: Note) -> None:
    with killed(stack.nodes.brokers[2]):
        stack.run_module("producers.customers", "--count", "500", "--rate", "0", "--seed", "7")
        stack.run_module("spark_jobs.customers", "--available-now", SPARK_MASTER="local[1]")

    assert stack.read("customers") > 400
    note(f"{name_of(stack.nodes.brokers[2])} away: {stack.verify('customers')}")


def test_every_ticket_that_was_sent_is_stored_once(
    stack: ClusterStack, job: Job, producer: TicketProducer, note: Note
) -> None:
    counts = producer.stop_and_count()
    assert counts["sent"] == counts["delivered"] > 0
    assert counts["failed"] == 0
    stack.wait_until_processed("tickets")
    assert job.stop() == 0, job.output()[-3000:]
    assert stack.millrace("verify").splitlines()[-1] == VERIFIED
    note(f"producer: {counts}; {VERIFIED}")

    sent = sent_ids(SEED, counts["sent"])
    stored = ids_in_tables(stack.settings)
    stored["files"] = ids_in_files(stack.home / "output")
    found = [f"{place} {each}" for place, ids in stored.items() for each in differences(sent, ids)]
    assert found == []
    note(f"{len(sent):,} ids of valid tickets sent, the same in {', '.join(stored)}")


def test_all_of_it_takes_less_memory_than_16_gb(
    stack: ClusterStack, memory: MemorySampler, note: Note
) -> None:
    note(f"{memory.summary()}, in {memory.samples} samples")

    assert memory.samples > 50
    assert memory.most < MOST_BYTES
