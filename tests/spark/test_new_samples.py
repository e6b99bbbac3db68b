"""Whatever `millrace new` writes accepts every record of its sample, and fills every key."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import DataFrame

from operations.new.new import new
from producers.samples import sample_records
from settings import Settings
from spark_jobs.pipeline import Pipeline
from spark_jobs.registry import load_pipeline
from spark_jobs.transforms.outcomes import VALID
from spark_jobs.transforms.pseudonymise import Digests
from tests.support.sample_files import SAMPLES

Frame = Callable[..., DataFrame]


def written(folder: Path, name: str, sample: Path, *ids: str) -> Pipeline:
    new(Settings(pipelines_path=folder / "pipelines"), name, str(sample), ids)
    return load_pipeline(folder / "pipelines" / name)


def judged(frame: Frame, pipeline: Pipeline, sample: Path) -> DataFrame:
    messages = frame([value for _, value in sample_records(sample)])
    return pipeline.judge(messages, Digests.hmac_sha256("key")).cache()


def lines(path: Path, *records: Any) -> Path:
    path.write_text("".join(f"{json.dumps(record)}\n" for record in records))
    return path


@pytest.mark.parametrize("name", SAMPLES)
def test_every_record_of_the_sample_is_valid(name: str, frame: Frame, tmp_path: Path) -> None:
    sample = SAMPLES[name](tmp_path)
    pipeline = written(tmp_path, name, sample)

    rows = judged(frame, pipeline, sample)

    assert [row.reasons for row in rows.filter(f"outcome <> '{VALID}'").collect()] == []
    assert rows.count() == len([*sample_records(sample)])
    for table in pipeline.tables:
        key = [column for column, _, _ in table.declared.key]
        stored = table.rows(rows)
        assert stored.columns == [*table.declared.columns]
        assert stored.filter(" OR ".join(f"{column} IS NULL" for column in key)).count() == 0
        assert stored.select(*key).distinct().count() == rows.select("record_id").distinct().count()
    for target in (*pipeline.sql_tables, *pipeline.file_sets):
        assert target.rows(rows).count() == rows.count()
    assert pipeline.summarise(rows).count() > 1
