"""Faults under a job: a disk that is full, a store that stays away."""

from __future__ import annotations

import contextlib
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from local_stack.mongodb import MongoDB
from operations.verify.accounts import take_accounts
from settings import Settings
from spark_jobs.state.ledger import Counts
from spark_jobs.tickets import TICKETS
from tests.integration.test_tickets_pipeline import ticket
from tests.support.pipelines import MakeWorld
from tests.support.processes import finish, output_of, start_job, wait_for
from tests.support.world import World

DISK_BYTES = 1_500_000


def assert_balanced(world: World) -> None:
    (account,) = take_accounts(world.settings, world.database, world.spark, [world.pipeline])
    assert account.faults == []
    assert account.balanced


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder on a file system of its own with little room."""
    path = tmp_path / "disk"
    path.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(path)]
    made = subprocess.run(words, capture_output=True, check=False)
    if made.returncode:
        pytest.skip("mounting a file system needs rights that this user lacks")
    yield path
    subprocess.run(["umount", "--lazy", str(path)], check=True)


def test_full_disk_under_the_checkpoint_stops_the_job_and_costs_nothing(
    make_world: MakeWorld, small_disk: Path
) -> None:
    world = make_world(TICKETS)
    world.send(*[ticket(f"T{n}") for n in range(300)], (None, b"no ticket"))
    checkpoints = world.settings.millrace_home / "checkpoints"
    checkpoints.parent.mkdir(parents=True, exist_ok=True)
    checkpoints.symlink_to(small_disk)
    filler = small_disk / "filler"
    process = start_job(world)
    wait_for(lambda: world.totals().read > 0, 120, "first batch")

    with contextlib.suppress(OSError):
        filler.write_bytes(b"x" * DISK_BYTES)
    fill_up(filler)
    world.send(*[ticket(f"U{n}") for n in range(300)])
    assert process.wait(120) == 1
    last_line = output_of(world).splitlines()[-1]
    assert "Nothing is lost" in last_line or "No space left" in last_line
    assert "Traceback" not in output_of(world)
    filler.unlink()
    finish(world)

    assert world.totals() == Counts(
        read=601, stored=600, dead_lettered=1, reasons={"unparseable": 1}
    )
    assert_balanced(world)


def fill_up(filler: Path) -> None:
    """Take the last byte of the file system on which a file lies."""
    with filler.open("ab", buffering=0) as file, contextlib.suppress(OSError):
        for size in (65536, 4096, 1):
            with contextlib.suppress(OSError):
                while True:
                    file.write(b"x" * size)
    assert shutil.disk_usage(filler.parent).free < 4096


def test_store_that_stays_away_ends_the_job_with_its_name_and_costs_nothing(
    make_world: MakeWorld, settings: Settings
) -> None:
    world = make_world(TICKETS)
    process = start_job(world, STORE_RETRY_SECONDS="5")
    wait_for(lambda: "query=tickets started" in output_of(world), 90, "start")
    store = MongoDB(settings)
    paused = store.process()
    assert paused is not None
    paused.send_signal(signal.SIGSTOP)
    started = time.monotonic()
    try:
        world.send(ticket("A"), (None, b"no ticket"), ticket("A"))
        assert process.wait(180) == 1
    finally:
        paused.send_signal(signal.SIGCONT)
    text = output_of(world)
    assert "waiting for MongoDB" in text
    assert "MongoDB" in text.splitlines()[-1]
    assert "make up" in text.splitlines()[-1] or "make status" in text.splitlines()[-1]
    assert time.monotonic() - started < 170
    finish(world)

    assert world.totals() == Counts(
        read=3, stored=1, dead_lettered=1, duplicates=1, reasons={"unparseable": 1}
    )
    assert_balanced(world)
