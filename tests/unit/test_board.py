"""The board of `make top` and `make stream`, and what commands show while people wait."""

from __future__ import annotations

import io
import os
import pty
import re
import signal
import struct
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from fcntl import ioctl
from subprocess import PIPE, Popen, run
from typing import Any

import pytest
from rich.console import Console, RenderableType

from operations import top
from operations.activity import Activities, every
from operations.board import Board, ago, board_lines, shortened
from operations.job_activity import JobActivity
from operations.overview.model import (
    BatchView,
    Overview,
    PartitionView,
    PipelineView,
    ProofView,
    ServiceView,
)
from settings import PROJECT_ROOT, Settings
from spark_jobs.run.watching import READING
from spark_jobs.state.ledger import Counts, Entry
from tests.conftest import free_ports

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
COUNTS = Counts(
    read=1_234_567,
    stored=1_200_000,
    dead_lettered=30_000,
    filtered=4_000,
    duplicates=567,
    reasons={"missing_request": 10_000, "unparseable": 20_000},
)
SINKS = {"cassandra": 0.41, "mongodb": 0.12, "files": 0.77}
BATCH = BatchView("tickets", 42, NOW - timedelta(seconds=7), COUNTS, 1.5, SINKS)
TICKETS = PipelineView(
    name="tickets",
    family="tickets",
    topic="client_tickets",
    job="running",
    counts=COUNTS,
    history=(BATCH,),
    dead_letters=COUNTS.reasons,
    partitions=(PartitionView("client_tickets", 0, 0, 900, 888),),
    rate=9.6,
)
ORDERS = PipelineView(
    "orders", "orders", "orders", "not running", Counts(),
    partitions=(PartitionView("orders", 0, 0, 0, 0),),
)  # fmt: skip
SEEN = Overview(
    NOW,
    (
        ServiceView("kafka", "up", "h:1", "3"),
        ServiceView("cassandra", "frozen", "h:2", "5", "its process is stopped"),
    ),
    (TICKETS, ORDERS),
    ProofView(NOW - timedelta(minutes=4), verified=True),
    ("cassandra is away.",),
)


def screen(shown: RenderableType, width: int = 80, height: int = 24) -> list[str]:
    """What stands on a terminal of this size."""
    console = Console(width=width, height=height, file=io.StringIO(), color_system=None)
    with console.capture() as caught:
        console.print(shown)
    return [line.rstrip() for line in caught.get().splitlines()]


def test_board_fits_80_columns_and_shows_every_number_of_a_pipeline() -> None:
    lines = screen(Board(SEEN))

    assert max(map(len, lines)) <= 80
    (row,) = [line.split() for line in lines if line.startswith("tickets  running")]
    assert row[2:] == ["1,234,567", "9.6", "12", "1,200,000", "30,000", "4,000", "567"]
    assert ["orders", "–", *["0"], "0.0", *["0"] * 5] in [line.split() for line in lines]
    (batch,) = [line for line in lines if re.match(r"tickets +42 ", line)]
    assert batch.split(maxsplit=5)[1:] == [
        "42",
        "1.5",
        "7",
        "s",
        "files 0.8, cassandra 0.4, mongodb 0.1",
    ]
    assert "tickets rejected: unparseable 20,000, missing_request 10,000" in lines
    assert "last `make verify`, 4 min ago: nothing lost, nothing doubled" in lines
    assert "kafka up  cassandra frozen" in lines[0]
    assert "! cassandra: its process is stopped" in lines
    assert "! cassandra is away." in lines


@pytest.mark.parametrize("height", [24, 14, 9, 6, 3, 1])
def test_low_terminal_leaves_out_what_matters_least(height: int) -> None:
    many = replace(SEEN, pipelines=(TICKETS, *(replace(ORDERS, name=f"o{n}") for n in range(4))))
    lines = screen(Board(many, said=["[1 s] said"]), height=height)

    assert len(lines) <= max(height - 1, 0)
    expected = {24: "said", 14: "last batch", 9: "its process", 6: "tickets", 3: "pipeline"}
    if height in expected:
        assert any(expected[height] in line for line in lines)
    if height < 14:
        assert not any("said" in line for line in lines)


@pytest.mark.parametrize("width", [40, 60, 132])
def test_no_number_is_cut_into_a_smaller_one(width: int) -> None:
    row = next(line for line in screen(Board(SEEN), width=width) if line.startswith("tickets"))

    assert "1,234,567" in row
    assert "…" not in row


