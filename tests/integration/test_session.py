"""The Spark session of the jobs, as it comes up."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from pyspark.sql import SparkSession

from operations.bench_pipelines import untuned
from spark_jobs.session import SHUFFLE_PARTITIONS


def test_python_workers_are_the_python_of_the_job(job_spark: SparkSession) -> None:
    """`python3` on PATH may be another version, and Spark refuses to work with that."""
    assert job_spark.sparkContext.pythonExec == sys.executable


def test_files_on_this_machine_get_their_permissions_without_a_process(
    job_spark: SparkSession, tmp_path: Path
) -> None:
    jvm: Any = job_spark._jvm  # noqa: SLF001 - PySpark has no public way
    context: Any = job_spark.sparkContext._jsc  # noqa: SLF001 - PySpark has no public way
    files = jvm.org.apache.hadoop.fs.FileSystem.getLocal(context.hadoopConfiguration())
    path = jvm.org.apache.hadoop.fs.Path(str(tmp_path / "file"))

    files.create(path, True).close()
    files.setPermission(path, jvm.org.apache.hadoop.fs.permission.FsPermission("751"))

    assert files.getClass().getName() == "millrace.spark.LocalFiles"
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o751


def test_session_of_the_baseline_has_nothing_that_the_platform_tuned(
    job_spark: SparkSession,
) -> None:
    session = untuned(job_spark)

    assert session.conf.get("spark.sql.shuffle.partitions") == "200"
    assert session.conf.get("spark.sql.inMemoryColumnarStorage.compressed") == "true"
    assert "HDFSBackedStateStore" in session.conf.get(
        "spark.sql.streaming.stateStore.providerClass"
    )
    assert job_spark.conf.get("spark.sql.shuffle.partitions") == str(SHUFFLE_PARTITIONS)
