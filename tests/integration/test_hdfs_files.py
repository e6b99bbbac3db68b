"""The files sink and a checkpoint on a real HDFS, which `SERVICES=+hdfs make up` has started."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from errors import JobError
from local_stack.hdfs import HdfsDataNode, HdfsNameNode
from operations import reset as resets
from operations.doctor.place_checks import look_at_output
from operations.repair.compact import compact_pipeline
from settings import PROJECT_ROOT, Settings
from spark_jobs.customers import CUSTOMERS
from spark_jobs.session.file_system import output_files
from spark_jobs.sinks.files.reading import delete_sets, read_set
from spark_jobs.sinks.files.rows import snapshot_rows
from spark_jobs.state.checkpoint import checkpoint_at, checkpoint_of
from spark_jobs.state.ledger import Counts
from spark_jobs.tickets import TICKETS
from tests.conftest import free_ports
from tests.integration.test_fault_points import crash
from tests.integration.test_tickets_pipeline import ticket as message
from tests.support.builders import customer, payload, ticket
from tests.support.file_batches import CRASH, batch_of, files_sink, ids
from tests.support.pipelines import MakeWorld
from tests.support.processes import errors_in


def make(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["make", *words, f"PYTHON={sys.executable}"],
        cwd=PROJECT_ROOT,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )


def wishes(settings: Settings) -> dict[str, str]:
    """What a user sets to add an HDFS to the stack."""
    return {
        "SERVICES": "+hdfs",
        "HDFS_PORT": str(settings.hdfs_port),
        "HDFS_DATANODE_PORT": str(settings.hdfs_datanode_port),
    }


@pytest.fixture(scope="module")
def hdfs(stack_settings: Settings) -> Iterator[Settings]:
    """Settings that write to an HDFS next to the services of the tests; it ends with the module."""
    port, datanode_port = free_ports(2)
    settings = stack_settings.model_copy(
        update={
            "hdfs_port": port,
            "hdfs_datanode_port": datanode_port,
            "output_path": f"hdfs://127.0.0.1:{port}/out",
        }
    )
    try:
        done = make("up", **wishes(settings))
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-3000:]
        yield settings
    finally:
        for service in (HdfsDataNode(settings), HdfsNameNode(settings)):
            service.stop()
            shutil.rmtree(service.data_path, ignore_errors=True)
            service.record_path.unlink(missing_ok=True)


def test_status_names_hdfs_where_it_was_asked_for(hdfs: Settings) -> None:
    done = make("status", **wishes(hdfs))

    assert done.returncode == 0, done.stdout[-3000:]
    for service, port in (("hdfs", hdfs.hdfs_port), ("hdfs-datanode", hdfs.hdfs_datanode_port)):
        (line,) = [x for x in done.stdout.splitlines() if re.match(rf"│ {service} +│", x)]
        assert [cell.strip() for cell in line.split("│")][2] == "up"
        assert f"127.0.0.1:{port}" in line


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


def test_customers_on_hdfs_are_merged_and_deleted_without_touching_others(
    hdfs: Settings,
    make_world: MakeWorld,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Written by a job that feeds the files alone, as of customers it may be."""
    made = make_world(CUSTOMERS)
    settings = made.settings.model_copy(
        update={"output_path": f"{hdfs.output_path}/merged", "sinks": ("files",)}
    )
    world = replace(made, settings=settings, pipeline=CUSTOMERS.feeding(("files",)))
    for names in (("A", "B"), ("C",)):
        world.send(*((b"k", payload(customer(customer_id=name))) for name in names), partition=0)
        world.process()
    files_sink(settings).write_batch(batch_of(world.spark, ticket(ticket_id="T")), 0)
    system, customers_usa = output_files(settings), CUSTOMERS.file_sets[0]
    assert len(system.files("customers_usa")) == 2
    of_tickets = [f.path for f in system.files("") if "customers" not in f.path]

    compact_pipeline(world.spark, settings, world.database, CUSTOMERS)

    assert "; 3 rows before and after" in capsys.readouterr().out
    assert len(system.files("customers_usa")) == 1
    rows = read_set(world.spark, settings, customers_usa, "parquet").collect()
    assert sorted(row.customer_id for row in rows) == ["A", "B", "C"]
    # By a process of its own, whose OUTPUT_FORMAT is not what is there.
    there = {"OUTPUT_PATH": settings.output_path, "OUTPUT_FORMAT": "json", "SINKS": "files"}
    for what, names in (("customers_usa", ["A", "B", "C"]), ("tickets_with_assignment", ["T"])):
        done = make("show", f"WHAT=files.{what}", "FORMAT=json", "--no-print-directory", **there)
        assert (done.returncode, errors_in(done.stderr)) == (0, []), done.stdout
        shown = [json.loads(line) for line in done.stdout.splitlines()]
        column = "ticket_id" if what.startswith("tickets") else "customer_id"
        assert sorted(row[column] for row in shown) == names
    done = make("show", "WHAT=files.tickets_by_type", "FORMAT=json", **there)
    assert '{"request_type": "billing", "count": 1}' in done.stdout.splitlines()

    # The session of the tests must not end with the command.
    monkeypatch.setattr(resets, "repair_session", lambda *_: nullcontext(world.spark))
    assert resets.reset(settings, "customers", topics=False, yes=True) == 0

    assert [f.path for f in system.files("")] == of_tickets
    assert ids(read_set(world.spark, settings, TICKETS.file_sets[0], "parquet")) == ["T"]


