"""Java's archive of classes: when it is read, when it is written, what is kept."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from runtime.java import Java
from settings import Settings
from spark_jobs.session import class_archive, session
from spark_jobs.session.class_archive import READING, WRITING, archive_options, keep_archive
from spark_jobs.session.session import own_jars
from spark_jobs.session.stopping import StopRequest
from tests.support.processes import wait_for

# A stand-in for a JVM: at the end of its input it writes the file that its options name.
JVM = """
import sys, time
sys.stdin.read()
time.sleep(float(sys.argv[2]))
open(sys.argv[1].partition("=")[2], "w").close()
"""


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    jars = tmp_path / "jars"
    jars.mkdir()
    return Settings(_env_file=None, jars_path=jars)


@pytest.fixture
def java(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Java:
    for name in class_archive.FOLDERS:
        monkeypatch.delenv(name, raising=False)
    executable = tmp_path / "java"
    executable.touch()
    return Java(tmp_path, executable, 17)


@pytest.fixture
def jars(tmp_path: Path) -> list[Path]:
    path = tmp_path / "connector.jar"
    path.write_text("one")
    return [path]


Start = Callable[[Path, float, int], subprocess.Popen[bytes]]


@pytest.fixture
def start_jvm(monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    started: list[subprocess.Popen[bytes]] = []

    def start(partial: Path, seconds: float, code: int) -> subprocess.Popen[bytes]:
        program = f"{JVM}\nsys.exit({code})"
        command = [sys.executable, "-c", program, f"{WRITING}{partial}", str(seconds)]
        started.append(subprocess.Popen(command, stdin=subprocess.PIPE))
        # `Popen` returns when the program is loaded, a moment before its command line can be read.
        wait_for(lambda: bool(psutil.Process(started[-1].pid).cmdline()), 30, "command line")
        monkeypatch.setattr(class_archive, "jvm_process", lambda: started[-1])
        monkeypatch.setattr(class_archive, "kill_jvm", started[-1].kill)
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.communicate()


def archive_of(options: list[str]) -> Path:
    """The file that options make Java write, by the name that it has when it is whole."""
    (written,) = [each.removeprefix(WRITING) for each in options if each.startswith(WRITING)]
    return Path(written).with_suffix(".jsa")


def test_archive_is_written_only_by_a_driver_that_may(
    settings: Settings, java: Java, jars: list[Path]
) -> None:
    assert archive_options(settings, java, jars, may_write=False) == []
    assert archive_of(archive_options(settings, java, jars, may_write=True)).parent == settings.jars


def test_archive_that_is_there_is_read_and_not_written_again(
    settings: Settings, java: Java, jars: list[Path]
) -> None:
    archive = archive_of(archive_options(settings, java, jars, may_write=True))
    archive.touch()

    options = archive_options(settings, java, jars, may_write=True)

    assert f"{READING}{archive}" in options
    assert WRITING not in str(options)


def test_driver_that_writes_an_archive_has_no_jar_that_changes_with_its_sources(
    settings: Settings, java: Java, jars: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Java refuses an archive whose jars are others, and nothing would write it again.
    own = settings.jars / "millrace-0.jar"
    monkeypatch.setattr(session, "kept_jars", lambda _: [own])
    writing = archive_options(settings, java, jars, may_write=True)
    archive_of(writing).touch()
    reading = archive_options(settings, java, jars, may_write=True)

    assert own_jars(settings, writing) == []
    assert own_jars(settings, reading) == [own]
    assert own_jars(settings, []) == [own]


@pytest.mark.parametrize("changed", ["jar", "java"])
def test_archive_of_other_jars_or_another_java_is_not_read(
    settings: Settings, java: Java, jars: list[Path], changed: str
) -> None:
    archive_of(archive_options(settings, java, jars, may_write=True)).touch()

    (jars[0] if changed == "jar" else java.executable).write_text("another")

    assert archive_options(settings, java, jars, may_write=False) == []


def test_class_path_with_folders_gets_no_archive(
    settings: Settings, java: Java, jars: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("YARN_CONF_DIR", "/etc/hadoop")
    assert archive_options(settings, java, jars, may_write=True) == []

    monkeypatch.delenv("YARN_CONF_DIR")
    on_hdfs = settings.model_copy(update={"hadoop_conf_dir": Path("/etc/hadoop")})
    assert archive_options(on_hdfs, java, jars, may_write=True) == []


def test_nothing_is_written_where_there_is_little_room(
    settings: Settings, java: Java, jars: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(class_archive, "LEAST_FREE_BYTES", 1 << 62)

    assert archive_options(settings, java, jars, may_write=True) == []


def test_half_written_archive_of_a_killed_process_goes_and_a_living_ones_stays(
    settings: Settings, java: Java, jars: list[Path]
) -> None:
    with subprocess.Popen(["true"]) as ended:
        ended.wait()
    left = settings.jars / f"classes-a.{ended.pid}"
    in_work = settings.jars / f"classes-a.{os.getppid()}"
    left.touch()
    in_work.touch()

    archive_options(settings, java, jars, may_write=True)

    assert not left.exists()
    assert in_work.exists()


def test_archive_is_kept_when_its_jvm_has_ended_well_and_the_two_newest_stay(
    settings: Settings, start_jvm: Start
) -> None:
    for name, age_seconds in (("older", 300), ("old", 200)):
        path = settings.jars / f"classes-{name}.jsa"
        path.touch()
        os.utime(path, (time.time() - age_seconds,) * 2)
    said: list[str] = []
    start_jvm(settings.jars / "classes-new.1", 0, 0)

    assert keep_archive(StopRequest(), said.append)

    names = sorted(path.name for path in settings.jars.iterdir())
    assert names == ["classes-new.jsa", "classes-old.jsa"]
    assert len(said) == 1


def test_archive_of_a_jvm_that_failed_is_not_kept(settings: Settings, start_jvm: Start) -> None:
    start_jvm(settings.jars / "classes-new.1", 0, 3)

    assert not keep_archive(StopRequest(), print)

    assert not list(settings.jars.iterdir())


def test_requested_stop_ends_the_writing_at_once(settings: Settings, start_jvm: Start) -> None:
    jvm = start_jvm(settings.jars / "classes-new.1", 60, 0)
    stop = StopRequest()
    said: list[str] = []
    stop.ask()

    assert not keep_archive(stop, said.append)

    assert jvm.wait(10) != 0
    assert not said
    assert not list(settings.jars.iterdir())


def test_nothing_is_said_or_waited_for_where_no_archive_is_written(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    said: list[str] = []
    monkeypatch.setattr(class_archive, "jvm_process", lambda: None)

    assert not keep_archive(StopRequest(), said.append)

    assert not said
