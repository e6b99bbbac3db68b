"""What a driver's JVM is started with: secrets, connectors, Java's options."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from runtime.jars import STAMP_NAME, folder
from runtime.java import LATE_OPTIMISATION
from runtime.versions import pinned
from settings import Settings, load_settings
from spark_jobs.session.session import connector_packages, driver_options, launch_conf, session_conf

NO_FILE = Path("no.env")


def settings(**changes: Any) -> Settings:
    return load_settings(changes, env_file=NO_FILE)


def test_keys_of_s3_are_redacted_and_never_on_the_command_line(tmp_path: Path) -> None:
    on_s3 = settings(
        sinks="files",
        output_path="s3a://bucket/x",
        aws_access_key_id="AKIA",
        aws_secret_access_key="never to be shown",
        s3_endpoint_url="http://127.0.0.1:9",
        millrace_home=str(tmp_path),
    )

    conf = session_conf(on_s3, "tests", "local[1]")

    hidden = re.compile(conf["spark.redaction.regex"])
    secret = [key for key, value in conf.items() if value in {"never to be shown", "AKIA"}]
    assert len(secret) == 2
    assert all(hidden.search(key) for key in secret)
    assert conf["spark.hadoop.fs.s3a.path.style.access"] == "true"
    assert "never to be shown" not in str(launch_conf(on_s3, tmp_path / "log"))


def test_present_connectors_are_passed_as_files_and_no_registry_is_asked(
    tmp_path: Path,
) -> None:
    own = settings(sinks="files", millrace_home=str(tmp_path))
    assert "spark.jars" not in launch_conf(own, tmp_path / "log")
    assert "spark-sql-kafka" in launch_conf(own, tmp_path / "log")["spark.jars.packages"]
    fetched = folder(own, "spark")
    fetched.mkdir(parents=True)
    (fetched / "a.jar").touch()
    (fetched / STAMP_NAME).write_text(" ".join(pinned("jars", "spark")) + "\na.jar\n")

    elsewhere = own.model_copy(update={"spark_master": "local-cluster[2,1,1024]"})
    shipped = launch_conf(elsewhere, tmp_path / "log")
    in_class_path = launch_conf(own, tmp_path / "log")

    assert shipped["spark.jars"] == f"file://{fetched}/a.jar"
    assert "spark.jars" not in in_class_path
    assert "spark.jars.packages" not in shipped | in_class_path


def test_connectors_of_s3_are_passed_as_files_too_each_once(tmp_path: Path) -> None:
    on_s3 = settings(sinks="files", output_path="s3a://bucket/x", jars_path=tmp_path)
    on_s3 = on_s3.model_copy(update={"spark_master": "spark://other.example:7077"})
    for group, names in {"spark": ("a.jar", "both.jar"), "s3": ("b.jar", "both.jar")}.items():
        folder(on_s3, group).mkdir()
        for name in names:
            (folder(on_s3, group) / name).touch()
        stamp = "\n".join([" ".join(pinned("jars", group)), *names])
        (folder(on_s3, group) / STAMP_NAME).write_text(stamp)

    conf = launch_conf(on_s3, tmp_path / "log")

    names = [url.rpartition("/")[2] for url in conf["spark.jars"].split(",")]
    assert sorted(names) == ["a.jar", "b.jar", "both.jar"]
    assert "spark.jars.packages" not in conf
    (folder(on_s3, "s3") / STAMP_NAME).unlink()
    assert "hadoop-aws" in launch_conf(on_s3, tmp_path / "log")["spark.jars.packages"]


def test_brief_driver_has_the_room_for_compiled_code_that_any_has(tmp_path: Path) -> None:
    """Java gives 48 MB without its second compiler, which plans for four sinks overflowed."""
    own = settings()
    conf = launch_conf(own, tmp_path / "log", driver_options(own, is_brief=True))

    assert "-XX:TieredStopAtLevel=1" in conf["spark.driver.extraJavaOptions"]
    assert "-XX:ReservedCodeCacheSize=240m" in conf["spark.driver.extraJavaOptions"]
    assert "-Xms" not in conf["spark.driver.extraJavaOptions"]


def test_long_running_driver_has_its_whole_heap_from_the_start(tmp_path: Path) -> None:
    """With a third of it, a fifth of Spark's processor time was the search for garbage."""
    own = settings(spark_driver_memory="1536m")
    conf = launch_conf(own, tmp_path / "log", driver_options(own, is_brief=False))

    assert conf["spark.driver.memory"] == "1536m"
    assert '"-Xms1536m"' in conf["spark.driver.extraJavaOptions"]


def test_driver_that_lasts_optimises_later_than_java_would() -> None:
    """Two fifths of the processor time of a job's start was the second compiler."""
    own = settings()

    assert {*LATE_OPTIMISATION} <= {*driver_options(own, is_brief=False)}
    assert not {*LATE_OPTIMISATION} & {*driver_options(own, is_brief=True)}


def test_jars_of_s3_are_brought_only_where_files_go_there() -> None:
    on_s3 = settings(sinks="files", output_path="s3a://bucket/x")

    assert [p for p in connector_packages(on_s3) if "hadoop-aws" in p]
    assert not [p for p in connector_packages(settings(sinks="files")) if "hadoop" in p]


@pytest.mark.parametrize(
    ("master", "wait"), [("local[*]", "0"), ("local-cluster[2,1,1024]", None), ("yarn", None)]
)
def test_only_the_tasks_of_one_process_wait_for_no_host(
    master: str, wait: str | None, tmp_path: Path
) -> None:
    """On a cluster a task is cheaper where its rows, or the remembered ids, are."""
    conf = session_conf(settings(millrace_home=str(tmp_path)), "tests", master)

    assert conf.get("spark.locality.wait") == wait
