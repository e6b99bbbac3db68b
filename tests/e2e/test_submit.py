"""Jobs on a standalone cluster whose workers have Spark and Java, and nothing of this project."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from pyspark.sql import SparkSession

from operations.prepare import prepare_stores
from operations.reset import reset
from operations.verify.account import Account
from operations.verify.accounts import take_accounts
from settings import PROJECT_ROOT, Settings
from spark_jobs.planned import FEW_MESSAGES
from spark_jobs.run.locks import running_job
from spark_jobs.sinks.mongodb import confirmed_database, connect_mongodb
from spark_jobs.state.ledger import Ledger
from spark_jobs.tickets import TICKETS
from tests.support.leaks import Places, command_lines, files_below, leaks, spark_ui
from tests.support.processes import kill_with_children, wait_for
from tests.support.spark_cluster import SparkCluster, spark_cluster

# Batches that Spark divides among executors, unlike those of few messages.
BATCH, COUNT = FEW_MESSAGES + 5000, 150_000
# Values that the stack ignores, and that no other text contains.
SECRETS = {
    "CASSANDRA_PASSWORD": "Hush-Cassandra-1",
    "KAFKA_SASL_PASSWORD": "Hush-Kafka-2",
    "POSTGRES_DSN": "postgresql://millrace:Hush-Postgres-3@127.0.0.1:5432/millrace",
    "PII_HASH_KEY": "Hush-Key-4",
}
MONGO_SECRET, POSTGRES_SECRET = "Hush-Mongo-5", "Hush-Postgres-3"
NEVER: list[str | bytes] = [*SECRETS.values(), MONGO_SECRET, POSTGRES_SECRET]
SETTINGS = SECRETS | {
    "CASSANDRA_USERNAME": "someone",
    "KAFKA_SASL_MECHANISM": "PLAIN",
    "KAFKA_SASL_USERNAME": "someone",
    "SPARK_EXECUTOR_MEMORY": "600m",
    "SPARK_EXECUTOR_CORES": "1",
    "SPARK_LOCAL_IP": "127.0.0.1",
    "MAX_RECORDS_PER_BATCH": str(BATCH),
}


@pytest.fixture(scope="module")
def cluster(
    stack_settings: Settings, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[SparkCluster]:
    with spark_cluster(tmp_path_factory.mktemp("cluster"), "700m") as running:
        yield running
    # The platform's own topic and tables: others of this stack may expect them empty.
    reset(stack_settings, TICKETS.name, topics=True, yes=True)
    prepare_stores(stack_settings, print)


class Submitted:
    """`millrace submit tickets …`, with secrets in its environment."""

    def __init__(self, settings: Settings, folder: Path, *options: str) -> None:
        self.output_path = folder / "output.txt"
        uri = f"{settings.mongo_uri.get_secret_value()}/?appName={MONGO_SECRET}"
        with self.output_path.open("wb") as output:
            self.process = subprocess.Popen(
                [Path(sys.executable).with_name("millrace"), "submit", "tickets", *options],
                cwd=folder,
                # No Python is wanted on executors: there is none.
                env=os.environ | SETTINGS | {"MONGO_URI": uri, "PYSPARK_PYTHON": "/no/python"},
                stdout=output,
                stderr=output,
            )

    def output(self) -> str:
        return self.output_path.read_text(errors="replace")

    def end(self) -> None:
        if self.process.poll() is None:
            kill_with_children(self.process)


def produce(count: int) -> None:
    command = [sys.executable, "-m", "producers.tickets", "--count", str(count), "--rate", "0"]
    command += ["--invalid-ratio", "0.03", "--duplicate-ratio", "0.02"]
    done = subprocess.run(
        command, cwd=PROJECT_ROOT, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert f"sent={count} delivered={count} failed=0" in done.stdout + done.stderr


@pytest.fixture
def ledger(settings: Settings) -> Iterator[Ledger]:
    with connect_mongodb(settings) as client:
        yield Ledger(confirmed_database(client, settings), TICKETS.name)


def account_of(settings: Settings, spark: SparkSession) -> Account:
    with connect_mongodb(settings) as client:
        database = confirmed_database(client, settings)
        (account,) = take_accounts(settings, database, spark, [TICKETS])
        return account


def what_is_seen(submitted: Submitted, cluster: SparkCluster, settings: Settings) -> Places:
    """Pages, REST interfaces and command lines of everything that runs."""
    running = running_job(TICKETS, settings)
    assert running is not None
    seen = command_lines(submitted.process.pid) | spark_ui(running["ui"])
    for worker in (*cluster.workers, cluster.master_process):
        seen |= command_lines(worker.pid) if worker.poll() is None else {}
    for url in cluster.pages():
        seen[url] = requests.get(url, timeout=30).content.lower()
    return seen


def test_submitted_job_outlives_a_worker_exactly_and_shows_no_secret(
    settings: Settings,
    cluster: SparkCluster,
    ledger: Ledger,
    job_spark: SparkSession,
    tmp_path: Path,
) -> None:
    before = ledger.totals().read
    produce(COUNT)
    (tmp_path / "events").mkdir()
    events = ["--conf", "spark.eventLog.enabled=true"]
    events += ["--conf", f"spark.eventLog.dir={(tmp_path / 'events').as_uri()}"]
    submitted = Submitted(settings, tmp_path, "--master", cluster.url, *events)
    try:
        wait_for(lambda: ledger.totals().read >= before + 2 * BATCH, 300, "second batch")
        (application,) = cluster.state()["activeapps"]
        executors = cluster.executors()
        folders = [Path(executor.cwd()) for executor in executors]
        variables = [executor.environ() for executor in executors]
        killed_at = ledger.totals().read
        cluster.kill_worker(0)
        wait_for(lambda: ledger.totals().read == before + COUNT, 300, "last batch")
        seen = what_is_seen(submitted, cluster, settings)
        submitted.process.send_signal(signal.SIGTERM)
        code = submitted.process.wait(60)
    finally:
        submitted.end()

    assert code == 0, submitted.output()[-3000:]
    assert killed_at < before + COUNT
    assert re.search(r"tickets: (had no batch to finish|finished its batch)", submitted.output())
    assert "Traceback" not in submitted.output()
    account = account_of(settings, job_spark)
    assert account.faults == []
    assert account.balanced
    # What was asked for is what the master gave.
    assert (application["name"], application["memoryperexecutor"]) == ("millrace-tickets", 600)
    assert application["cores"] == len(executors) == 2
    for folder, environment in zip(folders, variables, strict=True):
        assert folder.is_relative_to(cluster.folder)
        assert "PYTHONPATH" not in environment
    left = files_below(tmp_path, job_spark) | files_below(cluster.folder, job_spark)
    left |= files_below(settings.millrace_home / "logs", job_spark)
    assert leaks(NEVER, seen | left) == []
    # What may be seen is seen: the search looks where it should.
    for text, place in (
        ("org.apache.spark.deploy.SparkSubmit", "command line of java"),
        ("someone", "/environment"),
        ("someone", "events/"),
        ("millrace-tickets", f"http://127.0.0.1:{cluster.page}/"),
        ("org.apache.spark.executor", "worker-1/work"),
    ):
        assert any(place in found for found in leaks([text], seen | left)), (text, place)


SHELL_CODE = """
counted = spark.sql("SELECT count(*) AS n FROM cassandra.support.tickets").first().n
where = sc.parallelize([0], 1).map(lambda _: __import__("schemas.contract").contract.__file__)
print("SHELL", sc.master, counted, topic(settings.tickets_topic).count(), where.first())
"""


def test_shell_on_the_cluster_reads_the_stores_and_ships_the_code(
    ledger: Ledger, cluster: SparkCluster
) -> None:
    own = {"SPARK_MASTER": cluster.url, "SPARK_LOCAL_IP": "127.0.0.1"}
    own |= {"SPARK_EXECUTOR_MEMORY": "600m", "PYSPARK_PYTHON": sys.executable}
    done = subprocess.run(
        ["make", "pyspark", f"CODE={SHELL_CODE}", f"PYTHON={sys.executable}"],
        cwd=PROJECT_ROOT,
        env=os.environ | own,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )

    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-3000:]
    shown = re.search(r"SHELL (\S+) (\d+) (\d+) (\S+)", done.stdout)
    assert shown, done.stdout
    expected = ledger.totals()
    assert shown[1] == cluster.url
    assert (int(shown[2]), int(shown[3])) == (expected.stored, expected.read)
    assert re.search(r"/millrace-[0-9a-f]{12}\.zip/schemas/contract\.py$", shown[4])
