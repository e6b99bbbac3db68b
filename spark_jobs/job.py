"""The job of any pipeline, by name: `python -m spark_jobs.job orders --available-now`.

For spark-submit too: `spark-submit spark_jobs/job.py orders`.
"""

from __future__ import annotations

import sys
from pathlib import Path

if __package__ in {None, ""}:  # spark-submit of this file: make the project importable
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from collections.abc import Sequence

import spark_jobs  # noqa: F401 - first, as it leaves out modules that shadow others
from errors import MillraceError
from settings import load_settings
from spark_jobs.registry import pipeline_named
from spark_jobs.run.command import EXIT_FAILED
from spark_jobs.run.command import main as run_job


def main(arguments: Sequence[str]) -> int:
    """Run the job of the pipeline that the first argument names; returns the exit code."""
    name, *options = arguments or [""]
    try:
        pipeline = pipeline_named(name, load_settings())
    except MillraceError as error:
        sys.stderr.write(f"{error}\n")
        return EXIT_FAILED
    return run_job([pipeline], options)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
