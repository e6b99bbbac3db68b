"""The list of sinks: a new one is a module and a line here (docs/adding-a-sink.md)."""

from __future__ import annotations

from typing import Final

# Name -> the module that writes to it, in the order in which a micro-batch is written.
SINK_MODULES: Final = {
    "cassandra": "spark_jobs.sinks.cassandra",
    "files": "spark_jobs.sinks.files.sink",
    "postgres": "spark_jobs.sinks.postgres",
    "mongodb": "spark_jobs.sinks.mongodb",
}