def test_board_before_the_first_look_and_while_services_start() -> None:
    activities = Activities()
    with activities.doing("services: starting") as current:
        current.since -= 12
        first = screen(Board(None, activities, starting=True))
        later = screen(Board(SEEN, activities, starting=True))

    assert first[0] == "Millrace looks at the services …"
    assert any(re.fullmatch(r". services: starting +12 s", line) for line in first)
    # That a service which is about to be started is away is no trouble.
    assert "! cassandra is away." not in later
    assert any(line.startswith("tickets  starts") for line in later)


def test_board_as_lines_has_the_same_numbers_for_pipelines_that_have_read_something() -> None:
    assert board_lines(SEEN) == [
        "services: cassandra frozen",
        "! cassandra: its process is stopped",
        "! cassandra is away.",
        "tickets: running, read 1,234,567 (9.6/s), lag 12; stored 1,200,000, dead letters 30,000,"
        " filtered 4,000, duplicates 567; batch 42 in 1.5 s"
        " (files 0.8, cassandra 0.4, mongodb 0.1)",
    ]


def test_control_characters_cannot_steer_the_terminal() -> None:
    seen = replace(SEEN, troubles=("a\x1b[2Jb",))
    activities = Activities()
    with activities.doing("\x1b[2J") as current:
        current.since -= 12
        assert "\x1b" not in "\n".join(screen(Board(seen, activities, ["\x1b[2J"])))


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(-3, "0 s"), (0, "0 s"), (119, "119 s"), (120, "2 min"), (7199, "119 min"), (7200, "2 h")],
)
def test_age_in_words(seconds: int, expected: str) -> None:
    assert ago(NOW, NOW - timedelta(seconds=seconds)) == expected


def test_large_numbers_are_shortened_to_nine_characters() -> None:
    assert [shortened(n) for n in (0, 9_999_999, 12_345_678)] == ["0", "9,999,999", "12.3 M"]


def test_lines_are_written_only_if_they_say_something_new(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, written = [1000.0], list[str]()
    monkeypatch.setattr("operations.top.time.monotonic", lambda: clock[0])
    looks: Any = type("Seen", (), {"seen": None})()
    lines = top.LogLines(looks, written.append)

    lines.write()
    assert written == []
    looks.seen = replace(SEEN, services=(), troubles=())
    lines.write()
    assert len(written) == 1
    lines.write()
    assert len(written) == 1
    clock[0] += top.AT_LEAST_EVERY_SECONDS
    lines.write()
    assert len(written) == 2
    changed = replace(TICKETS, counts=replace(COUNTS, read=1_234_568))
    looks.seen = replace(looks.seen, pipelines=(changed,))
    lines.write()
    assert [line.split(" (")[0] for line in written] == [
        "tickets: running, read 1,234,567",
        "tickets: running, read 1,234,567",
        "tickets: running, read 1,234,568",
    ]


def test_look_that_fails_is_a_trouble_and_the_next_one_is_made(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    outcomes: list[Overview | Exception] = [SEEN, RuntimeError("a value of a record"), SEEN]
    seen = list[Overview | None]()

    class Observer:
        def __init__(self, settings: Settings) -> None:
            """Without a service."""

        def __enter__(self) -> None:
            """Nothing to open."""

        def __exit__(self, *_: object) -> None:
            """Nothing to close."""

        def look(self) -> Overview:
            seen.append(looks.seen)
            outcome = outcomes.pop(0) if outcomes else SEEN
            if isinstance(outcome, Exception):
                raise outcome
            return outcome

    monkeypatch.setattr(top, "Observer", Observer)
    monkeypatch.setattr(top, "LOOK_EVERY_SECONDS", 0.01)
    looks = top.Looks(settings)
    with looks:
        deadline = time.monotonic() + 20
        while len(seen) < 4 and time.monotonic() < deadline:
            time.sleep(0.01)

    failed = replace(SEEN, troubles=("a look failed (RuntimeError); the next one is made soon",))
    assert seen[:4] == [None, SEEN, failed, SEEN]


def test_job_shows_each_pipelines_step_and_how_much_of_its_messages_is_done(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "operations.job_activity.topic_offsets", lambda *_: {0: (0, 100), 1: (40, 50)}
    )
    activities = Activities()
    job = JobActivity(settings, activities, counts=True)
    last = Entry("tickets", "t", "q", 0, {0: (0, 30), 1: (0, 45)}, Counts(read=75), ())
    seen = list[tuple[str, str]]()

    def note() -> None:
        seen.extend((each.text, each.number) for each in activities.current())

    job.expected()
    note()
    job.started("tickets", "t", last)
    note()
    job.at_step("tickets", 1, READING)
    note()
    job.at_step("tickets", 1, "cassandra")
    note()
    job.confirmed(replace(last, batch_id=1, counts=Counts(read=60)))
    note()
    job.at_step("tickets", 2, READING)
    note()
    job.not_written("tickets", "cassandra")
    note()
    job.ended()

    assert activities.current() == []
    assert seen == [
        ("jobs: check code, checkpoints and ledgers", ""),
        ("tickets: starts its query", "0/75"),
        ("tickets: batch 1 reads and checks (the first one: Spark compiles)", "0/75"),
        ("tickets: batch 1 writes to cassandra", "0/75"),
        ("tickets: waits for messages", "60/75"),
        ("tickets: batch 2 reads and checks", "60/75"),
        ("tickets: cassandra did not take the batch, it will be repeated", "60/75"),
    ]


def away(settings: Settings) -> dict[str, str]:
    """An environment in which no service answers."""
    (kafka, mongodb) = free_ports(2)
    return os.environ | {
        "TERM": "xterm-256color",
        "MILLRACE_HOME": str(settings.millrace_home),
        "KAFKA_BOOTSTRAP_SERVERS": f"127.0.0.1:{kafka}",
        "MONGO_URI": f"mongodb://127.0.0.1:{mongodb}",
        "CASSANDRA_PORT": str(settings.cassandra_port),
    }


def resize(terminal: int, height: int, width: int) -> None:
    ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))


