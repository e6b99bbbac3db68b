"""The set-up of `.venv`: what it refuses, what it repairs, when it does nothing."""

from __future__ import annotations

import ast
import os
import shutil
import sys
from collections import namedtuple
from pathlib import Path

import pytest

from local_stack import bootstrap
from settings import PROJECT_ROOT

PYPROJECT = '[project]\nrequires-python = ">=3.11,<3.13"\n'
LOCK = """alpha==1.0 \\
    --hash=sha256:aa
setuptools==80.9.0 \\
    --hash=sha256:bb \\
    --hash=sha256:cc
    # via millrace
zeta==2.0 \\
    --hash=sha256:dd
"""
Usage = namedtuple("Usage", "total used free")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    (tmp_path / "pyproject.toml").write_text(PYPROJECT)
    for name in bootstrap.LOCKS:
        (tmp_path / name).write_text(LOCK)
    return tmp_path


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Records commands instead of running them; `venv` leaves an interpreter behind."""
    ran: list[list[str]] = []

    def run(command: list[str], label: str, folder: str = "") -> tuple[int, list[str]]:
        ran.append(command)
        if "venv" in command:
            python = Path(command[-1]) / "bin" / "python"
            python.parent.mkdir(parents=True)
            python.symlink_to(sys.executable)
        return 0, []

    monkeypatch.setattr(bootstrap, "run_showing_progress", run)
    return ran


def test_script_parses_as_python_3_6() -> None:
    source = Path(bootstrap.__file__).read_text()

    ast.parse(source, feature_version=(3, 6))


def test_supported_versions_are_those_of_pyproject() -> None:
    assert bootstrap.supported_versions(PYPROJECT) == [(3, 11), (3, 12)]
    assert bootstrap.supported_versions((PROJECT_ROOT / "pyproject.toml").read_text())


def test_unsupported_python_hands_over_to_a_supported_one(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[tuple[str, list[str]]] = []
    monkeypatch.setattr(sys, "version_info", (3, 13, 0))
    monkeypatch.setattr(sys, "argv", ["bootstrap.py", "--dev"])
    monkeypatch.setattr(shutil, "which", lambda name: f"/opt/{name}")
    # python3.11 is only a version manager's launcher here: it does not run.
    monkeypatch.setattr(
        bootstrap, "python_version", lambda path: (3, 12) if "3.12" in path else None
    )
    monkeypatch.setattr(os, "execv", lambda path, args: started.append((path, args)))

    with pytest.raises(bootstrap.BootstrapError):  # execv, not real here, comes back
        bootstrap.ensure_python()

    assert started == [("/opt/python3.12", ["/opt/python3.12", "bootstrap.py", "--dev"])]


def test_missing_python_is_named_with_what_to_do(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 9, 2))
    monkeypatch.setattr(shutil, "which", lambda name: None)

    status = bootstrap.main([])

    message = capsys.readouterr().err
    assert status == 1
    assert "needs Python 3.11 or 3.12" in message
    assert "is 3.9 and" in message
    assert "PYTHON=" in message


def test_python_that_does_not_run_has_no_version(tmp_path: Path) -> None:
    launcher = tmp_path / "python3.11"
    launcher.write_text("#!/bin/sh\necho 'command not found' >&2\nexit 127\n")
    launcher.chmod(0o755)

    assert bootstrap.python_version(str(launcher)) is None
    assert bootstrap.python_version(sys.executable) == sys.version_info[:2]


def test_too_little_space_is_refused_before_anything_is_made(
    checkout: Path, commands: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(9e9, 8e9, 1e9))

    with pytest.raises(bootstrap.BootstrapError, match=r"1\.0 GB free .* 2\.5 GB needed"):
        bootstrap.ensure_environment(bootstrap.LOCK, root=str(checkout))

    assert commands == []
    assert not (checkout / ".venv").exists()


def test_missing_venv_module_names_the_debian_package(
    checkout: Path, commands: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bootstrap, "_succeeds", lambda command: False)
    monkeypatch.setattr(shutil, "which", lambda name: None)
    package = f"python{sys.version_info[0]}.{sys.version_info[1]}-venv"

    with pytest.raises(bootstrap.BootstrapError, match=f"apt install {package}"):
        bootstrap.ensure_environment(bootstrap.LOCK, root=str(checkout))


def test_failure_of_pip_shows_its_last_lines_and_leaves_no_stamp(
    checkout: Path, commands: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    record = bootstrap.run_showing_progress

    def run(command: list[str], label: str, folder: str = "") -> tuple[int, list[str]]:
        record(command, label, folder)
        return (1, ["first line", "ERROR: No route to host"]) if "install" in command else (0, [])

    monkeypatch.setattr(bootstrap, "run_showing_progress", run)

    with pytest.raises(bootstrap.BootstrapError, match="No route to host"):
        bootstrap.ensure_environment(bootstrap.LOCK, root=str(checkout))

    assert not bootstrap.is_current(str(checkout), bootstrap.LOCK)


def test_second_call_does_nothing(checkout: Path, commands: list[list[str]]) -> None:
    bootstrap.ensure_environment(bootstrap.LOCK, root=str(checkout))
    first = len(commands)

    bootstrap.ensure_environment(bootstrap.LOCK, root=str(checkout))

    assert first == 4  # venv, setuptools, the lock file, the checkout itself
    assert len(commands) == first


def test_environment_whose_python_has_gone_is_made_again(
    checkout: Path, commands: list[list[str]]
) -> None:
    bootstrap.ensure_environment(bootstrap.LOCK, root=str(checkout))
    first = len(commands)
    shutil.rmtree(checkout / ".venv" / "bin")

    bootstrap.ensure_environment(bootstrap.LOCK, root=str(checkout))

    assert len(commands) == 2 * first


def test_packages_alone_leave_out_the_project_and_write_no_stamp(
    checkout: Path, commands: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bootstrap, "ROOT", str(checkout))

    status = bootstrap.main(["--packages-only"])

    assert status == 0
    assert [command[-2:] for command in commands[2:]] == [["-r", "requirements-embedded.lock"]]
    assert not bootstrap.is_current(str(checkout), bootstrap.LOCK)


def test_every_locked_package_is_installed_by_hash(
    checkout: Path, commands: list[list[str]]
) -> None:
    bootstrap.ensure_environment(bootstrap.LOCK, root=str(checkout))

    assert all("--require-hashes" in command for command in commands[1:3])
    assert commands[2][-2:] == ["-r", "requirements-embedded.lock"]


def test_changed_lock_file_is_installed_again(checkout: Path, commands: list[list[str]]) -> None:
    bootstrap.ensure_environment(bootstrap.LOCK, root=str(checkout))
    first = len(commands)

    (checkout / "requirements-embedded.lock").write_text(LOCK + "# changed\n")
    bootstrap.ensure_environment(bootstrap.LOCK, root=str(checkout))

    # The environment itself is kept: only the three installations come again.
    assert len(commands) - first == 3


def test_tools_for_tests_are_added_once_and_kept(checkout: Path, commands: list[list[str]]) -> None:
    bootstrap.ensure_environment(bootstrap.LOCK, root=str(checkout))
    bootstrap.ensure_environment(bootstrap.DEV_LOCK, root=str(checkout))
    after_dev = len(commands)

    bootstrap.ensure_environment(bootstrap.LOCK, root=str(checkout))

    assert ["-r", "requirements-dev.lock"] in [command[-2:] for command in commands]
    assert len(commands) == after_dev


def test_jobs_alone_need_one_lock_file_and_a_larger_set_serves_them_too(
    checkout: Path, commands: list[list[str]]
) -> None:
    root = str(checkout)
    others = [checkout / bootstrap.LOCK, checkout / bootstrap.DEV_LOCK]
    for path in others:
        path.unlink()

    bootstrap.ensure_environment(bootstrap.JOBS_LOCK, root=root)

    assert commands[2][-2:] == ["-r", "requirements.lock"]
    assert bootstrap.is_current(root, bootstrap.JOBS_LOCK)
    assert not bootstrap.is_current(root, bootstrap.LOCK)
    for path in others:
        path.write_text(LOCK)
    bootstrap.ensure_environment(bootstrap.LOCK, root=root)
    assert bootstrap.is_current(root, bootstrap.JOBS_LOCK)
    assert not bootstrap.is_current(root, bootstrap.DEV_LOCK)


@pytest.mark.parametrize(
    ("option", "lock"),
    [
        ([], "requirements-embedded.lock"),
        (["--jobs-only"], "requirements.lock"),
        (["--dev"], "requirements-dev.lock"),
    ],
)
def test_option_chooses_the_lock_file(
    checkout: Path,
    commands: list[list[str]],
    monkeypatch: pytest.MonkeyPatch,
    option: list[str],
    lock: str,
) -> None:
    monkeypatch.setattr(bootstrap, "ROOT", str(checkout))

    assert bootstrap.main([*option, "--packages-only"]) == 0

    assert commands[-1][-2:] == ["-r", lock]


def test_locked_requirement_comes_with_all_its_hashes() -> None:
    assert bootstrap.locked_requirement(LOCK, "setuptools") == (
        "setuptools==80.9.0 \\\n    --hash=sha256:bb \\\n    --hash=sha256:cc\n    # via millrace\n"
    )


def test_output_of_a_command_is_held_back_and_returned(
    capsys: pytest.CaptureFixture[str],
) -> None:
    program = "print('one'); print('two'); raise SystemExit(3)"

    outcome = bootstrap.run_showing_progress([sys.executable, "-c", program], "test")

    assert outcome == (3, ["one", "two"])
    assert capsys.readouterr() == ("", "")
