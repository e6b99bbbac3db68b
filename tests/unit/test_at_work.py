"""`make run` next to a job, `make down` under one: open locks show what is at work."""

from __future__ import annotations

import io
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from errors import JobError
from operations import run
from operations.at_work import processes_at_work
from operations.down import Unanswered, down
from settings import Settings, load_settings
from spark_jobs.profiles import PROFILES
from spark_jobs.run import command
from spark_jobs.run.locks import locked, running_job
from spark_jobs.tickets import TICKETS

JOB = """
import sys, time
from settings import load_settings
from spark_jobs.run.locks import locked
from spark_jobs.tickets import TICKETS
with locked([TICKETS], load_settings({"millrace_home": sys.argv[1]})) as note:
    note("http://ui")
    print("holds", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings({"millrace_home": tmp_path / "home"}, tmp_path / "no.env")


@pytest.fixture
def job(settings: Settings) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, "-c", JOB, str(settings.millrace_home)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "holds\n"
        yield process
        process.kill()


@pytest.fixture
def stopped(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was done to the services."""
    done: list[str] = []
    monkeypatch.setattr("operations.down.stack.down", lambda *_: done.append("down"))
    monkeypatch.setattr("operations.prepare.stack.up", lambda *_: done.append("up"))
    return done


@pytest.mark.parametrize("folder_is_gone", [False, True])
def test_running_job_is_named_and_neither_run_nor_stream_starts_anything(
    folder_is_gone: bool,
    job: subprocess.Popen[str],
    settings: Settings,
    stopped: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(run, "refuse_hindered", lambda *_: pytest.fail("it takes seconds"))
    if folder_is_gone:
        shutil.rmtree(settings.millrace_home)

    for start in (lambda: run.run(settings, run.Amounts({}, 1)), lambda: run.stream(settings)):
        with pytest.raises(JobError) as caught:
            start()

        assert f"pipeline tickets is already running on this state folder: process {job.pid}." in (
            str(caught.value)
        )
        assert f"`kill {job.pid}`" in str(caught.value)
        assert "pipeline profiles" not in str(caught.value)
    assert stopped == []
    ui = None if folder_is_gone else "http://ui"
    assert running_job(TICKETS, settings) == {"pid": job.pid, "ui": ui}
    assert running_job(PROFILES, settings) is None


def test_second_job_is_refused_before_anything_that_takes_time(
    job: subprocess.Popen[str],
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("MILLRACE_HOME", str(settings.millrace_home))
    for slow in ("check_pipelines", "build_session"):
        monkeypatch.setattr(command, slow, lambda *_, **__: pytest.fail("it takes seconds"))

    assert command.main([TICKETS], ["--available-now"]) == 1
    assert f"already running on this state folder: process {job.pid}" in capsys.readouterr().err


def test_lock_is_free_again_when_its_holder_has_ended(
    job: subprocess.Popen[str], settings: Settings
) -> None:
    job.kill()
    job.wait()

    with locked([TICKETS], settings):
        pass
    assert running_job(TICKETS, settings) is None


def test_down_without_a_terminal_refuses_while_a_job_runs(
    job: subprocess.Popen[str], settings: Settings, stopped: list[str], tmp_path: Path
) -> None:
    with pytest.raises(Unanswered) as caught:
        down(settings, yes=False)

    assert caught.value.exit_code == 2
    assert f"process {job.pid} (" in str(caught.value)
    assert "job tickets" in str(caught.value)
    assert "`make down YES=1` ends them. Nothing was changed." in str(caught.value)
    assert stopped == []
    assert job.poll() is None
    # Of another state folder it is no concern.
    other = settings.model_copy(update={"millrace_home": tmp_path / "other"})
    assert processes_at_work(other) == []


def test_no_leaves_job_and_services_and_is_no_error(
    job: subprocess.Popen[str],
    settings: Settings,
    stopped: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    answer = io.StringIO("n\n")
    answer.isatty = lambda: True  # type: ignore[method-assign]
    monkeypatch.setattr("sys.stdin", answer)

    assert down(settings, yes=False) == 0

    assert capsys.readouterr().out.endswith("Go on? [y/N] Nothing was changed.\n")
    assert stopped == []
    assert job.poll() is None


def test_yes_ends_the_job_first_then_the_services(
    job: subprocess.Popen[str], settings: Settings, stopped: list[str]
) -> None:
    assert down(settings, yes=True) == 0

    assert job.poll() is not None
    assert stopped == ["down"]
    assert processes_at_work(settings) == []
