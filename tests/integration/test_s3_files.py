"""Files and checkpoints on a real S3 API server, in processes of their own: S3 wants own jars."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import uuid
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest
from pyarrow.fs import S3FileSystem

from errors import MillraceError, SinkUnavailable
from operations.bucket import ensure_bucket
from operations.show import RowFilter, show
from settings import PROJECT_ROOT, Settings, load_settings
from spark_jobs.state.ledger import Counts
from spark_jobs.tickets import TICKETS
from tests.integration.test_tickets_pipeline import ticket as message
from tests.support.containers import compose
from tests.support.pipelines import MakeWorld
from tests.support.processes import errors_in, finish, output_of, start_job
from tests.support.s3 import KEY, REGION, SECRET, s3_client, s3_endpoint, s3_settings

__all__ = ["s3_endpoint"]

BUCKET = "millrace-tests"
PLACE = f"{BUCKET}/out"
SET = "tickets_with_assignment"
WRITE = """
import sys
from settings import load_settings
from spark_jobs.session.session import build_session
from tests.support.file_batches import batch_of, files_sink
from tests.support.builders import ticket
settings = load_settings()
spark = build_session(settings, "s3")
sink = files_sink(settings)
sink.check()
first = [ticket(ticket_id="A"), ticket(ticket_id="B", created_at="2026-11-20T00:00:00Z")]
sink.write_batch(batch_of(spark, *first), 0)
sink.write_batch(batch_of(spark, ticket(ticket_id="C")), 1)
sink.write_batch(batch_of(spark, ticket(ticket_id="C")), 1)
"""
# After it has said that files are merged it waits for a line, and then deletes what tickets have.
REPAIR = """
from operations.repair.compact import compact
from operations.reset import reset
from spark_jobs.state.ledger import Counts, Entry, Ledger
from spark_jobs.sinks.mongodb import confirmed_database, connect_mongodb
from tests.support.file_batches import QUERY
with connect_mongodb(settings) as client:
    ledger = Ledger(confirmed_database(client, settings), "tickets")
    for batch_id, offsets in enumerate([(0, 2), (2, 3)]):
        counts = Counts(read=offsets[1] - offsets[0], stored=offsets[1] - offsets[0])
        ledger.confirm(
            Entry("tickets", "client_tickets", QUERY, batch_id, {0: offsets}, counts, ("files",))
        )
