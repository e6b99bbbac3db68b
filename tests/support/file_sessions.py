"""A Spark session for child processes that write files only: no connectors, no services."""

from __future__ import annotations

import os
from pathlib import Path

from pyspark.sql import SparkSession

from runtime.java import find_java, java_environment
from settings import Settings


def plain_session(scratch: Path, **conf: str) -> SparkSession:
    """A small session with what the sink relies on."""
    os.environ.update(java_environment(find_java(Settings())))
    builder = (
        SparkSession.builder.master("local[1]")
        .config("spark.ui.enabled", "false")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.local.dir", str(scratch))
        .config("spark.sql.session.timeZone", "UTC")
        .config("spark.sql.shuffle.partitions", "1")
        .config("spark.sql.parquet.outputTimestampType", "TIMESTAMP_MICROS")
    )
    for key, value in conf.items():
        builder = builder.config(key, value)
    session = builder.getOrCreate()
    session.sparkContext.setLogLevel("ERROR")
    return session
