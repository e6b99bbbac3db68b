"""The parts of `make test-cluster` that need no cluster: what they see, and what they count."""

from __future__ import annotations

import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import orjson
import pytest

from local_stack.kafka import Kafka
from producers.generate import TicketGenerator
from runtime.java import Java
from settings import PROJECT_ROOT, Settings
from tests.cluster.cluster_stack import cluster_values
from tests.cluster.ids import differences, ids_in_files, sent_ids
from tests.cluster.memory import GIGABYTE, MemorySampler, kind_of, pss_of
from tests.cluster.nodes import Nodes, bytes_on, name_of
from tests.cluster.processes import counts_in, waits_in
from tests.cluster.watch import Sample, Watch, longest_pause, longest_silence, new_lines
from tests.support.make import make_ok

STAMP = "2026-11-29 09:03:12,298 WARNING "


def samples(*seen: tuple[int, int]) -> list[Sample]:
    """A sample each second: confirmed messages, lines said."""
    return [Sample(second, read, said) for second, (read, said) in enumerate(seen)]


def test_job_that_goes_on_has_short_pauses() -> None:
    seen = samples((1, 0), (1, 0), (5, 0), (5, 0), (5, 0), (9, 0))

    assert longest_pause(seen) == 2
    assert longest_silence(seen) == 2


def test_job_that_waits_and_says_so_is_not_silent() -> None:
    seen = samples((1, 0), (1, 0), (1, 1), (1, 1), (1, 2), (9, 3))

    assert longest_pause(seen) == 4
    assert longest_silence(seen) == 1


def test_job_that_says_nothing_until_the_end_is_silent_all_the_time() -> None:
    assert longest_silence(samples(*[(1, 0)] * 8)) == 7


@pytest.mark.parametrize(
    ("seconds", "new", "words"),
    [
        (3, [], "the job goes on, longest pause 3 s"),
        (3, ["waiting for x"], "the job goes on, longest pause 3 s"),
        (12, [], "the job goes on, longest pause 12 s"),
        (12, ["waiting for x"], "the job waits for 12 s and says `waiting for x …`"),
    ],
)
def test_summary_says_whether_the_job_goes_on_or_waits(
    seconds: int, new: list[str], words: str
) -> None:
    watch = Watch(lambda: 0, list, samples(*[(1, 0)] * (seconds + 1)), new)

    assert watch.summary() == words


def test_new_lines_of_two_processes_are_those_that_were_not_there_before() -> None:
    assert new_lines(["a", "x"], ["a", "b", "a", "x", "y"]) == ["b", "a", "y"]


def test_lines_about_waits_are_found_in_a_log() -> None:
    output = (
        f"{STAMP}waiting for Kafka at `x` since 09:00:53, until 09:02:53 (S=120): no answer\n"
        f"{STAMP.replace('WARNING', 'INFO')}query=tickets batch_id=61 rows_in=169 elapsed_s=2.5\n"
        f"{STAMP}query=tickets waits since 09:01:00, until 09:03:00 (S=120): Cassandra did not\n"
        f"{STAMP}Kafka at `x` answers again after 14 s: the job goes on\n"
        f"{STAMP}query=tickets continues after the outage\n"
    )

    assert [line[:30] for line in waits_in(output)] == [
        "waiting for Kafka at `x` since",
        "query=tickets waits since 09:0",
        "Kafka at `x` answers again aft",
        "query=tickets continues after ",
    ]


def test_numbers_of_a_producer_are_those_of_its_last_line() -> None:
    output = "t: sent=7 delivered=5 failed=0 (40 per second)\nsent=10 delivered=9 failed=1\n"

    assert counts_in(output) == {"sent": 10, "delivered": 9, "failed": 1}


def test_ids_that_were_sent_are_those_of_valid_tickets() -> None:
    made = TicketGenerator(5, invalid_ratio=0.03, duplicate_ratio=0.02)
    messages = list(made.messages(2000))

    found = sent_ids(5, 2000)

    assert len(found) == made.made["valid"]
    assert 1800 < len(found) < 2000 - made.made["duplicate"]
    assert orjson.loads(messages[0].value)["ticket_id"] in found
    assert found > sent_ids(5, 1000)


@pytest.mark.parametrize(
    ("stored", "words"),
    [
        ("ab", []),
        ("a", ["1 lost, such as b"]),
        ("abb", ["1 twice, such as b"]),
        ("abx", ["1 never sent, such as x"]),
    ],
)
def test_difference_of_sent_and_stored_ids_is_named(stored: str, words: list[str]) -> None:
    assert differences({"a", "b"}, Counter(stored)) == words


