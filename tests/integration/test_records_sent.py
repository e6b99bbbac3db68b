"""Records of files, of standard input and made from a contract, on a real broker, all counted."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from producers.messages import Message
from settings import PROJECT_ROOT, Settings
from tests.integration.test_producers import command, counts, messages_of

COUNT = 50
RECORDS: list[dict[str, Any]] = [
    {"order_id": f"A-{n}", "status": "new", "amount": f"{n}.50"} for n in range(COUNT)
]
EXAMPLES = {"PIPELINES_PATH": str(PROJECT_ROOT / "examples")}


def compact(record: Any) -> bytes:
    return json.dumps(record, separators=(",", ":")).encode()


def jsonl(file: Path) -> list[bytes]:
    values = [compact(record) for record in RECORDS[:-1]] + [b'{"order_id":"A-49", oops']
    file.write_bytes(b"\n".join(values))
    return values


def array(file: Path) -> list[bytes]:
    values = [compact(record) for record in RECORDS]
    file.write_bytes(b"[" + b", \n".join(values) + b"]")
    return values


def csv(file: Path) -> list[bytes]:
    rows = [";".join(record.values()) for record in RECORDS]
    file.write_text("\r\n".join(["order_id;status;amount", *rows]))
    return [compact(record) for record in RECORDS]


def parquet(file: Path) -> list[bytes]:
    pq.write_table(pa.Table.from_pylist(RECORDS), file)
    return [compact(record) for record in RECORDS]


def started(words: list[str], environment: dict[str, str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        words, env={**os.environ, **EXAMPLES, **environment}, text=True, cwd=PROJECT_ROOT,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def output_of(words: list[str], code: int = 0, **environment: str) -> str:
    """What a command prints; it ends with this code."""
    with started(words, environment) as run:
        output, errors = run.communicate(timeout=120)
    assert run.returncode == code, errors
    assert "Traceback" not in errors
    return output or errors


def on_topic(settings: Settings, topic: str) -> list[Message]:
    return [message for _, message in messages_of(settings, topic)]


@pytest.mark.parametrize("write", [jsonl, array, csv, parquet])
def test_every_record_of_a_file_arrives_with_its_key(
    settings: Settings,
    make_topic: Callable[[], str],
    tmp_path: Path,
    write: Callable[[Path], list[bytes]],
) -> None:
    topic, values = make_topic(), write(tmp_path / "records")

    output = output_of([*command(settings, "sent", topic), "orders", str(tmp_path / "records")])

    assert f"source: `{tmp_path / 'records'}`, 50 records\n" in output
    assert counts(output) == (COUNT, COUNT, 0)
    keys = [f"A-{n}".encode() for n in range(COUNT)]
    if write is jsonl:
        keys[-1] = b""
    expected = Counter(zip(keys, values, strict=True))
    assert Counter((m.key or b"", m.value) for m in on_topic(settings, topic)) == expected


def test_lines_of_a_pipe_are_sent_as_they_come_and_ctrl_c_ends_it(
    settings: Settings, make_topic: Callable[[], str]
) -> None:
    topic = make_topic()
    with started([*command(settings, "sent", topic), "orders", "-"], {}) as run:
        assert run.stdin is not None
        for number in (1, 2, 3):
            run.stdin.write(f'{{"order_id":"A-{number}"}}\n')
            run.stdin.flush()
            deadline = time.monotonic() + 30
            while len(on_topic(settings, topic)) < number and time.monotonic() < deadline:
                time.sleep(0.1)
            assert len(on_topic(settings, topic)) == number
        run.stdin.write('{"order_id":"cut o')
        run.stdin.flush()
        time.sleep(0.5)
        run.send_signal(signal.SIGINT)
        output, errors = run.communicate(timeout=30)

    assert run.returncode == 130, errors
    assert counts(output) == (3, 3, 0)
    assert [message.key for message in sorted(on_topic(settings, topic))] == [
        b"A-1", b"A-2", b"A-3",
    ]  # fmt: skip


def test_records_made_from_a_contract_arrive_with_the_shares_that_were_asked_for(
    settings: Settings, make_topic: Callable[[], str]
) -> None:
    topic = make_topic()
    words = "orders --count 600 --seed 5 --invalid-ratio 0.2 --duplicate-ratio 0.2".split()

    output = output_of([*command(settings, "generated", topic), *words])

    assert "orders source: generated from its contract, seed 5\n" in output
    assert counts(output) == (600, 600, 0)
    made = output.splitlines()[-2].removeprefix("records made: ")
    shares = {kind: int(count) for count, kind in (w.split(" ", 1) for w in made.split(", "))}
    assert sum(shares.values()) == 600
    assert shares["duplicate"] == pytest.approx(120, abs=40)
    found = on_topic(settings, topic)
    keys = Counter(message.key for message in found)
    assert len(found) == 600
    assert sum(count - 1 for key, count in keys.items() if key) >= shares["duplicate"]


def test_the_commands_send_to_the_pipelines_topic(
    settings: Settings, make_topic: Callable[[], str], tmp_path: Path
) -> None:
    topic, tickets, file = make_topic(), make_topic(), tmp_path / "orders.jsonl"
    jsonl(file)
    millrace = [sys.executable, "-m", "operations.cli"]

    send = output_of([*millrace, "send", "orders", str(file)], ORDERS_TOPIC=topic)
    made = output_of([*millrace, "generate", "orders", "--count", "30"], ORDERS_TOPIC=topic)
    rated = [*millrace, "generate", "tickets", "--count", "20", "--rate", "0", "--seed", "1"]
    ticket = output_of(rated, TICKETS_TOPIC=tickets)

    assert counts(send) == (50, 50, 0)
    assert counts(made) == (30, 30, 0)
    assert counts(ticket) == (20, 20, 0)
    assert (len(on_topic(settings, topic)), len(on_topic(settings, tickets))) == (80, 20)


def test_rate_topic_and_size_are_kept_and_said(
    settings: Settings, make_topic: Callable[[], str], tmp_path: Path
) -> None:
    topic, file, large = make_topic(), tmp_path / "a.jsonl", tmp_path / "large.jsonl"
    jsonl(file)
    # Random, so that no compression makes it small.
    large.write_bytes(b'{"order_id":"' + os.urandom(1_000_000).hex().encode() + b'"}\n')
    send = [*command(settings, "sent", topic), "orders"]

    started_at = time.monotonic()
    output_of([*send, str(file), "--rate", "25"])
    assert time.monotonic() - started_at > 49 / 25

    refused = output_of([*send, str(large)], code=1)
    assert counts(refused) == (1, 0, 1)
    away = output_of([*command(settings, "sent", "nowhere"), "orders", str(file)], code=1)
    assert counts(away) == (0, 0, 0)
    assert len(on_topic(settings, topic)) == COUNT


def test_record_that_is_too_large_is_named_and_nothing_is_left_out_unasked(
    settings: Settings, make_topic: Callable[[], str], tmp_path: Path
) -> None:
    topic, file = make_topic(), tmp_path / "orders.jsonl"
    records = [
        compact({"order_id": f"A-{n}", "note": "x" * 2_000_000 * (n == 1)}) for n in range(5)
    ]
    records[3] = compact({"order_id": "A-3", "note": os.urandom(2_000_000).hex()})
    file.write_bytes(b"\n".join(records))
    send = [*command(settings, "sent", topic), "orders", str(file)]

    with started([*send, "--rate", "1"], {}) as run:
        output, errors = run.communicate(timeout=60)

    assert run.returncode == 1
    size = len(records[3])
    assert f"Record 4, of {size} bytes, was refused as too large: " in errors
    assert "`--from-record 5` leaves it out" in errors
    assert counts(output) == (4, 3, 1)
    (line,) = [line for line in errors.splitlines() if "producers.sent" in line]
    assert shlex.split(line)[-2:] == ["--from-record", "4"]
    assert counts(output_of([*send, "--from-record", "5"])) == (1, 1, 0)
    assert {m.key for m in on_topic(settings, topic)} == {b"A-0", b"A-1", b"A-2", b"A-4"}
