"""`millrace submit`: its command, what it ships and what it refuses; no JVM is started."""

from __future__ import annotations

import itertools
import os
import re
import shlex
import signal
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import psutil
import pytest

from operations import cli
from operations.shipping import code_archive
from operations.submit.submission import as_word, notes
from settings import PROJECT_ROOT, Settings, load_settings
from spark_jobs.session.defaults import DEFAULTS_FILE, spark_defaults
from spark_jobs.session.session import session_conf
from tests.support.processes import wait_for

MASTER = "spark://host.example:7077"
SECRETS = {
    "CASSANDRA_PASSWORD": "hush-1",
    "MONGO_URI": "mongodb://me:hush-2@db.example",
    "POSTGRES_DSN": "postgresql://me:hush-3@db.example/millrace",
    "PII_HASH_KEY": "hush-4",
    "AWS_SECRET_ACCESS_KEY": "hush-5",
    "KAFKA_SASL_PASSWORD": "hush-6",
}


@pytest.fixture(autouse=True)
def _own_state(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("SPARK_HOME", "YARN_CONF_DIR", "PYSPARK_GATEWAY_PORT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MILLRACE_ENV_FILE", os.devnull)
    monkeypatch.setenv("MILLRACE_HOME", str(tmp_path / "home"))


def give_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("CASSANDRA_USERNAME", "me")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "me")


def dry_run(capsys: pytest.CaptureFixture[str], *words: str) -> list[str]:
    """The words that are printed."""
    code = cli.main(["submit", *words, "--dry-run"])
    printed = capsys.readouterr()
    assert code == 0, printed.err
    return shlex.split(printed.out.replace("\\\n", " "))


