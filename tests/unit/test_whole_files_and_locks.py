"""Files that are there whole or not at all, and locks that end with their process."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from runtime.files import takes_lock, whole, write_whole
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
