"""`python -m tests.support.job_in_keyspace KEYSPACE PIPELINE [options]`: a job on test tables.

The same command line as `python -m spark_jobs.PIPELINE`, which knows the platform's tables only.
"""

from __future__ import annotations

import sys

import spark_jobs  # noqa: F401 - first, as it leaves out modules that shadow others
from settings import load_settings
from spark_jobs.registry import pipeline_named
from spark_jobs.run.command import main
from tests.support.world import in_keyspace

if __name__ == "__main__":
    keyspace, name, *options = sys.argv[1:]
    sys.exit(main([in_keyspace(pipeline_named(name, load_settings()), keyspace)], options))
