"""Whatever `millrace new` writes accepts every record of its sample, and fills every key."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
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
    for derive in [each.rows for each in pipeline.sql_tables + pipeline.file_sets]:
        assert derive(rows).count() == rows.count()
    # What `make verify` finds a stored row by.
    assert rows.filter(f"record_id <> {pipeline.id_sql}").count() == 0
    assert pipeline.summarise(rows).count() > 1


ODD: list[dict[str, Any]] = [
    {
        "record-id": f"r{n}",
        "Gift Wrap": n % 2 == 0,
        "a.b": "x",
        "order": {"group": n, "customer info": {"first name": "A", "x.y": 1}},
        "ID": n,
        "id": f"{n} ",
        "名前": "w",
        'quote"d': [1.5, 2],
        "exact": 12345678901234567890123,
        "loose": "" if n % 2 else {"in": n},
        "price": [0.1 + 0.2, 5][n % 2],
        "cost": [1e3, "12.50"][n % 2],
        "seen on": None if n % 3 == 0 else "2026-01-02 03:04:05",
        "deep": {"er": None if n % 2 else {"x" * 60: True}},
        "total": -0.0,
        "flags": [],
        "": "no name",
        "state": "A" if n % 2 else " b",
    }
    for n in range(12)
]


def test_names_and_values_that_no_contract_has_as_they_are(frame: Frame, tmp_path: Path) -> None:
    sample = lines(tmp_path / "odd.jsonl", *ODD)
    pipeline = written(tmp_path, "odd", sample)

    rows = judged(frame, pipeline, sample)
    first = rows.orderBy("kafka_offset").first()

    assert {row.outcome for row in rows.collect()} == {VALID}
    assert first is not None
    expected = {
        "record_id": "0",
        "gift_wrap": True,
        "a_b": "x",
        "order_group": 0,
        "order_customer_info_x_y": 1,
        "id": 0,
        "id_2": "0",
        "field": "w",
        "quote_d": [1.5, 2.0],
        "exact": "12345678901234567890123",
        "loose_in": 0,
        "cost": Decimal("1000.00"),
        "seen_on": None,
    }
    assert {name: first[name] for name in expected} == expected


def test_wide_records_are_judged_too(frame: Frame, tmp_path: Path) -> None:
    wide = [{"id": n, **{f"field_{f}": f"{n * f}" for f in range(200)}} for n in range(3)]
    sample = lines(tmp_path / "wide.jsonl", *wide)

    rows = judged(frame, written(tmp_path, "wide", sample), sample)

    assert {row.outcome for row in rows.collect()} == {VALID}