def test_ids_in_files_are_counted(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    folder = tmp_path / "tickets_with_assignment"
    folder.mkdir()
    for name, ids in (("a.parquet", ["1", "2"]), ("b.parquet", ["2"]), ("_c.parquet", ["3"])):
        pq.write_table(pa.table({"ticket_id": ids}), folder / name)

    assert ids_in_files(tmp_path) == {"1": 1, "2": 2}


def test_bytes_of_a_broker_are_those_of_messages_alone(tmp_path: Path) -> None:
    broker = Kafka(Settings(_env_file=None, millrace_home=tmp_path))
    for name, size in (("t-0/0.log", 5), ("t-1/0.log", 7), ("t-1/0.index", 100)):
        write(broker.data_path / "log" / name, size)
    write(broker.data_path / "log" / "__consumer_offsets-3" / "0.log", 1000)

    assert bytes_on(broker) == 12


def write(path: Path, size: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(bytes(size))


def test_memory_is_the_share_that_the_kernel_counts() -> None:
    rollup = "00-ff ---p 00000000 00:00 0 [rollup]\nRss:  2048 kB\nPss:  1024 kB\nPss_Anon:  9 kB\n"

    assert pss_of(rollup) == 1024 * 1024
    assert pss_of("") == 0


@pytest.mark.parametrize(
    ("command", "kind"),
    [
        ("java @/home/node-1/data/cassandra/java.options", "Cassandra"),
        ("java -cp kafka.jar kafka.Kafka server.properties", "Kafka"),
        ("java org.apache.spark.executor.CoarseGrainedExecutorBackend", "executors"),
        ("java org.apache.spark.deploy.worker.Worker", "Spark's master and workers"),
        ("java org.apache.spark.deploy.SparkSubmit spark_jobs/tickets.py", "drivers"),
        ("python -m pytest", "Python"),
    ],
)
def test_processes_are_counted_by_kind(command: str, kind: str) -> None:
    assert kind_of(command) == kind


def test_largest_sample_is_kept_with_its_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    sampler = MemorySampler()
    sizes = iter([1, 3, 2])
    monkeypatch.setattr(sampler, "_processes", lambda: iter([("kafka.Kafka", "self")]))
    monkeypatch.setattr(
        "tests.cluster.memory.pss_of", lambda text: next(sizes) * GIGABYTE if text else 0
    )

    for _ in range(3):
        sampler.take()

    assert (sampler.samples, sampler.most) == (3, 3 * GIGABYTE)
    assert sampler.summary() == "3.0 GB at most (Kafka 3.0)"


@pytest.mark.parametrize(
    ("mongod", "uri"),
    [
        (None, "mongodb://127.0.0.1:"),
        ("/usr/bin/mongod", "mongodb://127.0.0.1:P,127.0.0.2:P,127.0.0.3:P/?replicaSet=millrace"),
    ],
    ids=["the stand-in", "a real one"],
)
def test_mongodb_is_a_replica_set_where_there_is_a_mongod(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, mongod: str | None, uri: str
) -> None:
    monkeypatch.setattr("shutil.which", lambda name: mongod)

    found = cluster_values(tmp_path)["MONGO_URI"]

    port = found.partition("127.0.0.1:")[2][:5]
    assert found.replace(port, "P").startswith(uri)


def test_each_member_of_a_replica_set_is_asked_at_its_own_address(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("shutil.which", lambda name: f"/usr/bin/{name}")
    given: Any = {name.lower(): value for name, value in cluster_values(tmp_path).items()}
    settings = Settings(_env_file=None, **given)

    nodes = Nodes(settings, Java(tmp_path, tmp_path / "java", 17))

    port = settings.mongo_address.partition("127.0.0.1:")[2].partition(",")[0]
    assert [each.settings.mongo_uri.get_secret_value() for each in nodes.mongodb] == [
        f"mongodb://127.0.0.{n}:{port}/?directConnection=true" for n in (1, 2, 3)
    ]
    assert [name_of(each) for each in nodes.mongodb] == ["mongodb 1", "mongodb 2", "mongodb 3"]
    assert name_of(nodes.postgres) == "postgres"


def test_every_value_of_the_cluster_is_a_setting(tmp_path: Path) -> None:
    given: Any = {name.lower(): value for name, value in cluster_values(tmp_path).items()}

    settings = Settings(_env_file=None, **given)

    assert {*given} <= {*Settings.model_fields}
    assert settings.cassandra_consistency == "LOCAL_QUORUM"
    assert settings.cassandra_replication_factor == settings.topic_replication_factor == 3
    assert settings.kafka_bootstrap_servers.count(",") == 2


def test_make_test_does_not_run_the_cluster_and_make_test_cluster_does() -> None:
    def commands(target: str) -> str:
        return subprocess.run(
            ["make", "--dry-run", target],
            cwd=PROJECT_ROOT,
            capture_output=True,
            text=True,
            check=True,
        ).stdout

    assert "tests/cluster" in commands("test-cluster")
    assert "tests/cluster" not in commands("test")
    assert "make test-cluster " in make_ok()