compact(settings, "tickets_with_assignment", None)
print("merged", flush=True)
sys.stdin.readline()
sys.exit(reset(settings, "tickets", topics=False, yes=True))
"""


@pytest.fixture
def endpoint(s3_endpoint: str) -> str:
    s3_client(s3_endpoint).create_bucket(Bucket=BUCKET)
    return s3_endpoint


def visible(endpoint: str) -> list[str]:
    """Keys that readers see below the place of the files."""
    listed = s3_client(endpoint).list_objects_v2(Bucket=BUCKET, Prefix="out/").get("Contents", [])
    keys = [item["Key"].removeprefix("out/") for item in listed]
    return [k for k in keys if not k.startswith("_") and not k.endswith("/")]


def start(program: str, home: Path, endpoint: str, **environment: str) -> subprocess.Popen[str]:
    with (home / "stderr.txt").open("w") as errors:
        return subprocess.Popen(
            [sys.executable, "-c", program],
            cwd=PROJECT_ROOT,
            env=os.environ
            | {
                "PYTHONPATH": str(PROJECT_ROOT),
                "MILLRACE_HOME": str(home),
                "MONGO_DATABASE": f"t{uuid.uuid4().hex[:10]}",
                "SINKS": "files",
                "SPARK_MASTER": "local[1]",
                "OUTPUT_PATH": f"s3a://{PLACE}",
            }
            | s3_settings(endpoint)
            | environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )


def test_batch_that_broke_off_on_s3_is_whole_after_it_came_again_then_merged_then_deleted(
    tmp_path: Path, endpoint: str, stack_settings: Settings
) -> None:
    (tmp_path / "jars").symlink_to(stack_settings.millrace_home / "jars")
    died = start(WRITE, tmp_path, endpoint, MILLRACE_FAULT="in-files-publish:2")
    died.communicate(timeout=280)
    stderr = tmp_path / "stderr.txt"
    assert died.returncode == -signal.SIGKILL, stderr.read_text()[-3000:]
    s3 = S3FileSystem(
        access_key=KEY,
        secret_key=SECRET,
        endpoint_override=endpoint.removeprefix("http://"),
        scheme="http",
        region=REGION,
    )
    half = visible(endpoint)
    assert len(half) == 2
    for key in half:
        assert pq.read_table(f"{PLACE}/{key}", filesystem=s3).num_rows == 1
    others = ["customers_usa/a.parquet", "readme.txt", "tickets_with_assignment_of_others/a.csv"]
    for name in others:
        s3_client(endpoint).put_object(Bucket=BUCKET, Key=f"out/{name}", Body=b"x")

    with start(WRITE + REPAIR, tmp_path, endpoint) as done:
        assert done.stdin is not None
        assert done.stdout is not None
        output = ""
        while not output.endswith("merged\n"):
            line = done.stdout.readline()
            assert line, stderr.read_text()[-3000:]
            output += line

        rows = pd.read_parquet(f"{PLACE}/tickets_with_assignment", filesystem=s3)
        assert sorted(rows["ticket_id"]) == ["A", "B", "C"]
        assert sorted(rows["day"].astype(str)) == ["2026-11-20", "2026-11-22", "2026-11-22"]
        days = [k.split("/")[1] for k in visible(endpoint) if k.startswith(f"{SET}/day=")]
        assert days == ["day=2026-11-20", "day=2026-11-22"]
        assert f"{SET}/day=2026-11-22: 2 files" in output
        assert "; 2 rows before and after" in output
        by_type = pd.read_parquet(f"{PLACE}/tickets_by_type", filesystem=s3)
        assert by_type.to_dict("records") == [{"request_type": "billing", "count": 3}]
        assert not [key for key in visible(endpoint) if key.endswith("_SUCCESS")]
        *of_last_day, first = shown(endpoint, f"files.{SET}")
        assert (sorted(of_last_day), first) == (["A", "C"], "B")
        assert shown(endpoint, "files.tickets_by_type", "request_type") == ["billing"]
        output += done.communicate("\n", timeout=200)[0]

    assert done.returncode == 0, stderr.read_text()[-3000:]
    assert SECRET not in output + stderr.read_text()
    assert sorted(visible(endpoint)) == others


def shown(endpoint: str, what: str, column: str = "ticket_id") -> list[str]:
    """What `make show` prints of a set, under settings that name another format."""
    done = subprocess.run(
        [sys.executable, "-m", "operations.cli", "show", what, "--format", "json"],
        cwd=PROJECT_ROOT,
        env=os.environ
        | {"OUTPUT_PATH": f"s3a://{PLACE}", "OUTPUT_FORMAT": "csv", "SINKS": "files"}
        | s3_settings(endpoint),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, errors_in(done.stderr)) == (0, [])
    return [json.loads(line)[column] for line in done.stdout.splitlines()]


def test_show_reports_what_is_wrong_with_s3(s3_endpoint: str) -> None:
    own = load_settings(
        {
            "sinks": "files",
            "output_path": "s3a://never-made/out",
            "aws_access_key_id": KEY,
            "aws_secret_access_key": SECRET,
            "aws_region": REGION,
            "s3_endpoint_url": s3_endpoint,
        },
        Path("no.env"),
    )
    away = own.model_copy(update={"s3_endpoint_url": "http://127.0.0.1:9"})

    for settings, reason in (
        (own, "(NoSuchBucket): `make up` creates it"),
        (away, "S3 at http://127.0.0.1:9 does not answer"),
    ):
        with pytest.raises(MillraceError, match=re.escape(reason)) as caught:
            show(settings, f"files.{SET}", RowFilter({}, 5), "table")
        assert SECRET not in str(caught.value)


def test_job_whose_checkpoint_is_on_s3_goes_on_from_there_after_its_death(
    endpoint: str, make_world: MakeWorld
) -> None:
    world = make_world(TICKETS)
    there = {"CHECKPOINT_PATH": f"s3a://{BUCKET}/checkpoints", **s3_settings(endpoint)}
    world.send(message("A"), message("B"), message("A"))

    died = start_job(world, "--available-now", MILLRACE_FAULT="before-commit", **there)
    assert died.wait(200) == -signal.SIGKILL, output_of(world)[-3000:]
    world.send(message("C"), message("B"))
    finish(world, **there)

    assert world.totals() == Counts(read=5, stored=3, duplicates=2)
    assert sorted(row["ticket_id"] for row in world.rows("tickets")) == ["A", "B", "C"]
    assert [d["count"] for d in world.documents("tickets_by_team").values()] == [3]
    listed = s3_client(endpoint).list_objects_v2(Bucket=BUCKET, Prefix="checkpoints/tickets/v1/")
    names = {item["Key"].removeprefix("checkpoints/tickets/v1/") for item in listed["Contents"]}
    assert {"metadata", "offsets/0", "commits/0", "offsets/1", "commits/1"} <= names
    assert not (world.settings.millrace_home / "checkpoints").exists()
    assert SECRET not in output_of(world)


def test_job_without_keys_takes_those_of_the_users_profile(
    endpoint: str, make_world: MakeWorld, tmp_path: Path
) -> None:
    world = make_world(TICKETS)
    profile = tmp_path / "credentials"
    keys = f"aws_access_key_id = {KEY}\naws_secret_access_key = {SECRET}\n"
    profile.write_text(f"[default]\n{keys}")
    there = {"S3_ENDPOINT_URL": endpoint, "AWS_REGION": REGION}
    there |= {"AWS_SHARED_CREDENTIALS_FILE": str(profile), "OUTPUT_PATH": f"s3a://{PLACE}"}
    world.send(message("A"))

    finish(world, **there)

    assert world.totals() == Counts(read=1, stored=1)
    assert [key for key in visible(endpoint) if key.startswith(SET)] != []


def test_set_up_creates_the_bucket_except_on_aws(s3_endpoint: str, tmp_path: Path) -> None:
    usual = {"sinks": "files", "output_path": "s3a://made-by-up/out", "aws_access_key_id": KEY}
    usual |= {"aws_secret_access_key": SECRET, "aws_region": REGION}
    own = load_settings(usual | {"s3_endpoint_url": s3_endpoint}, tmp_path / "no.env")
    away = own.model_copy(update={"s3_endpoint_url": "http://127.0.0.1:9"})
    on_aws = own.model_copy(update={"s3_endpoint_url": None})
    on_disk = own.model_copy(update={"output_path": str(tmp_path)})

    assert [ensure_bucket(own), ensure_bucket(own)] == ["made-by-up", None]
    names = [bucket["Name"] for bucket in s3_client(s3_endpoint).list_buckets()["Buckets"]]
    assert names.count("made-by-up") == 1
    assert [ensure_bucket(on_aws), ensure_bucket(on_disk)] == [None, None]
    remembered = on_disk.model_copy(update={"checkpoint_path": "s3a://for-checkpoints/here"})
    assert ensure_bucket(remembered) == "for-checkpoints"
    with pytest.raises(SinkUnavailable, match=r"Cannot reach S3 at `http://127\.0\.0\.1:9`"):
        ensure_bucket(away)


@pytest.mark.skipif(shutil.which("wget") is None, reason="wget is not installed")
def test_health_check_of_the_s3_container_passes_where_its_server_answers(s3_endpoint: str) -> None:
    kind, *command = compose()["services"]["s3"]["healthcheck"]["test"]
    path = command.pop().removeprefix("http://127.0.0.1:5000")

    def passes(url: str) -> bool:
        check = [*command, "--tries=1", url]
        return not subprocess.run(check, capture_output=True, timeout=60, check=False).returncode

    assert (kind, path[0]) == ("CMD", "/")
    assert passes(s3_endpoint + path)
    assert not passes(s3_endpoint + "/elsewhere" + path)
    assert not passes("http://127.0.0.1:9" + path)
