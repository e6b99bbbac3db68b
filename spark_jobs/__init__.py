"""Spark Structured Streaming jobs: sources -> transforms -> sinks."""

import sys

from spark_jobs.interrupts import end_on_interrupt

# `python -m spark_jobs.…`: its other imports take a second, in which Ctrl-C may come.
if sys.argv[:1] == ["-m"]:
    end_on_interrupt("interrupted before the job began; nothing was changed")
