"""Accounts, masking and the words of errors: what needs no service."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from errors import MillraceError, SinkRejected, SinkUnavailable
from operations import reset as resets
from operations.logs import follow, log_path
from operations.masking import MASK, masked_value
from operations.pipelines import PIPELINES, pipeline_named
from operations.reset import reset
from operations.verify.coverage import accepted_losses, coverage_faults
from schemas.contract import load_contract
from settings import Settings
from spark_jobs.state.ledger import Counts, Entry
from spark_jobs.state.store_errors import sink_error


def entry(batch_id: int, offsets: dict[int, tuple[int, int]], **others: Any) -> Entry:
    return Entry("tickets", "t", "q", batch_id, offsets, Counts(), ("cassandra",), **others)


def test_consecutive_ranges_have_no_fault() -> None:
    entries = [entry(0, {0: (5, 9), 1: (0, 0)}), entry(2, {0: (9, 10), 1: (0, 3)})]

    assert coverage_faults(entries, {0: (5, 10), 1: (0, 3)}) == []


def test_beginning_that_the_broker_has_dropped_since_is_no_fault() -> None:
    assert coverage_faults([entry(0, {0: (5, 9)}), entry(1, {0: (9, 12)})], {0: (11, 12)}) == []


def test_beginning_that_was_never_read_is_named() -> None:
    (fault,) = coverage_faults([entry(3, {0: (0, 2), 1: (40, 50)})], {0: (0, 2), 1: (10, 50)})

    assert fault.startswith("ledger: partition 1, offsets 10 to 39 were never read")


def test_hole_overlap_and_topic_made_anew_are_named() -> None:
    entries = [
        entry(0, {0: (0, 10), 1: (0, 10), 2: (0, 10)}),
        entry(1, {0: (12, 20), 1: (7, 20), 2: (10, 20)}),
    ]

    assert coverage_faults(entries, {0: (0, 20), 1: (0, 20), 2: (0, 4)}) == [
        "ledger: partition 0, offsets 10 to 11 are missing before batch 1",
        "ledger: partition 1, offsets 7 to 9 are read twice before batch 1",
        "ledger: partition 2 was read to 20, but ends at 4 on the broker: the topic was created"
        " again",
    ]


def test_accepted_loss_is_a_note_and_no_hole() -> None:
    entries = [
        entry(0, {0: (0, 10), 1: (0, 5)}),
        entry(1, {0: (110, 120), 1: (5, 9)}, accepted_loss={0: (10, 110), 1: (5, 5)}),
    ]

    assert coverage_faults(entries, {0: (110, 120), 1: (0, 9)}) == []
    assert accepted_losses(entries) == [
        "accepted loss: partition 0, offsets 10 to 109 (100 messages)"
    ]


def test_hole_wider_than_the_accepted_loss_is_named() -> None:
    entries = [
        entry(0, {0: (0, 10)}),
        entry(1, {0: (110, 120)}, accepted_loss={0: (11, 110)}),
    ]

    assert coverage_faults(entries, {0: (110, 120)}) == [
        "ledger: partition 0, offsets 10 to 109 are missing before batch 1"
    ]


def test_counts_add_up_with_their_reasons() -> None:
    left = Counts(read=3, stored=1, dead_lettered=2, reasons={"a": 2})
    right = Counts(read=4, filtered=1, duplicates=2, dead_lettered=1, reasons={"a": 1, "b": 1})

    assert left + right == Counts(7, 1, 3, 1, 2, 0, {"a": 3, "b": 1})


def test_entry_survives_its_document() -> None:
    from datetime import UTC, datetime

    before = entry(4, {1: (2, 3)})

    assert Entry.of(before.document(datetime(2026, 1, 1, tzinfo=UTC))) == before


def test_shown_ticket_hides_its_text_and_unknown_fields() -> None:
    value = json.dumps(
        {
            "ticket_id": "A1",
            "request": "call me on 555",
            "demande": "appelez 555",
            "note": "555",
            "priorite": "haute",
        }
    ).encode()

    shown = json.loads(masked_value(value, load_contract("ticket")))

    assert shown == {
        "ticket_id": "A1",
        "request": MASK,
        "demande": MASK,
        "note": MASK,
        "priorite": "haute",
    }


def test_shown_profile_hides_everything_personal_at_any_depth() -> None:
    value = json.dumps(
        {
            "email": "a@b.c",
            "name": {"first": "Ann", "last": ["x"]},
            "location": {"city": "Paris", "street": {"number": 5}},
            "login": {"uuid": "u", "password": "p"},
            "nat": "FR",
        }
    ).encode()

    shown = masked_value(value, load_contract("profile"))

    for hidden in ("a@b.c", "Ann", "Paris", '"x"', "5", '"p"'):
        assert hidden not in shown
    assert json.loads(shown)["nat"] == "FR"


@pytest.mark.parametrize("value", [b"\xff secret", b"[1]", b'"secret"', b"", None])
def test_unreadable_values_are_not_shown(value: bytes | None) -> None:
    assert "secret" not in masked_value(value, load_contract("ticket"))


def test_outage_and_refusal_are_told_apart() -> None:
    away = RuntimeError("An error\ncaused by: WriteTimeoutException: no answer in time")
    refused = RuntimeError("InvalidQueryException: Undefined column name 'x'")

    assert isinstance(sink_error("Cassandra", "take batch 1", away), SinkUnavailable)
    rejected = sink_error("Cassandra", "take batch 1", refused)
    assert isinstance(rejected, SinkRejected)
    assert "Cassandra refused to take batch 1" in str(rejected)


def test_errors_of_stores_never_quote_a_value() -> None:
    error = RuntimeError("InvalidTypeException: cannot convert 'Jane Doe' or \"jane@x.y\" to int")

    text = str(sink_error("Cassandra", "take batch 1", error))

    assert "Jane" not in text
    assert "jane@" not in text


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
        "  rows: PostgreSQL db.example:5432/x\n"
        f"  files: {tmp_path}/output\n"
        "  topics, including dead letters: Kafka 127.0.0.1:9092\n"
        "Go on? [y/N] Nothing was changed.\n"
    )


@pytest.mark.parametrize("pipeline", [pipeline.name for pipeline in PIPELINES])
def test_log_of_a_pipeline_is_that_of_the_jobs_or_of_its_own_spark(
    pipeline: str, tmp_path: Path
) -> None:
    (tmp_path / "logs").mkdir()
    for name in ("jobs", f"spark-{pipeline}"):
        (tmp_path / "logs" / f"{name}.log").write_text("")
    settings = Settings(_env_file=None, millrace_home=tmp_path)

    assert log_path(settings, pipeline).name == "jobs.log"
    assert log_path(settings, "spark").name == f"spark-{pipeline}.log"


@pytest.mark.parametrize(
    ("stack", "where"),
    [("docker", "docker compose -f docker/compose.yaml logs --follow kafka"), ("external", "runs")],
)
def test_log_of_a_service_that_runs_elsewhere_is_told_where_it_is(
    tmp_path: Path, stack: str, where: str
) -> None:
    settings = Settings(_env_file=None, millrace_home=tmp_path, stack=stack)

    with pytest.raises(MillraceError, match=where) as told:
        log_path(settings, "kafka")

    assert "Nothing has run" not in str(told.value)


def test_unknown_log_lists_those_that_there_are(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    for name in ("kafka", "jobs"):
        (tmp_path / "logs" / f"{name}.log").write_text("")

    with pytest.raises(MillraceError, match=r"no log of `kafak`.*SERVICE= takes: jobs, kafka\."):
        follow(Settings(millrace_home=tmp_path), "kafak")


def test_log_without_a_name_lists_those_that_there_are(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "logs").mkdir()
    for name in ("kafka", "jobs"):
        (tmp_path / "logs" / f"{name}.log").write_text("")

    assert follow(Settings(millrace_home=tmp_path), None) == 0

    assert capsys.readouterr().out == "make logs SERVICE=…, one of: jobs, kafka\n"


@pytest.mark.parametrize(("name", "meant"), [("kafak", "kafka"), ("ticket", "tickets")])
def test_mistyped_log_is_answered_by_the_one_that_was_meant(
    name: str, meant: str, tmp_path: Path
) -> None:
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "kafka.log").write_text("")

    with pytest.raises(MillraceError, match=f"Did you mean `{meant}`"):
        follow(Settings(millrace_home=tmp_path), name)


def test_mistyped_pipeline_is_answered_by_the_one_that_was_meant() -> None:
    with pytest.raises(MillraceError, match=r"no pipeline `ticket`\. Did you mean `tickets`\?"):
        pipeline_named("ticket")
