"""`make chaos`, as a user runs it: on its own stack, next to the one that is up."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from settings import PROJECT_ROOT, Settings
from tests.support.processes import wait_for
from tests.support.rights import open_to_others


@pytest.mark.timeout(1200)
def test_crash_tests_end_exact(settings: Settings) -> None:
    """The seed gives customers whose topics have a batch unconfirmed, and Cassandra killed."""
    done = subprocess.run(
        ["make", "chaos", "ROUNDS=2", "SEED=430", f"PYTHON={sys.executable}"],
        cwd=PROJECT_ROOT,
        env=os.environ,
        umask=0,
        capture_output=True,
        text=True,
        timeout=1100,
        check=False,
    )

    assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]
    assert "customers, at between-topics-and-confirmation: exact" in done.stdout
    assert "tickets, Cassandra killed: exact" in done.stdout
    assert "2 rounds: nothing lost, nothing doubled, every aggregate exact" in done.stdout
    home = str(settings.millrace_home / "chaos")
    wait_for(lambda: not processes_naming(home), 20, "end of all that was started")
    # Topics, tables, documents, logs, checkpoints, files.
    assert open_to_others(Path(home)) == []


def processes_naming(home: str) -> list[int]:
    return [p.pid for p in psutil.process_iter(["cmdline"]) if home in str(p.info["cmdline"])]
