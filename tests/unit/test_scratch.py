"""Spark's temporary folders: whose they are, and when they go."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from settings import PROJECT_ROOT

PROGRAM = """
import sys
from pathlib import Path
from settings import Settings
from spark_jobs.session.scratch import scratch
print(scratch(Settings(millrace_home=Path(sys.argv[1])), "local"), flush=True)
sys.stdin.read()
"""


def start(home: Path) -> tuple[subprocess.Popen[str], Path]:
    """A process that holds a folder until its input ends."""
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(home)],
        cwd=PROJECT_ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    return process, Path(process.stdout.readline().strip())


def test_folder_of_a_living_process_stays_and_that_of_a_killed_one_goes(tmp_path: Path) -> None:
    alive, kept = start(tmp_path)
    killed, left_behind = start(tmp_path)
    killed.kill()
    killed.communicate()
    assert left_behind.is_dir()

    ended, own = start(tmp_path)

    assert len({kept, left_behind, own}) == 3
    assert kept.is_dir()
    assert not left_behind.parent.exists()
    for process in (alive, ended):
        process.communicate(timeout=60)
    assert list((tmp_path / "spark").glob("process-*")) == []
