"""Errors of the file system, as users read them."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from operations.cli import main
from runtime.files import write_whole
from spark_jobs.session.file_errors import file_error


def test_full_disk_and_missing_right_name_the_place_and_what_to_do() -> None:
    full = file_error(OSError(errno.ENOSPC, "No space left on device", "/data/x"))
    locked = file_error(PermissionError(errno.EACCES, "Permission denied", "/data/x"))

    assert str(full).startswith("No space left on device: `/data/x`. Free some space there")
    assert str(locked).startswith("Permission denied: `/data/x`. Let this user write there")


def test_other_errors_are_not_taken_for_those_of_the_file_system() -> None:
    assert file_error(ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused")) is None
    assert file_error(FileNotFoundError(errno.ENOENT, "No such file", "/code/x")) is None


def test_file_in_the_place_of_a_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")

    with pytest.raises(OSError) as caught:  # noqa: PT011 - which one depends on the system
        write_whole(tmp_path / "taken" / "below" / "file", "text")

    assert "A folder is needed there" in str(file_error(caught.value))


def test_command_whose_state_folder_cannot_be_made_says_so_without_a_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "taken").write_text("")
    monkeypatch.setenv("MILLRACE_HOME", str(tmp_path / "taken" / "home"))

    assert main(["up"]) == 1

    message = capsys.readouterr().err
    assert str(tmp_path / "taken") in message
    assert "MILLRACE_HOME" in message
