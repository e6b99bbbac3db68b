"""Spark Structured Streaming jobs: sources -> transforms -> sinks.

Here are the declarations of the built-in pipelines and the definition of a pipeline; the folders
hold the rest. Imports nothing from `local_stack` or `operations`.
"""

import sys

from runtime.surroundings import drop_shadows

# Before any import that a module on PYTHONPATH could shadow.
drop_shadows()

from runtime.interrupts import end_on_interrupt  # noqa: E402

# `python -m spark_jobs.…`: the other imports take a second, during which Ctrl-C may be pressed.
if sys.argv[:1] == ["-m"]:
    end_on_interrupt("interrupted before the job began; nothing was changed")
