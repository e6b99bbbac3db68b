"""Rows that the driver holds -> DataFrame."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import ArrayType, StructType


def local_rows(spark: SparkSession, rows: Iterable[Sequence[Any]], schema: StructType) -> DataFrame:
    """Some thousand rows as a DataFrame of one partition.

    Spark's `createDataFrame` would start a process of Python to read them back, for a second or
    two.

    Columns out: those of `schema`, all nullable: numbers, texts, bytes and instants.
    Grain: one row.
    """
    objects = [dict(zip(schema.names, row, strict=True)) for row in rows]
    text = F.lit(json.dumps(objects, default=_in_json))
    held = F.from_json(text, ArrayType(schema), {"mode": "FAILFAST"})
    return spark.range(1, numPartitions=1).select(F.inline(held))


def _in_json(value: Any) -> str:
    """Bytes and instants as Spark reads them from JSON."""
    return value.isoformat() if isinstance(value, datetime) else b64encode(value).decode()