def read_until(here: int, wanted: bytes, seconds: float = 60) -> bytes:
    """What the terminal gets, up to some bytes; fails if they do not come."""
    found, deadline = b"", time.monotonic() + seconds
    while wanted not in found:
        assert time.monotonic() < deadline, found[-2000:]
        found += os.read(here, 65536)
    return found


TOP = [sys.executable, "-m", "operations.cli", "top"]


@contextmanager
def top_in_terminal(settings: Settings, **more: str) -> Iterator[tuple[int, Popen[bytes]]]:
    """`make top` on 80 x 24 characters."""
    here, there = pty.openpty()
    resize(here, 24, 80)
    environment = away(settings) | more
    process = Popen(TOP, cwd=PROJECT_ROOT, env=environment, stdin=there, stdout=there, stderr=there)
    os.close(there)
    try:
        yield here, process
    finally:
        process.kill()
        process.wait()
        os.close(here)


def test_top_redraws_after_a_resize_and_gives_the_terminal_back_on_ctrl_c(
    settings: Settings,
) -> None:
    with top_in_terminal(settings) as (here, process):
        began = read_until(here, b"kafka down")
        assert b"top: starts" in began
        assert b"\x1b[?1049h" in began  # a screen of its own
        resize(here, 8, 60)
        assert b"mongodb down" in read_until(here, b"mongodb")
        process.send_signal(signal.SIGINT)
        ended = read_until(here, b"interrupted")
        assert process.wait(20) == 130

    assert b"\x1b[?1049l" in ended
    assert b"\x1b[?25h" in ended[ended.rindex(b"\x1b[?1049l") :]
    assert b"Traceback" not in ended


def test_top_writes_lines_on_a_terminal_that_cannot_redraw(settings: Settings) -> None:
    with top_in_terminal(settings, TERM="dumb") as (here, process):
        began = read_until(here, b"services: kafka down")
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 130

    assert b"\x1b[?1049h" not in began


def test_top_without_a_terminal_writes_lines_and_as_json_one_object(
    settings: Settings,
) -> None:
    environment = away(settings)
    with Popen(TOP, cwd=PROJECT_ROOT, env=environment, stdout=PIPE, text=True) as process:
        assert process.stdout is not None
        first = process.stdout.readline()
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 130
    as_json = [*TOP, "--json"]
    done = run(as_json, cwd=PROJECT_ROOT, env=environment, capture_output=True, text=True)

    assert first == "services: kafka down, cassandra down, mongodb down\n"
    assert (done.returncode, done.stderr) == (0, "")
    assert '"condition": "down"' in done.stdout


def test_top_ends_soon_after_its_reader_has_enough(settings: Settings) -> None:
    given = {"cwd": PROJECT_ROOT, "env": away(settings), "stdout": PIPE, "stderr": PIPE}
    with Popen(TOP, text=True, **given) as process:  # type: ignore[call-overload]
        try:
            process.stdout.readline()
            process.stdout.close()
            # Lines that say nothing new come every 30 seconds only.
            assert process.wait(15) == 141
            assert process.stderr.read() == ""
        finally:
            process.kill()


def test_something_is_done_again_and_again_until_the_block_ends() -> None:
    times = list[float]()
    with every(0.02, lambda: times.append(1)):
        time.sleep(0.3)
    number = len(times)
    time.sleep(0.1)

    assert number > 2
    assert len(times) == number
