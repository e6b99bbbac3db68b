"""Which of Spark's properties a caller may choose, and which no caller may change.

A driver started by spark-submit also gets properties from the user's `spark-defaults.conf`, from
`--conf` and from `core-site.xml`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from spark_jobs.session.defaults import spark_defaults

EXECUTOR_OPTIONS: Final = "spark.executor.extraJavaOptions"
# A caller of spark-submit may set these; jobs rely on the rest.
FREE_PREFIXES: Final = (
    *("spark.executor", "spark.driver", "spark.local.dir"),
    *("spark.cassandra.input.split", "spark.cassandra.input.fetch"),
    *("spark.cassandra.input.reads", "spark.cassandra.input.throughput"),
)
# Results depend on these: the session has only the values that it sets itself, or Spark's defaults.
RESULT_PREFIXES: Final = (
    *("spark.sql.", "spark.cassandra.", "spark.hadoop.fs.file."),
    *("spark.hadoop.mapred.", "spark.hadoop.mapreduce.", "spark.hadoop.parquet."),
)
# Paths without a scheme are on this machine, whatever `core-site.xml` says. On YARN the files of an
# application are distributed through YARN's file system; Millrace's paths have a scheme there too.
DEFAULT_FILES: Final = {"spark.hadoop.fs.defaultFS": "file:///"}


def foreign_keys(given: Mapping[str, str], own: Mapping[str, str]) -> set[str]:
    """Properties given to Spark on which results depend and that the session does not set."""
    return {
        key
        for key in given
        if key.startswith(RESULT_PREFIXES) and not key.startswith(FREE_PREFIXES) and key not in own
    }


def chosen_by_caller(given: Mapping[str, str], own: Mapping[str, str]) -> dict[str, str]:
    """The session's properties whose value the caller of spark-submit has chosen."""
    found = {key: given[key] for key in own if key.startswith(FREE_PREFIXES) and key in given}
    if options := found.get(EXECUTOR_OPTIONS):
        # Java takes the last of repeated options: lower case must not follow the caller's locale.
        found[EXECUTOR_OPTIONS] = f"{options} {spark_defaults()[EXECUTOR_OPTIONS]}"
    return found
