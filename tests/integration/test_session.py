"""The Spark session of the jobs, as it comes up."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest
from pyspark.sql import SparkSession

from operations.bench.peers import untuned
from settings import PROJECT_ROOT, SECRET_VARIABLES, Settings, load_settings
from spark_jobs.session.jvm_classes import kept_jars
from spark_jobs.session.session import SHUFFLE_PARTITIONS, deduplication_partitions
from tests.support.rights import open_to_others


def test_python_workers_are_the_python_of_the_job(job_spark: SparkSession) -> None:
    """`python3` on PATH may be another version, and Spark refuses to work with that."""
    assert job_spark.sparkContext.pythonExec == sys.executable


def test_files_on_this_machine_get_their_permissions_without_a_process(
    job_spark: SparkSession, tmp_path: Path
) -> None:
    jvm: Any = job_spark._jvm  # noqa: SLF001 - PySpark has no public API
    context: Any = job_spark.sparkContext._jsc  # noqa: SLF001 - PySpark has no public API
    files = jvm.org.apache.hadoop.fs.FileSystem.getLocal(context.hadoopConfiguration())
    path = jvm.org.apache.hadoop.fs.Path(str(tmp_path / "file"))

    files.create(path, True).close()
    files.setPermission(path, jvm.org.apache.hadoop.fs.permission.FsPermission("751"))

    assert files.getClass().getName() == "millrace.spark.LocalFiles"
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o751


def test_no_secret_reaches_the_jvm_and_it_has_no_web_pages(job_spark: SparkSession) -> None:
    jvm: Any = job_spark._jvm  # noqa: SLF001 - PySpark has no public API

    inherited = {*jvm.java.lang.System.getenv().keySet()}

    assert {"MONGO_URI", "POSTGRES_DSN"} <= {*os.environ}
    assert inherited & SECRET_VARIABLES == set()
    assert "KAFKA_BOOTSTRAP_SERVERS" in inherited
    assert job_spark.sparkContext.uiWebUrl is None


def test_files_that_spark_writes_are_readable_by_their_user_alone(
    job_spark: SparkSession, tmp_path: Path
) -> None:
    job_spark.range(3).write.json(str(tmp_path / "made" / "set"))

    assert len(open_to_others(tmp_path / "made")) == 0
    assert [*(tmp_path / "made" / "set").glob("*.json")]


def test_session_of_the_baseline_has_nothing_that_the_platform_tuned(
    job_spark: SparkSession,
) -> None:
    before = job_spark.conf.get("spark.sql.shuffle.partitions")

    session = untuned(job_spark)

    assert session.conf.get("spark.sql.shuffle.partitions") == "200"
    assert session.conf.get("spark.sql.inMemoryColumnarStorage.compressed") == "true"
    assert "HDFSBackedStateStore" in session.conf.get(
        "spark.sql.streaming.stateStore.providerClass"
    )
    assert job_spark.conf.get("spark.sql.shuffle.partitions") == before != "200"


def test_no_more_partitions_are_deduplicated_than_tasks_run_at_a_time(
    job_spark: SparkSession,
) -> None:
    tasks_at_a_time = job_spark.sparkContext.defaultParallelism

    assert deduplication_partitions(job_spark) == min(SHUFFLE_PARTITIONS, tasks_at_a_time)


DRIVER = """
from pathlib import Path
from settings import load_settings
from spark_jobs.session.class_archive import keep_archive
from spark_jobs.session.session import build_session
from spark_jobs.session.stopping import StopRequest, jvm_process, stop_spark

spark = build_session(load_settings(), "archive", may_archive=True)
spark.range(10).selectExpr("sum(id)").collect()
mapped = Path(f"/proc/{jvm_process().pid}/maps").read_text()
class_path = spark._jvm.java.lang.System.getProperty("java.class.path")
stop_spark(spark)
print("read" if ".jsa" in mapped.replace("classes.jsa", "") else "not read")
print("written" if keep_archive(StopRequest(), lambda line: None) else "not written")
print("found" if "/millrace-" in class_path else "compiled")
"""
STATEFUL = """
import sys
import psutil
from settings import load_settings
from spark_jobs.session.session import build_session
from spark_jobs.session.stopping import jvm_process, stop_spark

spark = build_session(load_settings(), "stateful")
spark.range(3).write.json(sys.argv[1])
query = (
    spark.readStream.schema("id bigint").json(sys.argv[1]).dropDuplicates(["id"])
    .writeStream.format("noop").option("checkpointLocation", sys.argv[2])
    .trigger(availableNow=True).start()
)
query.awaitTermination()
def stores():
    files = psutil.Process(jvm_process().pid).open_files()
    return sum("StateStoreId" in file.path for file in files)

print(stores() > 0)
stop_spark(spark)
print(stores())
"""
FAILING = """
from settings import load_settings
from spark_jobs.session.session import build_session
from spark_jobs.session.stopping import jvm_process, stop_spark

spark = build_session(load_settings(), "failing", may_archive=True)
print(jvm_process().pid, flush=True)
stop_spark(spark)
raise SystemExit(3)
"""


def test_drivers_keep_compiled_classes_and_an_archive_and_replace_damaged_ones(
    stack_settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "spark").symlink_to(stack_settings.jars / "spark")
    monkeypatch.setenv("JARS_PATH", str(tmp_path))

    def outcome() -> list[str]:
        return subprocess.run(
            [sys.executable, "-c", DRIVER],
            cwd=PROJECT_ROOT,
            capture_output=True,
            text=True,
            check=True,
        ).stdout.split("\n")[:3]

    assert outcome() == ["not read", "written", "compiled"]
    assert outcome() == ["read", "not written", "found"]
    (classes,), (archive,) = tmp_path.glob("*.jar"), tmp_path.glob("*.jsa")
    for kept in (classes, archive):
        kept.chmod(0o600)
        os.truncate(kept, kept.stat().st_size // 2)

    assert outcome() == ["not read", "not written", "compiled"]
    assert kept_jars(load_settings()) == [classes]
    # The next one that may writes it.
    assert not archive.exists()


def test_stores_of_state_are_closed_before_the_jvm_ends(
    stack_settings: Settings, tmp_path: Path
) -> None:
    # Open ones can keep it from ending.
    ran = subprocess.run(
        [sys.executable, "-c", STATEFUL, str(tmp_path / "rows"), str(tmp_path / "checkpoint")],
        cwd=PROJECT_ROOT,
        capture_output=True,
        text=True,
        check=True,
    )

    assert ran.stdout.split() == ["True", "0"]


def test_process_that_fails_leaves_no_driver_behind_that_writes(
    stack_settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "spark").symlink_to(stack_settings.jars / "spark")
    monkeypatch.setenv("JARS_PATH", str(tmp_path))

    failed = subprocess.run(
        [sys.executable, "-c", FAILING], cwd=PROJECT_ROOT, stdout=subprocess.PIPE, check=False
    )

    assert failed.returncode == 3
    assert not psutil.pid_exists(int(failed.stdout))
    (classes,) = kept_jars(load_settings())
    assert {path.name for path in tmp_path.iterdir()} == {"spark", classes.name}
