"""The platform on rings of nodes and a standalone Spark cluster, with its jobs and producers."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

import pymongo

from operations.pipelines import topic_offsets
from operations.prepare import prepare_stores
from runtime.jars import ensure_jars
from runtime.java import find_java
from runtime.versions import installed_version
from settings import PROJECT_ROOT, Settings
from spark_jobs.pipeline import Pipeline
from spark_jobs.registry import built_in
from spark_jobs.sinks.mongodb import confirmed_database, connect_mongodb
from spark_jobs.state.ledger import Ledger
from tests.cluster.nodes import HOSTS, Nodes, Report
from tests.cluster.processes import Job, TicketProducer
from tests.conftest import TESTS_HOME, explicit_settings, free_ports
from tests.support.processes import wait_for
from tests.support.spark_cluster import SparkCluster, spark_cluster

PROGRESS_SECONDS = 240
COMMAND_SECONDS = 400
# Two executors fit into a worker, for when the other one is gone.
WORKER_MEMORY, WORKER_CORES = "1400m", 2
ON_SPARK = {
    "SPARK_EXECUTOR_MEMORY": "600m",
    "SPARK_EXECUTOR_CORES": "1",
    "SPARK_LOCAL_IP": HOSTS[0],
    "MAX_RECORDS_PER_BATCH": "2000",
    # No Python is wanted on executors.
    "PYSPARK_PYTHON": "/no/python",
}


def cluster_values(home: Path) -> dict[str, str]:
    """Settings of the cluster, by the names of their variables; ports are free now."""
    ports = map(str, free_ports(6))
    kafka, controller, cql, storage, mongodb, postgres = ports
    mongo_uri = f"mongodb://{HOSTS[0]}:{mongodb}"
    if shutil.which("mongod"):
        servers = ",".join(f"{host}:{mongodb}" for host in HOSTS)
        mongo_uri = f"mongodb://{servers}/?replicaSet=millrace"
    return {
        "STACK": "external",
        "MILLRACE_HOME": str(home),
        "JARS_PATH": str(PROJECT_ROOT / ".millrace" / "jars"),
        "OUTPUT_PATH": str(home / "output"),
        "KAFKA_BOOTSTRAP_SERVERS": ",".join(f"{host}:{kafka}" for host in HOSTS),
        "KAFKA_CONTROLLER_PORT": controller,
        "CASSANDRA_CONTACT_POINTS": ",".join(HOSTS),
        "CASSANDRA_PORT": cql,
        "CASSANDRA_STORAGE_PORT": storage,
        "CASSANDRA_REPLICATION_FACTOR": "3",
        "CASSANDRA_CONSISTENCY": "LOCAL_QUORUM",
        "TOPIC_REPLICATION_FACTOR": "3",
        "MONGO_URI": mongo_uri,
        "POSTGRES_DSN": f"postgresql://millrace@{HOSTS[0]}:{postgres}/millrace",
        "SINKS": "cassandra,mongodb,files,postgres",
        "PIPELINES": "tickets,customers",
        "PII_HASH_KEY": "a key for tests only",
    }


class ClusterStack:
    """Rings, brokers, a Spark cluster; commands run as a user runs them, with STACK=external."""

    def __init__(self, home: Path, values: Mapping[str, str], spark: SparkCluster) -> None:
        self.home, self.spark = home, spark
        self.environment = _without_settings() | explicit_settings(PROJECT_ROOT / ".env") | values
        given = {name.lower(): value for name, value in values.items()}
        self.settings = Settings(_env_file=None, **given)
        self.nodes = Nodes(self.settings, find_java(self.settings))
        self.jobs: list[Job] = []
        self.producers: list[TicketProducer] = []

    def start(self, report: Report) -> None:
        ensure_jars(self.settings, ["spark", "kafka", "cassandra"], report)
        self.nodes.start(report)
        prepare_stores(self.settings, report)
        self.spark.wait_for_workers()

    def millrace(self, *words: str, code: int = 0, **environment: str) -> str:
        """Run a command to its end, which must have this exit code; gives its output."""
        return self.run_module("operations.cli", *words, code=code, **environment)

    def run_module(self, module: str, *words: str, code: int = 0, **environment: str) -> str:
        """Run a program of ours to its end, which must have this exit code; gives its output."""
        done = subprocess.run(
            [sys.executable, "-m", module, *words],
            cwd=PROJECT_ROOT,
            env=self.environment | environment,
            capture_output=True,
            text=True,
            timeout=COMMAND_SECONDS,
            check=False,
        )
        said = f"{done.stdout[-4000:]}\n{done.stderr[-3000:]}"
        assert done.returncode == code, f"{module} {' '.join(words)}: {done.returncode}\n{said}"
        return done.stdout

    def submit(self, pipeline: str, **environment: str) -> Job:
        """Start a job on the Spark cluster."""
        words = ["-m", "operations.cli", "submit", pipeline, "--master", self.spark.url]
        words += ["--conf", "spark.cores.max=2"]
        self.jobs.append(Job(self.home, words, self.environment | ON_SPARK | environment))
        return self.jobs[-1]

    def produce(self, rate: int, seed: int) -> TicketProducer:
        """Start a producer of tickets, some of them invalid or repeated."""
        self.producers.append(TicketProducer(self.home, rate, seed, self.environment))
        return self.producers[-1]

    def read(self, pipeline: str) -> int:
        """Messages that the ledger of a pipeline has confirmed."""
        try:
            with connect_mongodb(self.settings) as client:
                return Ledger(confirmed_database(client, self.settings), pipeline).totals().read
        except pymongo.errors.PyMongoError:
            return 0

    def wait_for_records(self, pipeline: str, count: int = 100, job: Job | None = None) -> None:
        """Wait until so many more messages are confirmed than are now; the job must not end."""
        wanted = self.read(pipeline) + count

        def are_there() -> bool:
            assert job is None or not job.has_ended(), job.output()[-3000:]
            return self.read(pipeline) >= wanted

        wait_for(are_there, PROGRESS_SECONDS, f"{wanted} messages read")

    def waiting(self, pipeline: Pipeline) -> int:
        """Messages on its topic that no confirmed batch has read."""
        offsets = topic_offsets(self.settings, pipeline.topic(self.settings))
        return sum(end - begin for begin, end in offsets.values()) - self.read(pipeline.name)

    def wait_until_processed(self, name: str) -> None:
        is_processed = partial(self._is_processed, pipeline_named(name))
        wait_for(is_processed, PROGRESS_SECONDS, f"end of {name}")

    def _is_processed(self, pipeline: Pipeline) -> bool:
        return self.waiting(pipeline) == 0

    def verify(self, pipeline: str) -> str:
        """Verify, also while a job runs; gives what was proven."""
        said = self.millrace("verify").splitlines()[-1]
        assert said.startswith("verified: nothing lost, nothing doubled"), said
        return f"verified, {self.read(pipeline):,} {pipeline} read"

    def spark_version(self) -> str:
        return installed_version("pyspark") or "of unknown version"

    def end(self) -> None:
        for process in (*self.producers, *self.jobs):
            process.kill()


def pipeline_named(name: str) -> Pipeline:
    (found,) = [each for each in built_in() if each.name == name]
    return found


@contextmanager
def cluster_stack(report: Report) -> Iterator[ClusterStack]:
    """A cluster that is up; all that it has made goes with it."""
    home = TESTS_HOME / f"cluster-{os.getpid()}"
    with ExitStack() as held:
        home.mkdir(parents=True)
        held.callback(_remove, home)
        spark = held.enter_context(_spark(home))
        stack = ClusterStack(home, cluster_values(home), spark)
        held.callback(stack.nodes.stop)
        held.callback(stack.end)
        stack.start(report)
        yield stack


@contextmanager
def _spark(home: Path) -> Iterator[SparkCluster]:
    with spark_cluster(home / "spark", WORKER_MEMORY, WORKER_CORES) as running:
        yield running


def _remove(home: Path) -> None:
    # To look at what failed.
    if "KEEP_CLUSTER" not in os.environ:
        shutil.rmtree(home, ignore_errors=True)


def _without_settings() -> dict[str, str]:
    names = {name.upper() for name in Settings.model_fields}
    return {name: value for name, value in os.environ.items() if name not in names}
