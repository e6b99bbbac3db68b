"""Parts of the files sink that need neither Spark nor a store."""

from __future__ import annotations

import io
import re
import sys
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from errors import JobError, SettingsError
from settings import PROJECT_ROOT, Settings, load_settings
from spark_jobs.session.file_system import LocalFiles
from spark_jobs.sinks.files import exchange
from spark_jobs.sinks.files.exchange import Intent, finish, read_intent
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


OLD, NEW = ["a.csv", "b.csv", "open.csv"], ["compacted-1-000.csv", "open.csv"]


class Died(BaseException):
    """Stands for `kill -9`: nothing catches it."""


class Killer:
    """Ends the work instead of its n-th file operation from now on."""

    left: int | None = None

    def __call__(self, event: str, _: object) -> None:
        if self.left is None or not event.startswith(("open", "os.", "shutil.")):
            return
        self.left -= 1
        if self.left < 0:
            self.left = None
            raise Died


def interrupted(tmp_path: Path) -> Iterator[tuple[LocalFiles, list[str]]]:
    """A merge of two files of three, killed before each of its file operations.

    Yields where each was killed, and the names that readers then find in the day.
    """
    killer = Killer()
    sys.addaudithook(killer)
    for point in count():
        system = LocalFiles(tmp_path / str(point))
        for path in (*(f"set/day/{name}" for name in OLD), "staged/1/rows/part.csv"):
            system.write(path, b"")
        intent = Intent.of("set/day", "staged/1", ["a.csv", "b.csv"], ["part.csv"])
        intent.save(system, "tickets")
        killer.left = point
        try:
            finish(system, "tickets", intent)
        except JobError:
            break
        except Died:
            yield system, visible(system)
        else:
            break
    killer.left = None
    assert point > 10


def visible(system: LocalFiles) -> list[str]:
    return sorted(name for name in system.names("set/day") if not name.startswith("."))


def test_merge_is_completed_wherever_it_was_killed(tmp_path: Path) -> None:
    found = []
    for system, names in interrupted(tmp_path):
        found.append(names)
        if intent := read_intent(system, "tickets"):
            finish(system, "tickets", intent)
        assert visible(system) == NEW
        assert read_intent(system, "tickets") is None

    assert [names for n, names in enumerate(found) if names not in found[:n]] == [OLD, NEW]


def test_merge_that_this_system_cannot_do_changes_nothing_wherever_it_was_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise JobError("cannot exchange two folders")

    monkeypatch.setattr(exchange, "_swap", refuse)
    for system, _ in interrupted(tmp_path):
        if intent := read_intent(system, "tickets"):
            with pytest.raises(JobError, match="cannot exchange"):
                finish(system, "tickets", intent)
        assert visible(system) == OLD
        assert read_intent(system, "tickets") is None
