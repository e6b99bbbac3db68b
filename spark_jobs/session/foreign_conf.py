"""What of Spark's configuration is the caller's to choose, and what no caller may change.

A `spark-defaults.conf` of the user, `--conf` of spark-submit and `core-site.xml` reach a driver
that spark-submit has started.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from spark_jobs.session.defaults import spark_defaults

EXECUTOR_OPTIONS: Final = "spark.executor.extraJavaOptions"
# What whoever calls spark-submit may set otherwise; the rest is what jobs rely on.
FREE_PREFIXES: Final = (
    *("spark.executor", "spark.driver", "spark.local.dir"),
    *("spark.cassandra.input.split", "spark.cassandra.input.fetch"),
    *("spark.cassandra.input.reads", "spark.cassandra.input.throughput"),
)
# Families on which results depend: of them the session has what it sets itself, else Spark's own
# defaults.
RESULT_PREFIXES: Final = (
    *("spark.sql.", "spark.cassandra.", "spark.hadoop.fs.file."),
    *("spark.hadoop.mapred.", "spark.hadoop.mapreduce.", "spark.hadoop.parquet."),
)
# Paths without a scheme are of this machine, whatever `core-site.xml` says. On YARN the files of an
# application go by way of its file system; what Millrace names has a scheme there too.
DEFAULT_FILES: Final = {"spark.hadoop.fs.defaultFS": "file:///"}


def foreign_keys(given: Mapping[str, str], own: Mapping[str, str]) -> set[str]:
    """Properties that Spark was started with, on which results depend, and that are not ours."""
    return {
        key
        for key in given
        if key.startswith(RESULT_PREFIXES) and not key.startswith(FREE_PREFIXES) and key not in own
    }


def chosen_by_caller(given: Mapping[str, str], own: Mapping[str, str]) -> dict[str, str]:
    """What of our own properties is left as whoever called spark-submit has set it."""
    found = {key: given[key] for key in own if key.startswith(FREE_PREFIXES) and key in given}
    if options := found.get(EXECUTOR_OPTIONS):
        # Of Java's options that are given twice the last counts: lower case means the same there.
        found[EXECUTOR_OPTIONS] = f"{options} {spark_defaults()[EXECUTOR_OPTIONS]}"
    return found
