"""Spark Structured Streaming jobs: sources -> transforms -> sinks."""

from local_stack.surroundings import drop_shadows

# Before anything that PYTHONPATH could hold another of.
drop_shadows()
