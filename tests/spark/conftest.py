from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession

from operations.verify.on_spark import FEW_PLANS
from runtime.java import find_java, java_environment
from schemas.spark import MESSAGE_SCHEMA
from settings import Settings
from spark_jobs.session.defaults import spark_defaults
from spark_jobs.session.jvm_classes import remember_lookups
from spark_jobs.session.session import INTERPRETED
from spark_jobs.sources.local_rows import local_rows
from tests.support.builders import messages
from tests.support.summaries import records_of

TIME_PARSER = "spark.sql.legacy.timeParserPolicy"


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkSession]:
    scratch = tmp_path_factory.mktemp("spark")
    os.environ.update(java_environment(find_java(Settings())))
    builder = SparkSession.builder.master("local[2]")
    # As for few records; what needs `compiled`, and tests with services, compile as jobs do.
    for name, value in (INTERPRETED | FEW_PLANS).items():
        builder = builder.config(name, value)
    session = (
        builder.appName("millrace-tests")
        .config("spark.ui.enabled", "false")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.driver.memory", "1g")
        .config("spark.local.dir", str(scratch / "local"))
        .config("spark.sql.warehouse.dir", str(scratch / "warehouse"))
        .config("spark.sql.shuffle.partitions", "2")
        .config("spark.sql.session.timeZone", "UTC")
        .config("spark.sql.parquet.outputTimestampType", "TIMESTAMP_MICROS")
        .config("spark.sql.datetime.java8API.enabled", "true")
        .config(TIME_PARSER, spark_defaults().get(TIME_PARSER, "EXCEPTION"))
        .config("spark.sql.ansi.enabled", "false")
        .config("spark.sql.debug.maxToStringFields", "1000")
        # The event log is what a history server shows: the secrecy test reads it.
        .config("spark.eventLog.enabled", "true")
        .config("spark.eventLog.dir", scratch.as_uri())
        .getOrCreate()
    )
    session.sparkContext.setLogLevel("ERROR")
    remember_lookups(session)
    yield session
    session.stop()


@pytest.fixture
def compiled(spark: SparkSession) -> Iterator[None]:
    """Lets Spark compile its plans, as for many records."""
    for name in INTERPRETED | FEW_PLANS:
        spark.conf.unset(name)
    yield
    for name, value in (INTERPRETED | FEW_PLANS).items():
        spark.conf.set(name, value)


@pytest.fixture
def frame(spark: SparkSession) -> Callable[..., DataFrame]:
    """Build a frame of messages, one per record."""

    def build(records: Sequence[Any], **options: Any) -> DataFrame:
        return local_rows(spark, messages(records, **options), MESSAGE_SCHEMA)

    return build


@pytest.fixture
def rows(spark: SparkSession) -> Callable[..., DataFrame]:
    """Build a frame of classified records of every type, one per dictionary."""
    return partial(records_of, spark)
