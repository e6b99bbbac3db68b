"""Tests of a user's pipeline without a broker or a store: given messages, expect outcomes and rows.

    from pathlib import Path

    from millrace.testing import judged

    def test_order_without_an_amount_is_rejected() -> None:
        [row] = judged(Path(__file__).parent, [{"order_id": "O-1"}])

        assert row["outcome"] == "rejected"
        assert "missing_amount" in row["reasons"]

In pytest the fixture `judge` does the same for the folder of the test: `judge([{…}])`.
"""

from __future__ import annotations

import atexit
import json
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, Final

from pyspark.sql import SparkSession

from operations.spark_session import session_alone
from schemas.spark import MESSAGE_SCHEMA
from settings import load_settings
from spark_jobs.pipeline import Pipeline
from spark_jobs.registry import load_pipeline
from spark_jobs.sources.local_rows import local_rows
from spark_jobs.transforms.outcomes import STORED
from spark_jobs.transforms.pseudonymise import Digests

DUPLICATE: Final = "duplicate"
# Digests in tests are the same everywhere.
KEY: Final = "a key for tests only"
# Columns of messages, which are of no interest in a test.
HIDDEN: Final = frozenset(
    ("key", "value", "redrives", "kafka_topic", "kafka_timestamp_ms", "kafka_timestamp")
)
Message = str | bytes | Mapping[str, Any]


def judged(
    pipeline: Pipeline | Path, messages: Iterable[Message], at: datetime | None = None
) -> list[dict[str, Any]]:
    """What a job makes of messages that arrive one after the other, in their order.

    Each row has `outcome` (`valid`, `alert`, `filtered`, `rejected` or `duplicate`), `reasons`,
    `record_id`, its place on the topic (partition 0, offsets from 0) and all columns, as Python
    has their values; they are None unless the record is valid or an alert.

    Args:
        pipeline: A pipeline, or its folder.
        messages: Values of messages: texts or bytes as they are, anything else as JSON.
        at: When they arrived (an aware time); now by default.

    Raises:
        PipelineError: The folder, contract or declaration has faults; lists them all.
        MillraceError: Java or Spark's driver could not be started.
    """
    loaded = pipeline if isinstance(pipeline, Pipeline) else load_pipeline(pipeline)
    now = at or datetime.now(UTC)
    number = int(now.timestamp() * 1000)
    arrived = [
        (None, _value(message), loaded.name, 0, offset, now, number, 0)
        for offset, message in enumerate(messages)
    ]
    frame = local_rows(_session(), arrived, MESSAGE_SCHEMA)
    digests = Digests.hmac_sha256(KEY) if loaded.hashes else None
    rows = [row.asDict(recursive=True) for row in loaded.judge(frame, digests).collect()]
    seen: set[str] = set()
    for row in sorted(rows, key=lambda each: each["kafka_offset"]):
        if row["outcome"] in STORED and row["record_id"] in seen:
            row["outcome"] = DUPLICATE
        seen.add(row["record_id"])
    return [{name: row[name] for name in row if name not in HIDDEN} for row in rows]


def _value(message: Message) -> bytes:
    if isinstance(message, bytes):
        return message
    text = message if isinstance(message, str) else json.dumps(message, ensure_ascii=False)
    return text.encode()


@cache
def _session() -> SparkSession:
    """One session for all tests of a process, which ends with it."""
    if active := SparkSession.getActiveSession():
        return active
    kept = ExitStack()
    spark = kept.enter_context(session_alone(load_settings(), "test", lambda text: None))
    atexit.register(kept.close)
    return spark
