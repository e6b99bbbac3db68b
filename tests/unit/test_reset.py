"""`make reset` before it deletes anything."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from pydantic import SecretStr

from errors import MillraceError
from operations import reset as resets
from operations.reset import reset
from settings import Settings
from spark_jobs.registry import pipeline_named


def test_reset_names_all_that_it_would_delete_before_it_asks(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
    monkeypatch.setattr(resets, "_with_former_sinks", lambda settings, *_: settings)
    settings = Settings(
        _env_file=None,
        millrace_home=tmp_path / "home",
        output_path=str(tmp_path / "output"),
        sinks="cassandra,files,postgres",
        postgres_dsn=SecretStr("postgresql://me:secret@db.example/x"),
    )

    status = reset(settings, "tickets", topics=True, yes=False)

    printed = capsys.readouterr().out
    assert status == 0
    assert printed == (
        "This deletes for tickets:\n"
        f"  checkpoints in {tmp_path}/home/checkpoints\n"
        "  ledger, aggregates: MongoDB mongodb://127.0.0.1:27017, database millrace\n"
        "  rows: Cassandra 127.0.0.1:9042\n"
        f"  files: {tmp_path}/output\n"
        "  rows: PostgreSQL db.example:5432/x\n"
        "  topics, including dead letters: Kafka 127.0.0.1:9092\n"
        "Go on? [y/N] Nothing was changed.\n"
    )


def test_reset_that_no_one_answers_fails_and_names_the_way_without_a_question(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    monkeypatch.setattr(resets, "_with_former_sinks", lambda settings, *_: settings)
    settings = Settings(_env_file=None, millrace_home=tmp_path / "home", sinks="cassandra")

    with pytest.raises(MillraceError, match=r"Nothing was changed: no one answered\. `YES=1`"):
        reset(settings, "tickets", topics=False, yes=False)


def test_mistyped_pipeline_is_answered_by_the_one_that_was_meant() -> None:
    with pytest.raises(MillraceError, match=r"no pipeline `ticket`\. Did you mean `tickets`\?"):
        pipeline_named("ticket", Settings(_env_file=None))
