"""`make doctor` on what a process inherits, and the limit of open files."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from operations.doctor import surrounding_checks
from operations.doctor.check import Status
from operations.doctor.surrounding_checks import look_at_environment, look_at_limits
from runtime import surroundings
from runtime.java import Java
from settings import PROJECT_ROOT, Settings


def low_limit(monkeypatch: pytest.MonkeyPatch, soft: int, hard: int) -> list[tuple[int, int]]:
    changed: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda kind: (soft, hard))
    monkeypatch.setattr(resource, "setrlimit", lambda kind, limits: changed.append(limits))
    return changed


@pytest.mark.parametrize(
    ("soft", "hard", "changed"),
    [
        (256, 4096, [(4096, 4096)]),
        (256, 1 << 30, [(65_536, 1 << 30)]),
        (256, resource.RLIM_INFINITY, [(65_536, resource.RLIM_INFINITY)]),
        (70_000, 1 << 30, []),
        (resource.RLIM_INFINITY, resource.RLIM_INFINITY, []),
    ],
)
def test_soft_limit_of_open_files_is_raised_as_far_as_it_may(
    soft: int, hard: int, changed: list[tuple[int, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = low_limit(monkeypatch, soft, hard)

    surroundings.raise_open_files()

    assert found == changed


def test_hard_limit_that_is_too_low_is_named_before_anything_starts(tmp_path: Path) -> None:
    program = "ulimit -n 256; exec {} -m operations.cli {}"
    own = {"MILLRACE_HOME": str(tmp_path / "home"), "MILLRACE_ENV_FILE": os.devnull}

    done = subprocess.run(
        ["sh", "-c", program.format(sys.executable, "up")],
        cwd=PROJECT_ROOT, env=os.environ | own, capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert done.returncode == 1
    assert "the limit of open files is 256 (`ulimit -n`)" in done.stderr
    assert not (tmp_path / "home" / "data").exists()


def test_doctor_names_what_is_inherited_and_what_becomes_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "spark-defaults.conf").write_text("spark.sql.ansi.enabled=true\nspark.ui.port 1\n")
    (tmp_path / "core-site.xml").write_text(
        "<configuration><property><name>fs.defaultFS</name>"
        "<value>hdfs://name:8020</value></property></configuration>"
    )
    for name in [*os.environ]:
        if name.startswith(("SPARK_", "PYSPARK_", "JAVA_TOOL", "LC_", "LANG", "JDK_JAVA")):
            monkeypatch.delenv(name)
    for name, value in {
        "SPARK_HOME": "/absent",
        "SPARK_CONF_DIR": str(tmp_path),
        "PYSPARK_SUBMIT_ARGS": "--conf spark.authenticate.secret=hush pyspark-shell",
        "HADOOP_CONF_DIR": str(tmp_path),
        "LC_ALL": "tr_TR.UTF-8",
        "JAVA_TOOL_OPTIONS": "-Dno.such=hush",
    }.items():
        monkeypatch.setenv(name, value)
    java = Java(Path("/"), Path("/bin/true"), 17)
    monkeypatch.setattr(surrounding_checks, "installed_java", lambda report: java)
    monkeypatch.setitem(surroundings.SHADOWS, "/opt/other", ["pyspark", "settings"])

    lines = look_at_environment(Settings(_env_file=None))

    text = "\n".join(map(str, lines))
    assert "hush" not in text
    assert {line.status for line in lines} == {Status.OK}
    for part in (
        "PYTHONPATH: `/opt/other` is ignored, as it has another pyspark, settings",
        "PYSPARK_SUBMIT_ARGS, SPARK_CONF_DIR, SPARK_HOME: only spark-submit uses them",
        "SPARK_HOME is `/absent`, which is not Spark 3.5",
        "spark-defaults.conf` sets spark.sql.ansi.enabled: drivers on this",
        "JAVA_TOOL_OPTIONS: applies to every Java process",
        "LC_ALL=tr_TR.UTF-8: services and Spark run in C.UTF-8",
        "HADOOP_CONF_DIR: fs.defaultFS is hdfs://name:8020",
    ):
        assert part in text


def test_doctor_asks_for_a_fix_where_no_java_would_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JAVA_TOOL_OPTIONS", "-XX:NoSuchOption=1")
    # As a Java that refuses an option.
    java = Java(Path("/"), Path("/bin/false"), 17)
    monkeypatch.setattr(surrounding_checks, "installed_java", lambda report: java)

    (line,) = [each for each in look_at_environment(Settings(_env_file=None))
               if each.status is Status.FIX]  # fmt: skip

    assert "Java does not start with JAVA_TOOL_OPTIONS" in line.text


def test_doctor_names_a_low_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    low_limit(monkeypatch, 256, 256)

    (line,) = look_at_limits(Settings(_env_file=None))

    assert line.status is Status.FIX
    assert "256 (`ulimit -n`)" in line.text
