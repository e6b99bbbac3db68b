"""The list of sinks: a new one is a module and a line here (docs/adding-a-sink.md)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

# Name -> the module that writes to it, in the order in which a micro-batch is written.
SINK_MODULES: Final = {
    "cassandra": "spark_jobs.sinks.cassandra",
    "files": "spark_jobs.sinks.files.sink",
    "postgres": "spark_jobs.sinks.postgres",
    "mongodb": "spark_jobs.sinks.mongodb",
}
# Written whatever SINKS lists, by pipelines that forward records.
TOPICS_MODULE: Final = "spark_jobs.sinks.topics"
# The sink whose store has the ledger too, whatever SINKS lists.
LEDGER_SINK: Final = "mongodb"


def has_files(sinks: Sequence[str]) -> bool:
    """Whether one of the sinks writes to OUTPUT_PATH."""
    return "files" in sinks


def keeps_ledger(sink: str) -> bool:
    """Whether a sink's store has the ledger too: `replay` then completes both."""
    return sink == LEDGER_SINK
