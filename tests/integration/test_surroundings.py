"""A job's results do not depend on what it is started with: configuration, locale, paths."""

from __future__ import annotations

import sys
from pathlib import Path

import pyspark
import pytest
from pyspark.sql import SparkSession

from runtime.jars import class_path
from settings import PROJECT_ROOT, Settings
from spark_jobs.sinks.files.reading import read_set
from spark_jobs.state.ledger import Counts
from spark_jobs.tickets import TICKETS
from tests.integration.test_tickets_pipeline import SENT_MS, ticket
from tests.support.pipelines import MakeWorld
from tests.support.processes import JOB_IN_KEYSPACE, output_of, start_job
from tests.support.world import World

HOSTILE = PROJECT_ROOT / "tests" / "support" / "hostile"
SPARK_HOME = Path(pyspark.__file__).parent
# Every kind of variable that leads a launcher, Java or Python elsewhere.
VARIABLES = {
    "SPARK_CONF_DIR": str(HOSTILE),
    "PYSPARK_SUBMIT_ARGS": "--master spark://localhost:7077 pyspark-shell",
    "PYSPARK_DRIVER_PYTHON": "/absent",
    "SPARK_TESTING": "1",
    "JAVA_TOOL_OPTIONS": "-Duser.language=tr -Duser.country=TR -Dfile.encoding=ISO-8859-9",
    "_JAVA_OPTIONS": "-Duser.language=tr -Duser.country=TR",
    "LC_ALL": "tr_TR.UTF-8",
    "CLASSPATH": "/absent",
}
FORMATS = ("parquet", "json", "csv")
NAME = "Mes Documents é C# 50% off [1] {a} *? 'q' & $HOME \"b\" \\"


def send_tickets(world: World) -> None:
    """Words in capitals, which are others in Turkish, a day that is none, a blank, a repeat."""
    world.send(
        ticket("A", request_type="BILLING", priority="CRITICAL", request='  I\n"i", İ, ı'),
        ticket("B", created_at="2026-02-30T10:00:00Z"),
        ticket("C", request_type="TECHNIQUE", created_at="2026-11-22T23:30:00-01:00"),
        ticket("A", priority="low"),
        ticket("D", request=" "),
        partition=0,
        timestamp_ms=SENT_MS,
    )


def assert_right_results(world: World, spark: SparkSession) -> None:
    assert world.totals() == Counts(
        read=5,
        stored=2,
        dead_lettered=2,
        duplicates=1,
        reasons={"invalid_created_at": 1, "missing_request": 1},
    )
    texts = ("ticket_id", "request_type", "priority", "request", "assigned_team")
    stored = {
        ("A", "billing", "critical", 'I\n"i", İ, ı', "Billing"),
        ("C", "technical", "high", "The invoice is wrong", "Technical Support"),
    }
    rows = world.rows("tickets")
    assert {tuple(row[name] for name in texts) for row in rows} == stored
    instants = {row["ticket_id"]: row["created_at"].isoformat() for row in rows}
    assert instants == {"A": "2026-11-22T10:05:00.123000", "C": "2026-11-23T00:30:00"}
    counts = {key: each["count"] for key, each in world.documents("tickets_by_team").items()}
    assert counts == {"2026-11-22|Billing": 1, "2026-11-23|Technical Support": 1}
    letters = {letter[2]["source_offset"]: letter[2]["reasons"] for letter in world.dead_letters()}
    assert letters == {"1": "invalid_created_at", "4": "missing_request"}
    (file_set,) = [each for each in TICKETS.file_sets if each.name == "tickets_with_assignment"]
    for form in FORMATS:
        found = read_set(spark, world.settings, file_set, form).selectExpr(
            *texts, "cast(created_at AS string) AS at", "_batch_id"
        )
        assert {(*row[:5], row.at, row["_batch_id"]) for row in found.collect()} == {
            (*row, at, 0)
            for row, at in zip(
                sorted(stored), ("2026-11-22 10:05:00.123", "2026-11-23 00:30:00"), strict=True
            )
        }, form


def assert_on_this_machine(world: World) -> None:
    """Checkpoint and files are where the settings say, and nowhere else."""
    home = world.settings.millrace_home
    checkpoint = home / "checkpoints" / "tickets" / "v1"
    assert (checkpoint / "offsets" / "0").is_file()
    assert (checkpoint / "state").is_dir()
    assert not [path for path in Path(world.settings.output_path).rglob("_SUCCESS")]
    assert {path.name for path in home.parent.iterdir()} == {home.name}


@pytest.fixture
def world(make_world: MakeWorld, tmp_path: Path) -> World:
    world = make_world(TICKETS)
    update = {
        "millrace_home": tmp_path / "state" / NAME,
        "output_path": str(tmp_path / "files" / NAME),
        "sinks": ("cassandra", "mongodb", "files"),
        "output_format": FORMATS,
    }
    object.__setattr__(world, "settings", world.settings.model_copy(update=update))
    return world


def test_job_takes_nothing_from_the_users_spark_java_and_locale(
    world: World, job_spark: SparkSession, tmp_path: Path
) -> None:
    shadows = tmp_path / "shadows"
    for name in ("settings.py", "pyspark/__init__.py", "json.py"):
        (shadows / name).parent.mkdir(parents=True, exist_ok=True)
        (shadows / name).write_text("raise ImportError('another module')")
    hadoop = tmp_path / "hadoop"
    hadoop.mkdir()
    (hadoop / "core-site.xml").write_text(
        "<configuration><property><name>fs.defaultFS</name>"
        "<value>hdfs://127.0.0.1:1</value></property></configuration>"
    )
    others = {
        "PYTHONPATH": str(shadows),
        "SPARK_HOME": "/absent",
        "PYSPARK_PYTHON": "/absent",
        "SPARK_LOCAL_DIRS": "/absent",
        "HADOOP_CONF_DIR": str(hadoop),
        "OUTPUT_FORMAT": ",".join(FORMATS),
    }
    send_tickets(world)

    job = start_job(world, "--available-now", launcher=JOB_IN_KEYSPACE, **VARIABLES, **others)

    assert job.wait(200) == 0, output_of(world)[-3000:]
    assert_right_results(world, job_spark)
    assert_on_this_machine(world)


def test_job_under_spark_submit_keeps_what_results_depend_on(
    world: World, job_spark: SparkSession, settings: Settings
) -> None:
    own = VARIABLES | {
        # Of a shell in which spark-submit itself works.
        "LC_ALL": "C.UTF-8",
        "JAVA_TOOL_OPTIONS": "",
        "_JAVA_OPTIONS": "",
        "SPARK_TESTING": "",
        "SPARK_HOME": str(SPARK_HOME),
        "PYSPARK_DRIVER_PYTHON": sys.executable,
        "PYSPARK_PYTHON": sys.executable,
        "PYTHONPATH": str(PROJECT_ROOT),
        "SPARK_LOCAL_IP": "127.0.0.1",
        "OUTPUT_FORMAT": ",".join(FORMATS),
    }
    submit = [str(SPARK_HOME / "bin" / "spark-submit"), "--master", "local[2]"]
    submit += ["--driver-class-path", class_path(settings, "spark")]
    job_file = str(PROJECT_ROOT / "tests" / "support" / "job_in_keyspace.py")
    send_tickets(world)

    job = start_job(world, "--available-now", launcher=[*submit, job_file], **own)

    assert job.wait(200) == 0, output_of(world)[-3000:]
    assert "spark.sql.ansi.enabled" in output_of(world)
    assert_right_results(world, job_spark)
    assert_on_this_machine(world)
