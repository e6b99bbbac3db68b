"""Files on this machine: one set for each batch, however often it comes or breaks off."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import pandas as pd
import pytest
from pyspark.sql import SparkSession

from errors import SinkRejected
from settings import PROJECT_ROOT, Settings
from spark_jobs.sinks.files.reading import read_set
from spark_jobs.sinks.files.rows import snapshot_rows
from spark_jobs.tickets import TICKETS
from tests.support.builders import ticket
from tests.support.file_batches import CRASH, MakeBatch, batch_of, files_sink, ids, visible


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Only what the files sink reads; no service runs for it."""
    return Settings(output_path=str(tmp_path / "output"), millrace_home=tmp_path / "home")


@pytest.fixture(scope="session")
def spark(job_spark: SparkSession) -> SparkSession:
    return job_spark


@pytest.fixture
def batch(spark: SparkSession) -> MakeBatch:
    """Builds the batch that the job would make of messages."""
    return partial(batch_of, spark)


def test_batch_is_one_file_for_each_set_and_day(settings: Settings, batch: MakeBatch) -> None:
    files_sink(settings).write_batch(
        batch(
            ticket(ticket_id="A"),
            ticket(ticket_id="B", created_at="2026-11-21T23:59:59.999Z", priority="low"),
            ticket(ticket_id="C", created_at="2026-11-22T00:30:00+01:00", priority="critical"),
        ),
        7,
    )

    assert visible(settings) == [
        "high_priority_tickets/day=2026-11-21/5f1d7c2e-0000000007-000.parquet",
        "high_priority_tickets/day=2026-11-22/5f1d7c2e-0000000007-000.parquet",
        "metrics/metrics.parquet",
        "tickets_by_priority/tickets_by_priority.parquet",
        "tickets_by_type/tickets_by_type.parquet",
        "tickets_with_assignment/day=2026-11-21/5f1d7c2e-0000000007-000.parquet",
        "tickets_with_assignment/day=2026-11-22/5f1d7c2e-0000000007-000.parquet",
    ]
    leftovers = [p for p in Path(settings.output_path).rglob("*") if p.suffix == ".crc"]
    assert leftovers == []


def test_snapshots_count_all_batches_and_each_once(settings: Settings, batch: MakeBatch) -> None:
    written = files_sink(settings)
    first = batch(
        ticket(ticket_id="A", client_id="C1", priority="critical"),
        ticket(ticket_id="B", client_id="C2", request_type="general"),
    )
    second = batch(ticket(ticket_id="C", client_id="C1", created_at="2026-11-20T00:00:00Z"))
    for number, each in [(0, first), (0, first), (1, second), (1, second)]:
        written.write_batch(each, number)

    metrics, by_type, by_priority = TICKETS.snapshots
    assert snapshot_rows(settings, metrics, "parquet") == [
        {
            "total_tickets": 3,
            "billing_count": 2,
            "technical_count": 0,
            "account_count": 0,
            "general_count": 1,
            "critical_priority_count": 1,
            "unique_clients": 2,
        }
    ]
    assert snapshot_rows(settings, by_type, "parquet") == [
        {"request_type": "billing", "count": 2},
        {"request_type": "general", "count": 1},
    ]
    assert snapshot_rows(settings, by_priority, "parquet") == [
        {"priority": "critical", "count": 1},
        {"priority": "high", "count": 2},
    ]
    assert pd.read_parquet(Path(settings.output_path) / "metrics")["total_tickets"].tolist() == [3]


def test_batch_that_comes_again_with_other_parts_leaves_none_of_the_former(
    settings: Settings, batch: MakeBatch, spark: SparkSession
) -> None:
    written = files_sink(settings)
    written.write_batch(batch(ticket(ticket_id="A", created_at="2026-11-20T00:00:00Z")), 0)
    written.write_batch(batch(ticket(ticket_id="A", created_at="2026-11-21T00:00:00Z")), 0)

    assert [p for p in visible(settings) if "day=" in p] == [
        "high_priority_tickets/day=2026-11-21/5f1d7c2e-0000000000-000.parquet",
        "tickets_with_assignment/day=2026-11-21/5f1d7c2e-0000000000-000.parquet",
    ]


