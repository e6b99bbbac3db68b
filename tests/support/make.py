"""`make` and commands of pages as a user runs them, and what their output shows."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

from settings import PROJECT_ROOT, Settings


def make(*words: str, timeout: float = 600) -> subprocess.CompletedProcess[str]:
    """Run `make` as a user does, with this Python, where others may read new files."""
    return subprocess.run(
        ["make", *words, f"PYTHON={sys.executable}"],
        umask=0,
        cwd=PROJECT_ROOT,
        env=os.environ | {"PROFILES_SOURCE": "offline"},
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


def make_ok(*words: str) -> str:
    done = make(*words)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


def clear_fields(value: Any, path: str = "") -> set[str]:
    """Dotted names of the values that are shown as they were sent."""
    if isinstance(value, dict):
        below = (clear_fields(child, f"{path}.{name}") for name, child in value.items())
        return set().union(*below)
    return set() if value == "•••" else {path.removeprefix(".")}


PUBLIC_OF_TICKETS = {
    "ticket_id", "client_id", "created_at", "request_type", "priority", "type", "priorite",
}  # fmt: skip
PUBLIC_OF_PROFILES = {
    "login.uuid", "gender", "nat", "registered.date", "registered.age", "id.name",
    "location.timezone.offset", "location.timezone.description",
}  # fmt: skip


# Tested by themselves, or without an end.
NOT_PASTED = (
    "make verify",
    "make down",
    "make logs",
    "make status",
    "make pyspark",
    "make top",
    ".venv/bin/millrace trace",
)


def pasted(command: str) -> str:
    """Run a command as a shell takes it; gives its standard output."""
    done = subprocess.run(
        ["/bin/sh", "-c", f"{command}\n"],
        cwd=PROJECT_ROOT,
        env=os.environ | {"MAKEFLAGS": f"PYTHON={sys.executable}"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, f"{command}: {done.stdout[-2000:]}{done.stderr[-2000:]}"
    return done.stdout


def commands_of(page: str, heading: str) -> list[str]:
    section = (PROJECT_ROOT / page).read_text().split(f"\n## {heading}\n")[1]
    block = section.split("```sh\n")[1].split("```")[0]
    return [line.split("  # ")[0].strip() for line in block.splitlines()]


def tickets_read(settings: Settings) -> int:
    """Tickets that the ledger has confirmed."""
    from spark_jobs.sinks.mongodb import confirmed_database, connect_mongodb
    from spark_jobs.state.ledger import Ledger

    with connect_mongodb(settings) as client:
        return Ledger(confirmed_database(client, settings), "tickets").totals().read


def lags(output: str, topic: str) -> list[int]:
    """The lag of each partition of a topic, as `status` shows it."""
    rows = [line for line in output.splitlines() if line.startswith(f"│ {topic} ")]
    return [int(row.strip("│").split("│")[-1]) for row in rows]


# Reads what is on all topics, and ends.
FINISH = """
import sys
from spark_jobs.registry import built_in
from spark_jobs.run.command import main
sys.exit(main(built_in(), ["--available-now"]))
"""
