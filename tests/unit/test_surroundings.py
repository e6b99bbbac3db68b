"""What a process inherits: what is taken from it, and what servers, Java and drivers get of it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from local_stack.cassandra import Cassandra
from local_stack.kafka import Kafka
from runtime import surroundings
from runtime.java import Java
from runtime.surroundings import JAVA_LOCALE, driver_environment, for_java, service_environment
from settings import PROJECT_ROOT, Settings
from spark_jobs.session.foreign_conf import EXECUTOR_OPTIONS, chosen_by_caller, foreign_keys
from spark_jobs.session.session import launch_conf, session_conf

TURKISH = "-Duser.language=tr -Duser.country=TR"
INHERITED = {
    "PATH": "/bin",
    "HOME": "/home/me",
    "LANG": "tr_TR.UTF-8",
    "LC_ALL": "tr_TR.UTF-8",
    "JAVA_TOOL_OPTIONS": f"{TURKISH} -Dhttps.proxyHost=proxy",
    "_JAVA_OPTIONS": "-Dfile.encoding=ISO-8859-9",
    "SPARK_HOME": "/absent",
    "SPARK_CONF_DIR": "/etc/spark",
    "SPARK_LOCAL_DIRS": "/absent",
    "SPARK_LOCAL_IP": "10.0.0.7",
    "SPARK_MASTER": "yarn",
    "PYSPARK_SUBMIT_ARGS": "--master spark://localhost:7077 pyspark-shell",
    "PYSPARK_PYTHON": "/usr/bin/python3.12",
    "MASTER": "yarn",
    "CLASSPATH": "/absent",
    "CASSANDRA_PASSWORD": "hush",
}
SPARK = Path("/venv/pyspark")


def shadow(folder: Path, *names: str) -> Path:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("raise SystemExit('another module')\n")
    return folder


@pytest.mark.parametrize(
    ("module", "other"),
    [
        ("operations.cli", "settings.py"),
        ("operations.cli", "csv.py"),
        ("spark_jobs.tickets", "pyspark/__init__.py"),
        ("producers.tickets", "pydantic.py"),
    ],
)
def test_commands_pass_over_other_modules_of_pythonpath(
    module: str, other: str, tmp_path: Path
) -> None:
    own = {"PYTHONPATH": str(shadow(tmp_path, other))}

    done = subprocess.run(
        [sys.executable, "-m", module, "--help"],
        cwd=PROJECT_ROOT, env=os.environ | own, capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert (done.returncode, done.stderr) == (0, "")
    assert "usage:" in done.stdout


def test_folders_of_pythonpath_that_hide_nothing_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = str(shadow(tmp_path / "other", "py4j/__init__.py", "settings.py"))
    harmless = str(shadow(tmp_path / "harmless", "my_own_library.py", "sql/notes.txt"))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([other, harmless, str(PROJECT_ROOT)]))
    monkeypatch.setattr(sys, "path", [str(PROJECT_ROOT), other, harmless, *sys.path])
    monkeypatch.setattr(surroundings, "SHADOWS", {})

    surroundings.drop_shadows()

    assert surroundings.SHADOWS == {other: ["py4j", "settings"]}
    assert os.environ["PYTHONPATH"] == os.pathsep.join([harmless, str(PROJECT_ROOT)])
    assert other not in sys.path
    assert harmless in sys.path


def test_path_that_spark_submit_makes_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = str(shadow(tmp_path, "pyspark/__init__.py"))
    monkeypatch.setenv("PYTHONPATH", other)
    monkeypatch.setenv("PYSPARK_GATEWAY_PORT", "1")

    surroundings.drop_shadows()

    assert os.environ["PYTHONPATH"] == other


def test_servers_get_a_locale_of_their_own_and_no_secret() -> None:
    assert service_environment(INHERITED) == {
        "PATH": "/bin",
        "HOME": "/home/me",
        "JAVA_TOOL_OPTIONS": f"{TURKISH} -Dhttps.proxyHost=proxy",
        "LANG": "C.UTF-8",
        "LC_ALL": "C.UTF-8",
        "PYTHONUTF8": "1",
    }


def test_options_for_every_java_hold_below_those_of_the_command_line() -> None:
    found = for_java(INHERITED)

    assert found["JAVA_TOOL_OPTIONS"] == (
        f"{TURKISH} -Dhttps.proxyHost=proxy -Dfile.encoding=ISO-8859-9"
    )
    assert "_JAVA_OPTIONS" not in found
    assert found["LC_ALL"] == "C.UTF-8"
    assert "JAVA_TOOL_OPTIONS" not in for_java({"PATH": "/bin"})


def test_driver_on_this_machine_has_nothing_that_leads_spark_elsewhere() -> None:
    found = driver_environment(INHERITED, SPARK, "local[*]", ["SPARK_MASTER"])

    of_spark = {name: value for name, value in found.items() if "SPARK" in name}
    assert of_spark == {
        "SPARK_HOME": "/venv/pyspark",
        "SPARK_CONF_DIR": "/venv/pyspark/no-conf",
        "SPARK_LOCAL_IP": "127.0.0.1",
        "SPARK_LAUNCHER_OPTS": " ".join(JAVA_LOCALE),
        "SPARK_MASTER": "yarn",
        "PYSPARK_PYTHON": sys.executable,
    }
    assert not {"MASTER", "CLASSPATH"} & {*found}


@pytest.mark.parametrize(
    ("given", "conf"),
    [
        ({}, "/etc/spark"),
        ({"SPARK_CONF_DIR": ""}, "/absent/conf"),
        ({"SPARK_CONF_DIR": "", "SPARK_HOME": ""}, "/venv/pyspark/no-conf"),
    ],
)
def test_driver_of_a_cluster_keeps_what_leads_there(given: dict[str, str], conf: str) -> None:
    found = driver_environment(INHERITED | given, SPARK, "spark://host:7077")

    assert found["SPARK_CONF_DIR"] == conf
    assert found["SPARK_HOME"] == "/venv/pyspark"
    assert found["SPARK_LOCAL_IP"] == "10.0.0.7"
    assert found["PYSPARK_PYTHON"] == "/usr/bin/python3.12"
    assert not {"PYSPARK_SUBMIT_ARGS", "SPARK_LOCAL_DIRS", "SPARK_MASTER"} & {*found}


def test_servers_and_drivers_speak_english_on_their_command_lines(tmp_path: Path) -> None:
    settings = Settings(_env_file=None, millrace_home=tmp_path)
    java = Java(tmp_path, tmp_path / "java", 17)

    for service in (Kafka(settings, java), Cassandra(settings, java)):
        assert [each for each in service.command() if each in JAVA_LOCALE] == [*JAVA_LOCALE]
    conf = launch_conf(settings, tmp_path / "log") | session_conf(settings, "x", "local[2]")
    for key in ("spark.driver.extraJavaOptions", EXECUTOR_OPTIONS):
        assert all(option in conf[key] for option in JAVA_LOCALE)


def test_file_of_defaults_cannot_change_results() -> None:
    given = {
        "spark.sql.ansi.enabled": "true",
        "spark.sql.session.timeZone": "Asia/Tokyo",
        "spark.sql.legacy.timeParserPolicy": "LEGACY",
        "spark.sql.of.a.later.version": "true",
        "spark.hadoop.mapreduce.output.basename": "other",
        "spark.cassandra.output.ttl": "1",
        "spark.cassandra.input.split.sizeInMB": "512",
        "spark.authenticate": "true",
        "spark.executor.memory": "4g",
        "spark.yarn.queue": "mine",
        "spark.hadoop.fs.s3a.endpoint": "http://s3.example",
    }
    own = {"spark.sql.session.timeZone": "UTC", "spark.cassandra.input.split.sizeInMB": "64"}

    assert foreign_keys(given, own) == {
        "spark.sql.ansi.enabled",
        "spark.sql.legacy.timeParserPolicy",
        "spark.sql.of.a.later.version",
        "spark.hadoop.mapreduce.output.basename",
        "spark.cassandra.output.ttl",
    }
    assert chosen_by_caller(given, own) == {"spark.cassandra.input.split.sizeInMB": "512"}


def test_language_of_executors_is_not_the_callers_to_choose(tmp_path: Path) -> None:
    own = session_conf(Settings(_env_file=None, millrace_home=tmp_path), "x", "spark://h:7077")

    found = chosen_by_caller({EXECUTOR_OPTIONS: f"-XX:+UseZGC {TURKISH}"}, own)[EXECUTOR_OPTIONS]

    assert found.startswith(f"-XX:+UseZGC {TURKISH} ")
    assert found.endswith(" ".join(JAVA_LOCALE))
