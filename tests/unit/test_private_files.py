"""What commands make is for their user alone, whatever the umask; programs stay as they were."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from local_stack.run_as import _let_in
from operations.new.folder import write_folder
from runtime import surroundings
from runtime.java import install_wheel
from settings import PROJECT_ROOT, Settings
from spark_jobs.session.hadoop_conf import store_conf
from tests.support.rights import open_to_others


@pytest.fixture
def private(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A process with the private umask, whose user's is 022."""
    monkeypatch.setattr(surroundings, "_umask_at_start", [])
    before = os.umask(0o022)
    surroundings.keep_private()
    yield
    os.umask(before)


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_generated_customers_are_readable_by_their_user_alone(umask: int, tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    file = tmp_path / "mine" / "customers.csv"

    done = subprocess.run(
        [sys.executable, "-m", "producers.customers", "--generate", str(file), "--count", "9"],
        cwd=PROJECT_ROOT,
        umask=umask,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert oct(file.stat().st_mode & 0o777) == "0o600"
    assert oct(file.parent.stat().st_mode & 0o777) == "0o700"
    # A folder that was there is the user's own.
    assert oct(tmp_path.stat().st_mode & 0o777) == "0o755"


@pytest.mark.parametrize("words", [["operations.cli", "job", "tickets"], ["spark_jobs.tickets"]])
def test_state_of_a_job_is_readable_by_its_user_alone(words: list[str], tmp_path: Path) -> None:
    home = tmp_path / "home"
    # Refused, but only once it writes a log.
    own = {"MILLRACE_HOME": str(home), "PYSPARK_GATEWAY_PORT": "1"}

    done = subprocess.run(
        [sys.executable, "-m", *words, "--memory", "1g"],
        cwd=PROJECT_ROOT,
        env=os.environ | own,
        umask=0,
        capture_output=True,
        text=True,
        check=False,
    )

    assert "Under spark-submit" in done.stderr
    assert (home / "logs" / "jobs.log").exists()
    assert open_to_others(home) == []


def test_a_new_pipeline_has_the_rights_of_the_users_other_files(
    private: None, tmp_path: Path
) -> None:
    write_folder(tmp_path / "pipelines" / "orders", {"README.md": "x"}, lambda folder: None)

    modes = {p.name: oct(p.stat().st_mode & 0o777) for p in (tmp_path / "pipelines").rglob("*")}
    assert modes == {"orders": "0o755", "README.md": "0o644"}
    assert oct((tmp_path / "pipelines").stat().st_mode & 0o777) == "0o755"


def test_programs_of_an_environment_are_installed_with_the_users_umask(
    private: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[int] = []

    def pip(
        command: list[str], umask: int, env: dict[str, str], **_: object
    ) -> subprocess.CompletedProcess[str]:
        # A user's own configuration may ask for `--user`.
        assert env["PIP_USER"] == "0"
        given.append(umask)
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(subprocess, "run", pip)
    install_wheel("one==1")
    install_wheel("one==1", target=tmp_path)

    assert given == [0o022, surroundings.SAME_UMASK]


def test_hadoop_gives_files_of_this_machine_to_their_user_alone(tmp_path: Path) -> None:
    def umask_of(**places: str) -> str | None:
        settings = Settings(_env_file=None, millrace_home=tmp_path, **places)
        return store_conf(settings).get("spark.hadoop.fs.permissions.umask-mode")

    assert umask_of() == "077"
    assert umask_of(output_path="s3a://bucket/x") == "077"
    # The cluster's own configuration counts there.
    assert umask_of(output_path="hdfs://host:8020/x") is None
    assert umask_of(checkpoint_path="hdfs://host:8020/x") is None


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files to other groups")
def test_only_the_group_of_a_servers_user_may_pass_and_read_its_program(
    private: None, tmp_path: Path
) -> None:
    group, home = 65534, tmp_path / "home"
    for folder in ("data/postgres/wheel", "tools/postgres/bin", "logs"):
        (home / folder).mkdir(parents=True)
    for file in ("tools/postgres/bin/postgres", "tools/postgres/lib.so", "data/postgres/note"):
        (home / file).touch(mode=0o700)

    # As pip leaves a library under the private umask.
    (home / "tools/postgres/lib.so").chmod(0o711)
    _let_in(group, home / "data" / "postgres", [home])
    _let_in(group, home / "tools" / "postgres", [home], with_content=True)
    _let_in(group, home / "absent", [home], with_content=True)

    found = {str(p.relative_to(tmp_path)): oct(p.stat().st_mode & 0o777) for p in home.rglob("*")}
    passed = {name for name, mode in found.items() if mode == "0o710"}
    assert passed == {"home/data", "home/data/postgres", "home/tools", "home/tools/postgres"}
    read = {name for name, mode in found.items() if mode == "0o750"}
    assert read == {
        "home/tools/postgres/bin",
        "home/tools/postgres/bin/postgres",
    }
    assert found.pop("home/tools/postgres/lib.so") == "0o751"
    assert {found[name] for name in {*found} - passed - read} == {"0o700"}
    assert {(tmp_path / name).stat().st_gid for name in passed | read} == {group}
    assert home.stat().st_mode & 0o777 == 0o710
