"""Recomputes, on Spark and from the topic, the records that confirmed batches must have stored.

This needs every message of those batches: otherwise the first message of an id is unknown.
"""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from operations.verify.messages import Messages
from spark_jobs.targets import PLACE
from spark_jobs.transforms.outcomes import STORED


def expected_records(messages: Messages | None) -> DataFrame | None:
    """Classified records that confirmed batches stored; None if the broker lacks some messages.

    Columns out: those of the pipeline's classified messages without `key` and `value`.
    Grain: one stored record.
    """
    if messages is None or not messages.is_whole:
        return None
    stored = messages.rows.filter(F.col("outcome").isin(*STORED)).select(*PLACE)
    return messages.whole.join(stored, [*PLACE], "left_semi")
