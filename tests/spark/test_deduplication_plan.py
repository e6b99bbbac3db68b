"""The plan from messages to first arrivals: what a batch's clock does to its code."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from pyspark.sql import DataFrame, SparkSession

from settings import Settings
from spark_jobs.pipeline import Pipeline
from spark_jobs.profiles import PROFILES
from spark_jobs.run.query import deduplicated
from spark_jobs.start_checks.fingerprint import EPOCH
from spark_jobs.tickets import TICKETS
from spark_jobs.transforms.deduplicate import PROCESSED_AT


@pytest.mark.parametrize("pipeline", [TICKETS, PROFILES], ids=lambda pipeline: pipeline.name)
def test_the_clock_of_a_batch_is_no_part_of_the_code_that_judges_messages(
    spark: SparkSession,
    frame: Callable[..., DataFrame],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    pipeline: Pipeline,
) -> None:
    """Otherwise Spark would compile that code in every batch, each time cold."""
    batch = frame([b"nonsense"])
    batch.write.parquet(str(tmp_path / "messages"))
    stream = spark.readStream.schema(batch.schema).parquet(str(tmp_path / "messages"))
    settings = Settings(millrace_home=tmp_path)

    deduplicated(stream, pipeline, settings, partitions=2, not_before=EPOCH).explain()

    projections = [line for line in capsys.readouterr().out.splitlines() if "Project [" in line]
    judging = [line for line in projections if "outcome" in line and "CASE WHEN" in line]
    telling_time = [line for line in projections if f"AS {PROCESSED_AT}" in line]
    assert len(judging) >= 1
    assert len(telling_time) == 1
    assert "CASE WHEN" not in telling_time[0]
