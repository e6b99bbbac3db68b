"""The files sink and a checkpoint on a real NameNode and DataNode."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from operations.place_checks import look_at_output
from settings import PROJECT_ROOT, JobError, Settings
from spark_jobs.checkpoint import checkpoint_at
from spark_jobs.ledger import Counts
from spark_jobs.sinks.file_reading import delete_sets, read_set, snapshot_rows
from spark_jobs.sinks.file_system import output_files
from spark_jobs.tickets import TICKETS
from tests.conftest import free_ports
from tests.integration.test_fault_points import crash
from tests.integration.test_files import CRASH, batch_of, files_sink, ids
from tests.integration.test_tickets_pipeline import ticket as message
from tests.support.builders import ticket
from tests.support.hdfs import running_hdfs
from tests.support.pipelines import MakeWorld


@pytest.fixture(scope="module")
def hdfs(stack_settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """Settings that write to an HDFS of its own, which ends with the module."""
    with running_hdfs(stack_settings, tmp_path_factory.mktemp("hdfs")) as settings:
        yield settings


def test_batch_that_broke_off_on_hdfs_is_whole_after_it_came_again(
    hdfs: Settings, job_spark: SparkSession, tmp_path: Path
) -> None:
    several = hdfs.model_copy(update={"output_format": ("parquet", "csv")})
    died = subprocess.run(
        [sys.executable, "-c", CRASH, several.output_path, str(tmp_path / "scratch")],
        cwd=PROJECT_ROOT,
        env=os.environ | {"MILLRACE_FAULT": "in-files-publish:3", "PYTHONPATH": str(PROJECT_ROOT)},
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert died.returncode == -signal.SIGKILL, died.stderr[-2000:]
    system = output_files(several)
    half = [file.path for file in system.files("") if not file.path.startswith("_")]
    assert len(half) == 3

    sink = files_sink(several)
    sink.check()
    records = [ticket(ticket_id="A"), ticket(ticket_id="B", created_at="2026-11-20T00:00:00Z")]
    sink.write_batch(batch_of(job_spark, *records), 0)
    sink.write_batch(batch_of(job_spark, ticket(ticket_id="C")), 1)
    sink.write_batch(batch_of(job_spark, ticket(ticket_id="C")), 1)

    for file_set in TICKETS.file_sets:
        for form in several.output_format:
            assert ids(read_set(job_spark, several, file_set, form)) == ["A", "B", "C"]
    assert snapshot_rows(several, TICKETS.snapshots[1], "parquet") == [
        {"request_type": "billing", "count": 3}
    ]
    staged = [f.path for f in system.files("_staging") if "targets" not in f.path]
    assert staged == []
    delete_sets(several, TICKETS)
    assert [f.path for f in system.files("") if not f.path.startswith("_staging")] == []


def test_job_whose_checkpoint_is_on_hdfs_goes_on_from_there(
    hdfs: Settings, make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = make_world(TICKETS)
    place = f"hdfs://127.0.0.1:{hdfs.hdfs_port}/checkpoints/{world.keyspace}"
    settings = world.settings.model_copy(update={"checkpoint_path": place})
    checkpoint = world.pipeline.checkpoint(settings)
    world.send(message("A"), message("B"), (b"k", b"{"))

    crash(world, monkeypatch, "before-commit", checkpoint_path=place)
    assert (checkpoint.last_planned(), checkpoint.last_committed()) == (0, None)
    checkpoint.set_timestamp(0, checkpoint.plan(0).timestamp_ms - 1)
    world.process(checkpoint_path=place)
    world.send(message("C"), message("A"))
    world.process(checkpoint_path=place)

    assert world.totals() == Counts(
        read=5, stored=3, dead_lettered=1, duplicates=1, reasons={"unparseable": 1}
    )
    assert sorted(row["ticket_id"] for row in world.rows("tickets")) == ["A", "B", "C"]
    assert [d["count"] for d in world.documents("tickets_by_team").values()] == [3]
    assert checkpoint.last_committed() == 1
    assert not (world.settings.millrace_home / "checkpoints").exists()
    # Without it the topic would be read anew.
    checkpoint_at(settings, world.pipeline.name).delete()
    with pytest.raises(JobError, match=r"checkpoint `hdfs://.* is gone"):
        world.process(checkpoint_path=place)


def test_doctor_tells_a_name_node_that_is_away(hdfs: Settings) -> None:
    (port,) = free_ports(1)
    embedded = hdfs.model_copy(update={"services": ("hdfs",)})
    elsewhere = hdfs.model_copy(update={"output_path": f"hdfs://127.0.0.1:{port}/out"})

    (own,), (there,), (away,) = map(look_at_output, (embedded, hdfs, elsewhere))

    assert (own.status, there.status) == ("ok", "ok")
    assert f"cannot connect to 127.0.0.1:{port} (connection refused): start HDFS" in away.text
