"""`make logs`: which log a name means, and what is said if there is none."""

from __future__ import annotations

from pathlib import Path

import pytest

from errors import MillraceError
from operations.logs import follow, log_path
from runtime.config.pipeline_folders import BUILT_IN
from settings import Settings


@pytest.mark.parametrize("pipeline", BUILT_IN)
def test_log_of_a_pipeline_is_that_of_the_jobs_or_of_its_own_spark(
    pipeline: str, tmp_path: Path
) -> None:
    (tmp_path / "logs").mkdir()
    for name in ("jobs", f"spark-{pipeline}"):
        (tmp_path / "logs" / f"{name}.log").write_text("")
    settings = Settings(_env_file=None, millrace_home=tmp_path)

    assert log_path(settings, pipeline).name == "jobs.log"
    assert log_path(settings, "spark").name == f"spark-{pipeline}.log"


@pytest.mark.parametrize(
    ("stack", "where"),
    [
        ("docker", "docker compose -f docker/compose.yaml logs --follow kafka"),
        ("external", "its log is elsewhere"),
    ],
)
def test_log_of_a_service_that_runs_elsewhere_is_located(
    tmp_path: Path, stack: str, where: str
) -> None:
    settings = Settings(_env_file=None, millrace_home=tmp_path, stack=stack)

    with pytest.raises(MillraceError, match=where) as caught:
        log_path(settings, "kafka")

    assert "Nothing has run" not in str(caught.value)


def test_unknown_log_is_answered_with_the_list_of_logs(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    for name in ("kafka", "jobs"):
        (tmp_path / "logs" / f"{name}.log").write_text("")

    with pytest.raises(MillraceError, match=r"no log of `kafak`.*SERVICE= takes: jobs, kafka\."):
        follow(Settings(millrace_home=tmp_path), "kafak")


def test_log_without_a_name_lists_the_logs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "logs").mkdir()
    for name in ("kafka", "jobs"):
        (tmp_path / "logs" / f"{name}.log").write_text("")

    assert follow(Settings(millrace_home=tmp_path), None) == 0

    assert capsys.readouterr().out == "make logs SERVICE=…, one of: jobs, kafka\n"


@pytest.mark.parametrize(("name", "meant"), [("kafak", "kafka"), ("ticket", "tickets")])
def test_mistyped_log_is_answered_by_the_one_that_was_meant(
    name: str, meant: str, tmp_path: Path
) -> None:
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "kafka.log").write_text("")

    with pytest.raises(MillraceError, match=f"Did you mean `{meant}`"):
        follow(Settings(millrace_home=tmp_path), name)


def test_log_is_followed_through_rotation_and_a_new_beginning(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "logs" / "jobs.log"
    log.parent.mkdir()
    log.write_text("".join(f"{n}\n" for n in range(60)))

    def rotate() -> None:
        with log.open("ab") as file:
            file.write("before rotation\n half a é".encode()[:-1])
        log.rename(log.with_name("jobs.log.1"))

    def append() -> None:
        with log.open("a") as file:
            file.write("appended\n")

    # What happens while the follower waits; without its name the log is gone for a moment.
    events = iter(
        [
            rotate,
            lambda: log.write_text("after rotation\n" + "x\n" * 60),
            append,
            lambda: log.write_text("begun again\n"),
            append,
            log.unlink,
            lambda: None,
        ]
    )
    monkeypatch.setattr("operations.logs.time.sleep", lambda _: next(events)())

    assert follow(Settings(millrace_home=tmp_path), "jobs") == 0

    _, *lines = capsys.readouterr().out.splitlines()
    assert lines[:50] == [str(n) for n in range(10, 60)]
    assert lines[50:53] == ["before rotation", " half a \ufffdafter rotation", "x"]
    assert lines[112:] == ["appended", "begun again", "appended"]
