"""Ctrl-C: one closing line, exit code 130, no traceback, at any moment."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from settings import PROJECT_ROOT

MILLRACE = str(PROJECT_ROOT / ".venv" / "bin" / "millrace")
BUSY = """
import sys, time, threading
from concurrent.futures import ThreadPoolExecutor
from runtime.interrupts import end_on_interrupt
end_on_interrupt("closed", seconds=0.5)
with ThreadPoolExecutor(1) as pool:
    pool.submit(time.sleep, 600)
    print("busy", flush=True)
    try:
        time.sleep(600)
    finally:
        print("cleaned up")
        raise RuntimeError
"""


def interrupted(command: list[str], after: str | float) -> subprocess.CompletedProcess[str]:
    """Interrupt a command when it has printed a line, or after some seconds."""
    process = subprocess.Popen(
        command,
        cwd=PROJECT_ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # As `make` does, so that a Python that starts answers as soon as it can.
        preexec_fn=lambda: signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT}),
    )
    if isinstance(after, str):
        assert process.stdout is not None
        assert process.stdout.readline() == after
    else:
        time.sleep(after)
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=60)
    return subprocess.CompletedProcess(command, process.returncode, output, errors)


def test_clean_up_after_an_interrupt_is_silent_and_bounded() -> None:
    done = interrupted([sys.executable, "-c", BUSY], "busy\n")

    assert (done.returncode, done.stdout, done.stderr) == (130, "", "closed\n")


@pytest.mark.parametrize("after", [0.0, 0.05, 0.15, 0.3])
@pytest.mark.parametrize(
    "command",
    [
        [MILLRACE, "run"],
        [sys.executable, "-m", "spark_jobs.tickets"],
        [sys.executable, "-m", "producers.tickets", "--bootstrap-servers", "127.0.0.1:1"],
    ],
    ids=["run", "job", "producer"],
)
def test_interrupt_during_imports_ends_with_one_line(command: list[str], after: float) -> None:
    done = interrupted(command, after)

    assert done.returncode == 130
    assert "Traceback" not in done.stderr
    assert "interrupted" in done.stderr or "sent=0" in done.stdout


def test_follower_of_a_log_ends_with_a_line() -> None:
    (PROJECT_ROOT / ".millrace" / "logs").mkdir(parents=True, exist_ok=True)
    log = PROJECT_ROOT / ".millrace" / "logs" / f"test-{os.getpid()}.log"
    log.write_text("line\n")
    try:
        done = interrupted([MILLRACE, "logs", log.stem], f"==> {log} (Ctrl-C ends)\n")
    finally:
        log.unlink()

    assert (done.returncode, done.stderr) == (130, "interrupted\n")