def refused(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert cli.main(["submit", *words, "--dry-run"]) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    return printed.err


def following(words: list[str], option: str) -> list[str]:
    return [after for word, after in itertools.pairwise(words) if word == option]


def test_dry_run_prints_the_command_and_masks_secrets(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    give_secrets(monkeypatch)
    monkeypatch.setenv("SPARK_EXECUTOR_MEMORY", "3g")
    monkeypatch.setenv("SPARK_EXECUTOR_CORES", "2")

    words = dry_run(
        capsys, "tickets", "--master", MASTER, "--memory", "2g", "--available-now",
        "--sinks", "cassandra", "--conf", "spark.cores.max=4", "--conf", "spark.ui.port=4050",
    )  # fmt: skip

    assert "hush" not in " ".join(words)
    for name in SECRETS:
        assert f"{name}=•••" in words
    (start,) = [n for n, word in enumerate(words) if word.endswith("/bin/spark-submit")]
    assert all(re.match(r"[A-Z_]+=", word) for word in words[:start])
    assert f"PYSPARK_DRIVER_PYTHON={sys.executable}" in words[:start]
    for option, value in (
        ("--master", MASTER),
        ("--deploy-mode", "client"),
        ("--properties-file", str(DEFAULTS_FILE)),
        ("--driver-memory", "2g"),
        ("--executor-memory", "3g"),
        ("--executor-cores", "2"),
    ):
        assert following(words, option) == [value]
    assert following(words, "--conf") == ["spark.cores.max=4", "spark.ui.port=4050"]
    job = words.index(str(PROJECT_ROOT / "spark_jobs" / "tickets.py"))
    assert words[job + 1 :] == [
        "--available-now", "--sinks", "cassandra", "--starting-offsets", "earliest"
    ]  # fmt: skip
    assert not (tmp_path / "home" / "spark").exists() or not list(tmp_path.rglob("*.zip"))


@pytest.mark.parametrize("pipeline", ["tickets", "profiles", "customers"])
def test_every_pipeline_has_a_file_to_submit(
    pipeline: str, capsys: pytest.CaptureFixture[str]
) -> None:
    words = dry_run(capsys, pipeline, "--master", MASTER)

    (job,) = [Path(word) for word in words if word.endswith(f"/{pipeline}.py")]
    assert job.is_file()


def test_master_and_sizes_come_from_settings_too(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SPARK_MASTER", MASTER)

    words = dry_run(capsys, "profiles")

    assert following(words, "--master") == [MASTER]
    assert following(words, "--driver-memory") == ["1g"]
    assert "--executor-memory" not in words
    assert "--executor-cores" not in words


def test_packages_of_s3_come_only_with_files_there(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    without = dry_run(capsys, "tickets", "--master", MASTER)
    given = dry_run(capsys, "tickets", "--master", MASTER, "--output-path", "s3a://bucket/files")

    assert "--packages" not in without
    (packages,) = following(given, "--packages")
    assert "org.apache.hadoop:hadoop-aws:" in packages
    assert spark_defaults()["spark.jars.packages"] in packages


def test_yarn_needs_its_configuration(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "Set HADOOP_CONF_DIR" in refused(capsys, "tickets", "--master", "yarn")
    monkeypatch.setenv("HADOOP_CONF_DIR", "/etc/hadoop/conf")

    words = dry_run(capsys, "tickets", "--master", "yarn")

    assert "HADOOP_CONF_DIR=/etc/hadoop/conf" in words
    assert following(words, "--master") == ["yarn"]


def test_kubernetes_gets_secrets_by_name_and_is_only_shown(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    give_secrets(monkeypatch)
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "broker.example:9092")
    master = ["--master", "k8s://https://host.example:6443"]

    words = dry_run(capsys, "tickets", *master, "--conf", "spark.kubernetes.container.image=own:1")

    assert "hush" not in " ".join(words)
    conf = dict(pair.split("=", 1) for pair in following(words, "--conf"))
    assert conf["spark.kubernetes.container.image"] == "own:1"
    assert conf["spark.kubernetes.driverEnv.KAFKA_BOOTSTRAP_SERVERS"] == "broker.example:9092"
    secret = "spark.kubernetes.driver.secretKeyRef"
    assert {name for name in conf if name.startswith(secret)} == {
        f"{secret}.{name}" for name in SECRETS
    }
    assert conf[f"{secret}.MONGO_URI"] == "millrace:MONGO_URI"
    assert following(words, "--deploy-mode") == ["cluster"]
    assert "local:///opt/millrace/spark_jobs/tickets.py" in words
    assert "--packages" not in words
    monkeypatch.setenv("OUTPUT_PATH", "s3a://bucket/output")
    on_s3 = dry_run(capsys, "tickets", *master)
    assert "org.apache.hadoop:hadoop-aws" in following(on_s3, "--packages")[0]
    assert cli.main(["submit", "tickets", *master]) == 1
    said = capsys.readouterr().err
    assert "does not start jobs on Kubernetes from outside" in said
    assert "docs/kubernetes.md has manifests" in said


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--master", "host:7077"], "`host:7077` is not a Spark master"),
        (["--conf", "spark.hadoop.fs.s3a.secret.key=hush"], "all users of the machine can see"),
        (["--conf", "spark.cassandra.auth.password=hush"], "all users of the machine can see"),
        (["--conf", "spark.authenticate.secret=hush"], "all users of the machine can see"),
        (["--conf", "cores=4"], "expected `spark.name=value`"),
        (["--memory", "lots"], "SPARK_DRIVER_MEMORY: expected a number and a unit"),
        (["--sinks", "mongo"], "`mongo` is not a sink"),
    ],
)
def test_what_cannot_work_or_would_show_a_secret_is_refused(
    words: list[str], expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    text = refused(capsys, "tickets", *words)

    assert expected in text
    assert "hush" not in text


def test_another_spark_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    jars = tmp_path / "spark" / "jars"
    jars.mkdir(parents=True)
    (jars / "spark-core_2.13-4.0.1.jar").touch()
    monkeypatch.setenv("SPARK_HOME", str(tmp_path / "spark"))

    assert "is not Spark 3.5 for Scala 2.12" in refused(capsys, "tickets", "--master", MASTER)
    (jars / "spark-core_2.12-3.5.3.jar").touch()
    words = dry_run(capsys, "tickets", "--master", MASTER)
    assert str(tmp_path / "spark" / "bin" / "spark-submit") in words


def test_what_other_machines_cannot_reach_is_reported() -> None:
    here = Settings(spark_master=MASTER, output_path="/data/files")
    there = Settings(
        spark_master=MASTER,
        kafka_bootstrap_servers="a.example:9092",
        cassandra_contact_points="b.example",
        output_path="s3a://bucket/files",
    )

    found = " ".join(notes(here))
    for name in (
        "KAFKA_BOOTSTRAP_SERVERS", "CASSANDRA_CONTACT_POINTS", "MILLRACE_HOME", "OUTPUT_PATH"
    ):  # fmt: skip
        assert name in found
    assert [note.partition(":")[0] for note in notes(there)] == ["MILLRACE_HOME"]
    assert notes(Settings(spark_master="spark://127.0.0.1:7077")) == []


def test_archive_holds_what_an_installation_has_and_nothing_else(tmp_path: Path) -> None:
    settings = Settings(millrace_home=tmp_path)
    archive = code_archive(settings.millrace_home)

    names = set(zipfile.ZipFile(archive).namelist())
    assert {
        "settings.py",
        "spark_jobs/sinks/cassandra.py",
        "spark_jobs/spark-defaults.conf",
        "schemas/ticket.schema.json",
        "cql/010_support.cql",
        "sql/010_tickets.sql",
    } <= names
    assert not [name for name in names if name.startswith(("tests", ".", "docs"))]
    first = archive.read_bytes()
    archive.unlink()
    assert code_archive(settings.millrace_home) == archive
    assert archive.read_bytes() == first


def test_contracts_are_read_from_the_archive(tmp_path: Path) -> None:
    archive = code_archive(tmp_path)
    program = (
        f"import sys; sys.path.insert(0, {str(archive)!r})\n"
        "from schemas import contract\n"
        "print(contract.__file__, contract.load_contract('ticket').name)"
    )

    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True
    )

    assert done.stdout.split() == [f"{archive}/schemas/contract.py", "ticket"]


@pytest.mark.parametrize(
    ("path", "word"),
    [("/a b/[1] é.py", "/a b/[1] é.py"), ("/C#/50%/a,b", "file:///C%23/50%25/a%2Cb")],
)
def test_spark_takes_a_path_as_it_is(path: str, word: str) -> None:
    assert as_word(Path(path)) == word


def test_folder_whose_signs_spark_takes_for_patterns_is_named(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("MILLRACE_HOME", str(tmp_path / "a[1]"))

    text = refused(capsys, "tickets", "--master", MASTER)

    assert f"MILLRACE_HOME: `{tmp_path / 'a[1]'}` holds [ ], which spark-submit" in text


def test_defaults_name_the_pinned_connectors() -> None:
    pins = tomllib.loads((PROJECT_ROOT / "pyproject.toml").read_text())["tool"]["millrace"]["jars"]

    assert spark_defaults()["spark.jars.packages"].split(",") == pins["spark"]


def test_sessions_have_what_the_defaults_say(tmp_path: Path) -> None:
    conf = session_conf(Settings(millrace_home=tmp_path), "tests", MASTER)

    defaults = spark_defaults()
    for launch_only in ("spark.jars.packages", "spark.driver.extraJavaOptions"):
        assert launch_only not in conf
        del defaults[launch_only]
    assert conf | defaults == conf
    # Read by Java as properties: a backslash or a value over two lines would be another thing.
    assert "\\" not in DEFAULTS_FILE.read_text()


def test_executor_sizes_are_passed_to_spark(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SPARK_EXECUTOR_MEMORY", "3g")
    monkeypatch.setenv("SPARK_EXECUTOR_CORES", "2")

    conf = session_conf(load_settings(), "tests", MASTER)

    assert (conf["spark.executor.memory"], conf["spark.executor.cores"]) == ("3g", "2")


# In place of spark-submit: a process that runs the job as its child and hands its exit code on.
SUBMITTER = """
import subprocess, sys
sys.exit(subprocess.call([sys.executable, *sys.argv[1:]]))
"""
PROGRAM = """
import pathlib, subprocess, sys
from operations.submit import submit
job, submitter = sys.argv[1:]
process = subprocess.Popen([sys.executable, submitter, job], start_new_session=True)
submit._forward_signals(process, job)
pathlib.Path(job).with_suffix(".ready").touch()
code = process.wait()
sys.exit(code if code >= 0 else 128 - code)
"""
JOB = """
import pathlib, signal, time
asked = []
def handle(number, frame):
    asked.append(number)
signal.signal(signal.SIGTERM, handle)
here = pathlib.Path(__file__)
here.with_suffix(".up").touch()
while True:
    if asked:
        here.with_suffix(".asked").touch()
    time.sleep(0.02)
"""


def start_with_job(folder: Path) -> tuple[subprocess.Popen[bytes], Path]:
    job, submitter = folder / "job.py", folder / "submitter.py"
    job.write_text(JOB)
    submitter.write_text(SUBMITTER)
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(job), str(submitter)], cwd=PROJECT_ROOT
    )
    # The job may be up before its parent hands signals on.
    for mark in (".up", ".ready"):
        wait_for(job.with_suffix(mark).exists, 60, mark)
    return process, job


def test_second_signal_ends_everything_at_once(tmp_path: Path) -> None:
    process, job = start_with_job(tmp_path)
    family = psutil.Process(process.pid).children(recursive=True)

    process.send_signal(signal.SIGTERM)
    wait_for(job.with_suffix(".asked").exists, 30, "signal")
    process.send_signal(signal.SIGTERM)

    assert process.wait(30) == 128 + signal.SIGKILL
    assert len(family) == 2
    wait_for(lambda: not any(each.is_running() for each in family), 30, "end of all")


ORPHAN = """
import pathlib, sys
from spark_jobs.session.stopping import jvm_is_gone
folder = pathlib.Path(sys.argv[1])
folder.joinpath(f"before-{jvm_is_gone()}").touch()
folder.joinpath(f"after-{jvm_is_gone(within_seconds=30)}").touch()
"""


def test_job_notices_that_the_jvm_of_spark_submit_is_gone(tmp_path: Path) -> None:
    job, submitter = tmp_path / "job.py", tmp_path / "submitter.py"
    job.write_text(ORPHAN)
    submitter.write_text(SUBMITTER)
    own = {"PYSPARK_GATEWAY_PORT": "1", "PYTHONPATH": str(PROJECT_ROOT)}
    jvm = subprocess.Popen(
        [sys.executable, str(submitter), str(job), str(tmp_path)], env=os.environ | own
    )
    wait_for((tmp_path / "before-False").exists, 60, "first look")

    jvm.kill()
    jvm.wait()

    wait_for((tmp_path / "after-True").exists, 30, "second look")
