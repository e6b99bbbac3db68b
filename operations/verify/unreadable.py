"""Finds, with the Python driver, rows of Cassandra that Spark failed to read."""

from __future__ import annotations

from itertools import islice
from typing import Final

from cql.client import close, connect
from cql.scan import keys_of_times_beyond
from operations.verify.differences import MOST_NAMED, shortened
from settings import Settings
from spark_jobs.pipeline import Pipeline

# Spark counts microseconds in 64 bits.
MOST_MILLISECONDS: Final = (2**63 - 1) // 1000


def unreadable_rows(settings: Settings, pipeline: Pipeline) -> list[str]:
    """The rows of the pipeline's tables whose time is beyond Spark's range, by key, as text.

    Raises:
        SinkError: Cassandra did not answer.
    """
    faults: list[str] = []
    session = connect(settings)
    try:
        for table in pipeline.tables:
            place = f"Cassandra {table.keyspace}.{table.name}"
            found = keys_of_times_beyond(session, table.keyspace, table.name, MOST_MILLISECONDS)
            named = [
                f"{place}: `{name}` has a time that Spark cannot read, so no table was compared:"
                " delete the row or correct it"
                for name in islice(found, MOST_NAMED + 1)
            ]
            faults += shortened(place, named)
    finally:
        close(session)
    return faults