def test_batch_that_breaks_off_twice_leaves_none_of_the_first_try(
    settings: Settings, batch: MakeBatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError("no space left")

    written = files_sink(settings)
    for broken in ("fault_point", "stage"):
        with monkeypatch.context() as patched:
            patched.setattr(f"spark_jobs.sinks.files.sink.{broken}", fail)
            with pytest.raises(SinkRejected):
                written.write_batch(batch(ticket(created_at="2026-11-20T00:00:00Z")), 0)
    assert [p for p in visible(settings) if "day=" in p]
    written.write_batch(batch(ticket(created_at="2026-11-21T00:00:00Z")), 0)

    assert [p for p in visible(settings) if "day=" in p] == [
        "high_priority_tickets/day=2026-11-21/5f1d7c2e-0000000000-000.parquet",
        "tickets_with_assignment/day=2026-11-21/5f1d7c2e-0000000000-000.parquet",
    ]


def test_row_names_its_batch(settings: Settings, batch: MakeBatch, spark: SparkSession) -> None:
    written = files_sink(settings)
    assert written.totals().last_batch is None
    assert read_set(spark, settings, TICKETS.file_sets[0], "parquet").collect() == []
    written.write_batch(batch(ticket(ticket_id="A")), 3)
    written.write_batch(batch(ticket(ticket_id="B")), 12)

    rows = read_set(spark, settings, TICKETS.file_sets[0], "parquet").collect()
    assert sorted((row.ticket_id, row["_batch_id"]) for row in rows) == [("A", 3), ("B", 12)]
    assert written.totals().last_batch == 12


def test_other_formats_than_before_are_refused(settings: Settings, batch: MakeBatch) -> None:
    files_sink(settings).write_batch(batch(ticket()), 0)

    with pytest.raises(SinkRejected, match=r"are parquet, OUTPUT_FORMAT is csv\. Set") as refused:
        files_sink(settings.model_copy(update={"output_format": ("csv",)})).check()
    assert "make reset PIPELINE=tickets" in str(refused.value)
    files_sink(settings).check()


def test_unwritable_place_is_refused_without_showing_a_record(
    settings: Settings, batch: MakeBatch
) -> None:
    Path(settings.output_path).write_text("a file, not a folder")

    with pytest.raises(SinkRejected, match="OUTPUT_PATH"):
        files_sink(settings).check()
    with pytest.raises(SinkRejected, match="Nothing is lost") as refused:
        files_sink(settings).write_batch(batch(ticket(request="never to be shown")), 0)
    assert "never to be shown" not in str(refused.value)


@pytest.mark.parametrize(
    "point", ["in-files-publish", "in-files-publish:3", "between-files-and-snapshots"]
)
def test_batch_that_broke_off_is_whole_after_it_came_again(
    settings: Settings, batch: MakeBatch, spark: SparkSession, tmp_path: Path, point: str
) -> None:
    several = settings.model_copy(update={"output_format": ("parquet", "csv")})
    died = subprocess.run(
        [sys.executable, "-c", CRASH, settings.output_path, str(tmp_path / "scratch")],
        cwd=PROJECT_ROOT,
        env=os.environ | {"MILLRACE_FAULT": point, "PYTHONPATH": str(PROJECT_ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert died.returncode == -signal.SIGKILL, died.stderr[-2000:]
    assert not [p for p in visible(several) if p.startswith("metrics")]

    records = [ticket(ticket_id="A"), ticket(ticket_id="B", created_at="2026-11-20T00:00:00Z")]
    files_sink(several).write_batch(batch(*records), 0)

    for file_set in TICKETS.file_sets:
        for form in several.output_format:
            assert ids(read_set(spark, several, file_set, form)) == ["A", "B"]
    (row,) = snapshot_rows(several, TICKETS.snapshots[1], "csv")
    assert row == {"request_type": "billing", "count": 2}
    staging = Path(settings.output_path) / "_staging"
    assert [p for p in staging.rglob("*") if p.is_file()] == []


def test_manifest_that_was_changed_from_outside_is_refused(
    settings: Settings, batch: MakeBatch
) -> None:
    files_sink(settings).write_batch(batch(ticket()), 0)
    path = Path(settings.output_path) / "_millrace" / "tickets.json"
    path.write_text(json.dumps({"version": 1}))

    with pytest.raises(SinkRejected, match="make reset PIPELINE=tickets"):
        files_sink(settings).check()
