"""A Spark session for commands that verify or repair a store."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from py4j.protocol import Py4JError
from pyspark.sql import SparkSession

from operations.activity import Activities, showing
from runtime.jars import ensure_jars
from runtime.java import find_java
from settings import Settings
from spark_jobs.session.session import build_session

Say = Callable[[str], None]


@contextmanager
def repair_session(
    settings: Settings,
    name: str,
    say: Say,
    *,
    is_brief: bool = False,
    activities: Activities | None = None,
) -> Iterator[SparkSession]:
    """A session with the given name, which ends with the block.

    `is_brief`: see `build_session`. Its start is shown, among the `activities` if there are some.

    Raises:
        MillraceError: Java, the connectors or Spark's driver could not be started.
    """
    starts = f"{name}: starts Spark"
    with activities.doing(starts) if activities else showing(starts):
        ensure_jars(settings, ["spark"], say, find_java(settings, say))
        spark = build_session(settings, name, is_brief=is_brief)
    try:
        yield spark
    finally:
        # Spark may have ended by itself, without memory: what it was used for has said so.
        with suppress(Py4JError, OSError):
            spark.stop()


@contextmanager
def session_alone(settings: Settings, name: str, say: Say) -> Iterator[SparkSession]:
    """A session on one thread that reads and writes no store; it ends with the block.

    Raises:
        MillraceError: Java or Spark's driver could not be started.
    """
    here = settings.model_copy(
        update={
            "spark_master": "local[1]",
            "output_path": "output",
            "checkpoint_path": "checkpoints",
        }
    )
    find_java(here, say)
    spark = build_session(here, name, is_brief=True, is_alone=True)
    try:
        yield spark
    finally:
        spark.stop()
