"""`millrace new`: a folder that declares a pipeline, or an explanation and nothing written."""

from __future__ import annotations

import argparse
import gzip
import json
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from errors import MillraceError
from operations import commands, pipelines
from operations.new.sample import MOST_MESSAGES, read_sample
from operations.options import build_parser
from settings import Settings
from spark_jobs.registry import load_pipeline
from tests.support.sample_files import SAMPLES

RECORDS = [{"id": n, "status": "ab"[n % 2], "at": "2026-01-02T03:04:05Z"} for n in range(6)]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(pipelines_path=tmp_path / "pipelines")


def new(settings: Settings, *arguments: str) -> int:
    options: argparse.Namespace = build_parser().parse_args(["new", *arguments])
    return commands.new(settings, options)


def sample(path: Path, *records: Any) -> str:
    path.write_text("".join(f"{json.dumps(record)}\n" for record in records or RECORDS))
    return str(path)


def refused(settings: Settings, *arguments: str) -> str:
    """The message of a command that leaves the folder of pipelines as it was."""
    before = sorted(settings.pipelines_path.rglob("*"))
    with pytest.raises(MillraceError) as caught:
        new(settings, *arguments)
    assert sorted(settings.pipelines_path.rglob("*")) == before
    return str(caught.value)


@pytest.mark.parametrize("name", SAMPLES)
def test_every_sample_becomes_a_pipeline_without_an_edit(
    name: str, settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert new(settings, name, "--from", str(SAMPLES[name](tmp_path))) == 0

    folder = settings.pipelines_path / name
    assert sorted(path.name for path in folder.iterdir()) == [
        "README.md",
        "contract.schema.json",
        "pipeline.py",
        "tables.cql",
        "tables.sql",
        "test_pipeline.py",
    ]
    pipeline = load_pipeline(folder)
    assert [each for aggregate in pipeline.aggregates for each in aggregate.faults()] == []
    said = capsys.readouterr().out.splitlines()
    assert len(said) <= 20
    assert max(len(line) for line in said[1:]) <= 80
    assert f"millrace check {name}" in "\n".join(said)


def test_what_was_found_is_said(
    settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    records = [{**record, "email": "a@example.com", "void": None} for record in RECORDS]
    path = tmp_path / "x.jsonl"
    sample(path, *records, records[0])
    path.write_text(f"{path.read_text()}oops\n")

    new(settings, "things", "--from", str(path))

    assert capsys.readouterr().out.splitlines()[1:-5] == [
        "  id           id",
        "  event time   at",
        "  personal     email",
        "  enumerations status",
        "  tables       things.things, things.things_by_status",
        "  aggregates   things_metrics, things_by_status",
        "  check        not JSON objects, so not considered: line 8",
        "  check        1 record(s) repeat the id of an earlier one; only the first is",
        "               stored",
        "  check        not in the contract: `void`: absent, null or blank in every",
        "               record",
    ]


@pytest.mark.parametrize(
    "more",
    [
        {"applied": ["yes", "no"]},
        {"updated_at": ["a", "b"]},
        {"count": ["2026-01-02", "2026-01-03"]},
        {"amount": [1.5, 2.5], "total_amount": ["2026-01-02", "2026-01-03"]},
        # An average is kept as a sum and a count.
        {"temp": [1.5, 2.5], "average_temp_count": ["a", "b"]},
    ],
)
def test_names_that_documents_have_for_themselves_give_no_faults(
    more: dict[str, list[Any]], settings: Settings, tmp_path: Path
) -> None:
    records = [{"id": n, **{k: v[n % 2] for k, v in more.items()}} for n in range(6)]

    new(settings, "things", "--from", sample(tmp_path / "x.jsonl", *records))

    aggregates = load_pipeline(settings.pipelines_path / "things").aggregates
    assert [fault for each in aggregates for fault in each.faults()] == []


def test_secrets_are_said_by_name_only(
    settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    records = [{**record, "api_keys": ["sk-1"], "users": [{"pin": "x"}]} for record in RECORDS]

    new(settings, "things", "--from", sample(tmp_path / "x.jsonl", *records))

    said = capsys.readouterr().out.splitlines()
    assert "  personal     api_keys, users" in said
    assert said[-6] == (
        "  check        secrets, which `send` removes before Kafka: `api_keys`, `users`"
    )


@pytest.mark.parametrize("topic", ["", "web clicks", "a/b"])
def test_what_cannot_be_a_topic_is_refused_without_asking_the_broker(
    topic: str, settings: Settings
) -> None:
    assert "cannot be the name of a topic" in refused(settings, "x", "--from", f"topic:{topic}")


def test_a_shard_is_no_event_time(
    settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    records = [{"id": n, "status": "ab"[n % 2]} for n in range(6)]

    new(settings, "things", "--from", sample(tmp_path / "x.jsonl", *records))

    assert "  event time   none: no day in tables and aggregates" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("tickets", "`tickets` is a built-in pipeline"),
        ("My-Things", "For example `my_things`"),
        ("order", "is a word of CQL, SQL or Python"),
        ("class", "is a word of CQL, SQL or Python"),
        ("support", "The keyspace `support` is of tickets"),
        ("system_auth", "a name that the stores or Millrace have for themselves"),
        ("customers_usa", "The PostgreSQL table `customers_usa` is Millrace's own"),
        ("x" * 41, "40 characters at most"),
        ("../x", "cannot be the name"),
        ("metrics", "The file set `metrics` is tickets's"),
    ],
)
def test_a_name_that_is_taken_is_refused(
    name: str, said: str, settings: Settings, tmp_path: Path
) -> None:
    assert said in refused(settings, name, "--from", sample(tmp_path / "x.jsonl"))


def test_a_pipeline_of_the_same_name_is_not_overwritten(settings: Settings, tmp_path: Path) -> None:
    path = sample(tmp_path / "x.jsonl")
    new(settings, "things", "--from", path)

    assert "exists. Take another name" in refused(settings, "things", "--from", path)


def test_what_another_pipeline_of_the_user_has_is_taken(settings: Settings, tmp_path: Path) -> None:
    path = sample(tmp_path / "x.jsonl")
    new(settings, "things", "--from", path)
    tables = settings.pipelines_path / "things" / "tables.cql"
    tables.write_text(f"{tables.read_text()}\nCREATE KEYSPACE IF NOT EXISTS others WITH x = 1;")

    assert "The keyspace `others` is of things" in refused(settings, "others", "--from", path)


def test_a_named_pipe_is_read_once(settings: Settings, tmp_path: Path) -> None:
    pipe = tmp_path / "orders"
    os.mkfifo(pipe)
    lines = "".join(f'{{"order_id":"A-{n}"}}\n' for n in range(100))
    writer = threading.Thread(target=lambda: pipe.write_text(lines), daemon=True)
    writer.start()

    sample = read_sample(settings, str(pipe))

    writer.join(10)
    assert (sample.kind, len(sample.records)) == ("json", 100)


@pytest.mark.parametrize(
    ("write", "said"),
    [
        (lambda path: path.unlink(), "not a file, or it does not exist"),
        (lambda path: path.write_text(""), "has no record"),
        (lambda path: path.write_text("[]"), "has no record"),
        (lambda path: path.write_text("a,b\n"), "has no record"),
        (lambda path: path.write_text("1\n2\n{}"), "2 of 3 messages are not one JSON object"),
        (lambda path: path.write_bytes(b"{\xff}\n" * 3), "3 of 3 messages are not one JSON object"),
        (lambda path: path.write_text('{"a":NaN}'), "1 of 1 messages are not one JSON object"),
        (lambda path: path.write_text('[{"id":1}'), "the array is not closed"),
        (lambda path: path.write_bytes(b"PAR1"), "Cannot read"),
        (lambda path: path.write_bytes(gzip.compress(b"{}")[:-9]), "ends too early"),
        (lambda path: path.write_text('{"a":1}\n{"a":1,"b":2}'), "The sample has no id"),
        (lambda path: path.write_text("{}"), "The sample has no id"),
    ],
)
def test_a_broken_sample_is_explained(
    write: Callable[[Path], object], said: str, settings: Settings, tmp_path: Path
) -> None:
    path = tmp_path / ("x.csv" if "record" in said else "x.jsonl")
    path.touch()
    write(path)

    assert said in refused(settings, "things", "--from", str(path))


def test_asked_ids_are_used_and_checked(settings: Settings, tmp_path: Path) -> None:
    path = sample(tmp_path / "x.jsonl")

    assert "no such field" in refused(settings, "things", "--from", path, "--id", "id,nope")
    new(settings, "things", "--from", path, "--id", "status, id")
    assert load_pipeline(settings.pipelines_path / "things").id_columns == ("id", "status")


def test_a_place_that_cannot_be_written_is_explained(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    settings = Settings(pipelines_path=tmp_path / "file" / "pipelines")

    assert "PIPELINES_PATH" in refused(settings, "things", "--from", sample(tmp_path / "x.jsonl"))


class FakeMessage:
    def __init__(self, offset: int) -> None:
        self._offset = offset

    def partition(self) -> int:
        return 0

    def offset(self) -> int:
        return self._offset

    def value(self) -> bytes | None:
        return None if self._offset == 1 else json.dumps({"id": self._offset}).encode()


def test_the_beginning_and_the_end_of_a_topic_are_read(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[tuple[str, int | None]] = []

    def read_topic(_: Settings, topic: str, last: int | None = None) -> Iterator[FakeMessage]:
        asked.append((topic, last))
        # The end overlaps the beginning by 10.
        start = 0 if last is None else MOST_MESSAGES - 10
        yield from (FakeMessage(offset) for offset in range(start, start + MOST_MESSAGES + 1))

    monkeypatch.setattr(pipelines, "read_topic", read_topic)

    assert new(settings, "clicks", "--from", "topic:web-clicks") == 0

    assert asked == [("web-clicks", None), ("web-clicks", MOST_MESSAGES)]
    assert "fields from 3990 records" in capsys.readouterr().out
    assert load_pipeline(settings.pipelines_path / "clicks").reads == "web-clicks"


def test_a_topic_that_another_pipeline_reads_is_refused(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipelines, "read_topic", lambda *_: (FakeMessage(n) for n in (0, 2, 3)))

    said = refused(settings, "clicks", "--from", "topic:client_tickets")

    assert "The topic `client_tickets` is tickets's" in said