def test_job_whose_checkpoint_is_on_hdfs_goes_on_from_there(
    hdfs: Settings, make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = make_world(TICKETS)
    place = f"hdfs://127.0.0.1:{hdfs.hdfs_port}/checkpoints/{world.keyspace}"
    settings = world.settings.model_copy(update={"checkpoint_path": place})
    checkpoint = checkpoint_of(settings, world.pipeline.name)
    world.send(message("A"), message("B"), (b"k", b"{"))

    crash(world, monkeypatch, "before-commit", checkpoint_path=place)
    assert (checkpoint.last_planned(), checkpoint.last_committed()) == (0, None)
    checkpoint.set_timestamp(0, checkpoint.planned_batch(0).timestamp_ms - 1)
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
    # Without it the topic would be read again from its beginning.
    checkpoint_at(settings.checkpoints, world.pipeline.name).delete()
    with pytest.raises(JobError, match=r"checkpoint `hdfs://.* is gone"):
        world.process(checkpoint_path=place)


def test_doctor_reports_a_name_node_that_is_away(hdfs: Settings) -> None:
    (port,) = free_ports(1)
    embedded = hdfs.model_copy(update={"services": ("hdfs",)})
    elsewhere = hdfs.model_copy(update={"output_path": f"hdfs://127.0.0.1:{port}/out"})

    (own,), (there,), (away,) = map(look_at_output, (embedded, hdfs, elsewhere))

    assert (own.status, there.status) == ("ok", "ok")
    assert f"cannot connect to 127.0.0.1:{port} (connection refused): start HDFS" in away.text


def test_down_ends_hdfs_though_no_setting_names_it(hdfs: Settings, tmp_path: Path) -> None:
    """In a state folder that knows of its two services and no others."""
    services = (HdfsNameNode(hdfs), HdfsDataNode(hdfs))
    (tmp_path / "run").mkdir()
    for service in services:
        shutil.copy(service.record_path, tmp_path / "run")

    done = make("down", "YES=1", MILLRACE_HOME=str(tmp_path))

    assert done.returncode == 0, done.stderr[-2000:]
    assert {"hdfs: stopped", "hdfs-datanode: stopped", "kafka: was not up"} <= {
        *done.stdout.splitlines()
    }
    assert [service.process() for service in services] == [None, None]
