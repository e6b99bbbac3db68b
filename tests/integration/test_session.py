"""The Spark session of the jobs, as it comes up."""

from __future__ import annotations

import sys

from pyspark.sql import SparkSession


def test_python_workers_are_the_python_of_the_job(job_spark: SparkSession) -> None:
    """`python3` on PATH may be another version, and Spark refuses to work with that."""
    assert job_spark.sparkContext.pythonExec == sys.executable
