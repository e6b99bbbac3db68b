"""A reader that has enough, such as `| head`, ends a command quietly."""

from __future__ import annotations

import os
import subprocess
import sys

from settings import PROJECT_ROOT


def test_command_whose_reader_has_gone_ends_without_a_traceback() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "operations.cli", "show"],
            cwd=PROJECT_ROOT,
            stdout=writing,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
            check=False,
        )
    finally:
        os.close(writing)

    assert done.returncode == 141
    # On a busy machine it says what it waits for.
    assert [line for line in done.stderr.splitlines() if not line.startswith("… show: ")] == []
