"""Spark Structured Streaming jobs: sources -> transforms -> sinks."""

import sys

from local_stack.surroundings import drop_shadows

# Before anything that PYTHONPATH could hold another of.
drop_shadows()

from spark_jobs.interrupts import end_on_interrupt  # noqa: E402

# `python -m spark_jobs.…`: its other imports take a second, in which Ctrl-C may come.
if sys.argv[:1] == ["-m"]:
    end_on_interrupt("interrupted before the job began; nothing was changed")
