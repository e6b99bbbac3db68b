"""Tables fit the terminal: columns that fit, wrapped texts, or a line for each value."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from rich.cells import cell_len
from rich.console import Console

from errors import MillraceError
from operations import tables
from operations.tables import print_records, print_table

TICKET: dict[str, Any] = {
    "ticket_id": "0b8f5f3e-7a52-4b0e-9d55-0b7f3f1c2a10",
    "client_id": "CLIENT_4711",
    "created_at": datetime(2026, 11, 22, 10, 11, 12, 345000, tzinfo=UTC),
    "kafka_offset": 12,
    "kafka_partition": 1,
    "kafka_timestamp": datetime(2026, 11, 22, 10, 12, 0, tzinfo=UTC),
    "priority": "critical",
    "request": "The invoice of October has a sum that we do not know, please explain",
    "request_type": "technical",
}


@pytest.fixture(autouse=True)
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "console", lambda: Console(width=80, highlight=False))


def printed(capsys: pytest.CaptureFixture[str]) -> list[str]:
    lines = capsys.readouterr().out.splitlines()
    assert all(cell_len(line) <= 80 for line in lines)
    return [line.rstrip() for line in lines]


def test_a_wide_record_shows_the_columns_that_fit_and_names_the_others(
    capsys: pytest.CaptureFixture[str],
) -> None:
    print_records([TICKET, TICKET], "table")

    *table, hint, more = printed(capsys)
    assert table == [
        "┏━━━━━━━━━━━┳━━━━━━━━━━━━━┳━━━━━━━━━━━━━━━━━━━━━━┳━━━━━━━━━━┳━━━━━━━━━━━━━━┓",
        "┃ ticket_id ┃ client_id   ┃ created_at           ┃ priority ┃ request_type ┃",
        "┡━━━━━━━━━━━╇━━━━━━━━━━━━━╇━━━━━━━━━━━━━━━━━━━━━━╇━━━━━━━━━━╇━━━━━━━━━━━━━━┩",
        "│ 0b8f5f3e… │ CLIENT_4711 │ 2026-11-22 10:11:12Z │ critical │ technical    │",
        "│ 0b8f5f3e… │ CLIENT_4711 │ 2026-11-22 10:11:12Z │ critical │ technical    │",
        "└───────────┴─────────────┴──────────────────────┴──────────┴──────────────┘",
    ]
    assert f"{hint} {more}" == (
        "Not shown in full: kafka_offset, kafka_partition, kafka_timestamp, request."
        " FORMAT=vertical or COLUMNS=kafka_offset shows more."
    )


def test_a_long_value_is_cut_where_the_other_columns_leave_room(
    capsys: pytest.CaptureFixture[str],
) -> None:
    print_records([{"offset": 7, "time": "10:11", "value (masked)": "x" * 100}], "table")

    row = printed(capsys)[3]
    assert row == f"│ 7      │ 10:11 │ {'x' * 58}… │"


def test_the_columns_asked_for_are_shown_whole(capsys: pytest.CaptureFixture[str]) -> None:
    print_records([TICKET], "table", columns=["ticket_id", "kafka_offset"])

    assert "│ 0b8f5f3e-7a52-4b0e-9d55-0b7f3f1c2a10 │           12 │" in printed(capsys)


def test_all_columns_that_do_not_fit_are_shown_vertically(
    capsys: pytest.CaptureFixture[str],
) -> None:
    print_records([TICKET, {"ticket_id": "A"}], "table", columns=["all"])

    lines = printed(capsys)
    assert lines[0] == "─[ 1 ]" + "─" * 74
    assert lines[1] == "ticket_id        0b8f5f3e-7a52-4b0e-9d55-0b7f3f1c2a10"
    assert lines[3] == "created_at       2026-11-22 10:11:12.345+00:00"
    wrapped = "request          The invoice of October has a sum that we do not know, please"
    assert lines[lines.index(wrapped) + 1] == "                 explain"
    assert "─[ 2 ]" + "─" * 74 in lines


@pytest.mark.parametrize("form", ["csv", "json", "vertical"])
def test_the_other_formats_have_every_column_whole(
    form: str, capsys: pytest.CaptureFixture[str]
) -> None:
    print_records([TICKET], form)

    text = capsys.readouterr().out
    assert all(name in text for name in TICKET)
    assert TICKET["ticket_id"] in text


def test_an_unknown_column_is_answered_with_the_nearest() -> None:
    with pytest.raises(MillraceError, match=r"no column `prioriti`\. Did you mean `priority`\?"):
        print_records([TICKET], "json", columns=["ticket_id", "prioriti"])


def test_texts_are_wrapped_between_words_and_numbers_never(
    capsys: pytest.CaptureFixture[str],
) -> None:
    version = "SecantusDB 0.7.0b3 (stand-in for mongod)"
    print_table("", ("service", "state", "pid", "address", "version"), [
        ("mongodb", "up", 1234567, "127.0.0.1:27017", version),
    ])  # fmt: skip

    assert printed(capsys)[3:5] == [
        "│ mongodb │ up    │ 1234567 │ 127.0.0.1:27017 │ SecantusDB 0.7.0b3 (stand-in   │",
        "│         │       │         │                 │ for mongod)                    │",
    ]


def test_a_table_that_nearly_fits_is_printed_closely(capsys: pytest.CaptureFixture[str]) -> None:
    columns = ("topic", "on topic", "read", "stored", "dead letters", "filtered", "duplicates", "")
    print_table("", columns, [("client_tickets", 1000, 1000, 958, 25, 0, 17, "balanced")])

    assert (
        "│client_tickets│    1000│1000│   958│          25│       0│        17│balanced│"
        in printed(capsys)
    )


def test_a_whole_table_shows_all_that_a_record_has(capsys: pytest.CaptureFixture[str]) -> None:
    rejected = {"ticket_id": "A1", "request": None, "reasons": "missing_request"}

    print_records([TICKET, rejected], "table", whole=True)

    lines = printed(capsys)
    second = lines.index("─[ 2 ]" + "─" * 74)
    # A long text goes on in the next line, under its column.
    names = [line.split()[0] for line in lines[1:second] if line[0] != " "]
    assert names == [*TICKET]
    assert [line.split() for line in lines[second + 1 :]] == [
        ["ticket_id", "A1"],
        ["reasons", "missing_request"],
    ]


def test_without_a_terminal_a_table_keeps_its_full_width(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    monkeypatch.setenv("COLUMNS", "80")
    wide = {f"column_{number}": "x" * 12 for number in range(9)}

    print_records([wide], "table")

    assert len(capsys.readouterr().out.splitlines()) == 5


def test_numbers_in_csv_are_whole(capsys: pytest.CaptureFixture[str]) -> None:
    print_records([{"lat": 48.856613, "small": 0.004, "big": 1e22, "n": 7, "no": None}], "csv")

    assert capsys.readouterr().out.splitlines() == [
        "lat,small,big,n,no",
        "48.856613,0.004,1e+22,7,",
    ]
