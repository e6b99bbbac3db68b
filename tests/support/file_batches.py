"""Batches of tickets for the files sink, and what it left below OUTPUT_PATH."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pyspark.sql import DataFrame, SparkSession

from schemas.spark import MESSAGE_SCHEMA
from settings import Settings
from spark_jobs.sinks.base import Batch
from spark_jobs.sinks.files.sink import FilesSink, sink
from spark_jobs.tickets import TICKETS
from tests.support.builders import message

QUERY = "5f1d7c2e-0000-4000-8000-000000000001"
MakeBatch = Callable[..., Batch]


def batch_of(spark: SparkSession, *records: Any) -> Batch:
    # Late, as tickets from after their message are rejected.
    at = datetime(9999, 12, 31, 23, tzinfo=UTC)
    rows = [message(record, offset=i, at=at) for i, record in enumerate(records)]
    read = spark.createDataFrame(rows, MESSAGE_SCHEMA)
    classified = TICKETS.classify(read, Settings()).cache()
    summary = TICKETS.roll_up(row.asDict() for row in TICKETS.summarise(classified).collect())
    return Batch(classified.filter("outcome = 'valid'"), summary, QUERY)


def files_sink(settings: Settings) -> FilesSink:
    made = sink(TICKETS, settings, None)  # type: ignore[arg-type]
    assert isinstance(made, FilesSink)
    return made


def visible(settings: Settings) -> list[str]:
    """Paths that a reader sees: nothing below a name that begins with `_` or `.`."""
    root = Path(settings.output_path)
    paths = (path.relative_to(root) for path in root.rglob("*") if path.is_file())
    return sorted(
        str(path) for path in paths if not any(part.startswith(("_", ".")) for part in path.parts)
    )


def ids(rows: DataFrame) -> list[str]:
    return sorted(row.ticket_id for row in rows.collect())


CRASH = """
import sys
from pathlib import Path
from settings import Settings
from tests.support.file_batches import batch_of, files_sink
from tests.support.file_sessions import plain_session
from tests.support.builders import ticket
settings = Settings(output_path=sys.argv[1], output_format=("parquet", "csv"))
spark = plain_session(Path(sys.argv[2]))
records = [ticket(ticket_id="A"), ticket(ticket_id="B", created_at="2026-11-20T00:00:00Z")]
files_sink(settings).write_batch(batch_of(spark, *records), 0)
"""
