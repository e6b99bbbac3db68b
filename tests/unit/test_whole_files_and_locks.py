"""Files that are there whole or not at all, and locks that end with their process."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from runtime.files import takes_lock, whole, write_whole
from runtime.presence import held_locks
from settings import PROJECT_ROOT

HOLD = (
    "import sys, time; from runtime.files import takes_lock;"
    " held = open(sys.argv[1], 'a'); print(takes_lock(held), flush=True); time.sleep(600)"
)


def test_file_that_is_not_finished_leaves_the_former_one_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "note"
    write_whole(path, "former")

    def fail_half_way() -> None:
        with whole(path) as file:
            file.write(b"new")
            raise RuntimeError("half way")

    with pytest.raises(RuntimeError, match="half way"):
        fail_half_way()

    assert path.read_text() == "former"
    assert list(tmp_path.iterdir()) == [path]


def test_two_containers_write_a_file_at_once_without_mixing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, names = tmp_path / "archive", iter(["job-tickets-0", "job-profiles-0"])
    monkeypatch.setattr("runtime.files.gethostname", lambda: next(names))
    monkeypatch.setattr("runtime.files.os.getpid", lambda: 1)

    with whole(path) as first, whole(path) as second:
        first.write(b"first")
        second.write(b"second")

    assert path.read_bytes() == b"first"
    assert list(tmp_path.iterdir()) == [path]


def test_lock_whose_holder_is_not_seen_here_is_held_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A job in another container: its processes are not in this one's /proc."""
    (tmp_path / "run").mkdir()
    path, idle = tmp_path / "run" / "job-orders.lock", tmp_path / "run" / "job-sensors.lock"
    idle.touch()
    command = [sys.executable, "-c", HOLD, str(path)]
    holder = subprocess.Popen(command, cwd=PROJECT_ROOT, stdout=subprocess.PIPE, text=True)
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "True\n"
        assert held_locks(tmp_path, by_others=True) == {"job-orders.lock": holder.pid}
        monkeypatch.setattr("runtime.presence.open_locks", lambda home: {})
        assert held_locks(tmp_path, by_others=True) == {"job-orders.lock": None}
        assert held_locks(tmp_path, by_others=False) == {}

        holder.kill()
        holder.wait()

        assert held_locks(tmp_path, by_others=True) == {}


def test_lock_is_free_once_its_holder_was_killed(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    command = [sys.executable, "-c", HOLD, str(path)]
    holder = subprocess.Popen(command, cwd=PROJECT_ROOT, stdout=subprocess.PIPE, text=True)
    with holder, path.open("a") as file:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "True\n"
        assert not takes_lock(file)

        holder.kill()
        holder.wait()

        assert takes_lock(file)
