"""Parts of the files sink that need neither Spark nor a store."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from errors import SettingsError
from settings import PROJECT_ROOT, Settings, load_settings
from spark_jobs.sinks.files.formats import small_file
from spark_jobs.sinks.files.manifest import with_batch, within

NO_FILE = Path("no.env")


def settings(**changes: Any) -> Settings:
    return load_settings(changes, env_file=NO_FILE)


def test_batches_become_ranges() -> None:
    ranges: list[tuple[int, int]] = []
    for batch_id in (0, 1, 5, 2, 4, 5):
        ranges = with_batch(ranges, batch_id)

    assert ranges == [(0, 2), (4, 5)]
    assert [within(ranges, n) for n in (2, 3, 4, 6)] == [True, False, True, False]


ROWS = [{"priority": 'a "b", c', "count": 7}, {"priority": "é", "count": 10**15}]


def test_snapshot_has_its_columns_in_order_in_every_format() -> None:
    columns = ("count", "priority")

    assert (
        small_file(columns, ROWS, "json")
        == (
            '{"count": 7, "priority": "a \\"b\\", c"}\n'
            '{"count": 1000000000000000, "priority": "é"}\n'
        ).encode()
    )
    assert (
        small_file(columns, ROWS, "csv")
        == ('count,priority\n7,"a ""b"", c"\n1000000000000000,é\n').encode()
    )
    table = pq.read_table(io.BytesIO(small_file(columns, ROWS, "parquet")))
    assert table.column_names == ["count", "priority"]
    assert table.to_pylist() == ROWS


def test_snapshot_in_parquet_keeps_its_length_when_its_numbers_change() -> None:
    few = small_file(("priority", "count"), ROWS[:1], "parquet")
    many = small_file(("priority", "count"), ROWS, "parquet")

    assert len(few) == len(many) == 4096


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"output_format": "parquet,xml"}, "OUTPUT_FORMAT: expected one or more of parquet"),
        ({"output_path": "s3://bucket/x"}, "OUTPUT_PATH: expected a folder, `s3a://"),
        ({"output_path": "s3a://key:secret@bucket/x"}, "AWS_SECRET_ACCESS_KEY"),
        ({"aws_access_key_id": "k"}, "one is set without the other"),
        ({"s3_endpoint_url": "minio:9000"}, "S3_ENDPOINT_URL: expected `http://"),
    ],
)
def test_place_that_cannot_be_used_is_refused(given: dict[str, str], reason: str) -> None:
    with pytest.raises(SettingsError, match=re.escape(reason)) as caught:
        settings(**given)
    assert "key:secret" not in str(caught.value)


def test_place_on_this_machine_is_below_the_project() -> None:
    assert settings(output_path="out").output_path == str(PROJECT_ROOT / "out")
    assert settings(output_path="hdfs://h:1/x/").output_path == "hdfs://h:1/x"
    assert settings(output_format="CSV, parquet,csv").output_format == ("csv", "parquet")
