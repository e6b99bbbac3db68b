"""Spark Structured Streaming jobs: sources -> transforms -> sinks.

The three declarations (`tickets`, `profiles`, `customers`) and what a pipeline is; the rest lies in
folders. Imports no service of the embedded stack and nothing of an operator.
"""

import sys

from runtime.surroundings import drop_shadows

# Before anything that PYTHONPATH could hold another of.
drop_shadows()

from runtime.interrupts import end_on_interrupt  # noqa: E402

# `python -m spark_jobs.…`: its other imports take a second, in which Ctrl-C may come.
if sys.argv[:1] == ["-m"]:
    end_on_interrupt("interrupted before the job began; nothing was changed")
