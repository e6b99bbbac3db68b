"""What `make show` does with odd messages and with options that do not apply."""

from __future__ import annotations

import json
import subprocess
import sys

import bson
import pytest

from errors import MillraceError
from operations.masking import MASK, UNREADABLE, masked_value
from operations.options import build_parser
from operations.show import RowFilter, _as_stored, show
from operations.tables import print_records, print_table
from schemas.contract import load_contract
from settings import PROJECT_ROOT, Settings


@pytest.mark.parametrize(
    ("what", "where", "named"),
    [
        (
            "client_tickets",
            {"assigned_team": "Billing"},
            "TEAM= does not apply to `client_tickets`",
        ),
        ("users_profiles-dead-letter", {"client_id": "C1"}, "CLIENT= does not apply"),
        ("dead-letters", {"created_hour": "2026-11-22T10:00:00Z"}, "HOUR= does not apply"),
        ("mongodb.tickets_by_team", {"client_id": "C1"}, "CLIENT= does not apply"),
        ("mongodb.batches", {"nationality": "FR"}, "NATIONALITY= does not apply"),
        ("support.tickets", {"assigned_team": "Billing"}, "CLIENT= apply there"),
    ],
)
def test_option_that_does_not_apply_is_named_before_anything_is_read(
    what: str, where: dict[str, str], named: str
) -> None:
    with pytest.raises(MillraceError, match=named):
        show(Settings(), what, RowFilter(where, 5), "table")


def test_without_a_name_all_names_are_listed_with_what_they_are(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert show(Settings(_env_file=None), "", RowFilter({}, 5), "table") == 0

    first, *lines = capsys.readouterr().out.splitlines()
    assert first == "make show WHAT=…, one of:"
    listed = dict(line.split(maxsplit=1) for line in lines)
    assert listed["client_tickets"] == "topic: tickets as sent"
    assert listed["support.tickets_by_team"] == "rows in Cassandra; TEAM= HOUR="
    assert listed["mongodb.tickets_by_type"] == "aggregate in MongoDB"
    assert "files.customers_usa" in listed
    assert "postgres.tickets" not in listed


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("client_ticket", "Nothing is named `client_ticket`. Did you mean `client_tickets`?"),
        ("Support.Tickets", "Did you mean `support.tickets`?"),
        ("zebra", "Nothing is named `zebra`. WHAT= takes:"),
        (
            "postgres.tickets",
            "If records were stored there: `SINKS=cassandra,mongodb,files,postgres make show"
            " WHAT=postgres.tickets`.",
        ),
    ],
)
def test_unknown_name_is_answered_by_what_was_probably_meant(name: str, answer: str) -> None:
    with pytest.raises(MillraceError) as caught:
        show(Settings(_env_file=None), name, RowFilter({}, 5), "table")

    assert answer in str(caught.value)


def test_options_that_apply_are_named_with_one_that_does_not() -> None:
    selection = RowFilter({"client_id": "C1", "assigned_team": "Billing"}, 5)

    with pytest.raises(MillraceError) as caught:
        selection.refuse_all_but("mongodb.tickets_by_team", ["assigned_team"])

    assert "LIMIT=, FORMAT=, TEAM= apply" in str(caught.value)
    selection.refuse_all_but("x", ["client_id", "assigned_team"])


def test_deeply_nested_message_is_unreadable_and_does_not_crash() -> None:
    value = b'{"ticket_id": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"

    shown = masked_value(value, load_contract("ticket"))

    assert shown == UNREADABLE.format(len(value))


def test_unknown_nested_part_is_covered_whole() -> None:
    value = b'{"ticket_id": "A", "secret": ' + b'{"a":' * 600 + b"1" + b"}" * 601

    shown = json.loads(masked_value(value, load_contract("ticket")))

    assert shown == {"ticket_id": "A", "secret": MASK}


@pytest.mark.parametrize("form", ["table", "csv", "json"])
def test_lone_surrogate_in_a_shown_field_is_written_escaped(form: str) -> None:
    """By a process of its own: the tests' own standard output is not a terminal's."""
    program = (
        "from runtime.output import escape_output\n"
        "from operations.masking import masked_value\n"
        "from operations.tables import print_records\n"
        "from schemas.contract import load_contract\n"
        'value = masked_value(b\'{"ticket_id": "A\\\\ud800B"}\', load_contract("ticket"))\n'
        "escape_output()\n"
        f'print_records([{{"value": value}}], "{form}")\n'
    )

    outcome = subprocess.run(
        [sys.executable, "-c", program], cwd=PROJECT_ROOT, capture_output=True, text=True
    )

    assert outcome.stderr == ""
    assert "A\\ud800B" in outcome.stdout


def test_csv_distinguishes_an_absent_value_from_an_empty_one(
    capsys: pytest.CaptureFixture[str],
) -> None:
    values: list[object] = [None, "", " ", 'a "b"', "c,d", "e\nf", 7, ["g", ""]]

    print_records([{"n": n, "value": value} for n, value in enumerate(values)], "csv")

    expected = ["n,value", "0,", '1,""', "2, ", '3,"a ""b"""', '4,"c,d"', '5,"e', 'f"', "6,7"]
    assert capsys.readouterr().out.split("\n") == [*expected, '7,"[""g"", """"]"', ""]


def test_title_longer_than_its_table_stays_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    print_table("millrace.profiles_by_nationality", ("n",), [(1,)])

    assert capsys.readouterr().out.splitlines() == [
        "millrace.profiles_by_nationality",
        "┏━━━┓",
        "┃ n ┃",
        "┡━━━┩",
        "│ 1 │",
        "└───┘",
    ]


def test_limit_beyond_what_stores_take_is_refused_with_the_most(
    capsys: pytest.CaptureFixture[str],
) -> None:
    asked = ["show", "files.customers_usa", "--limit"]
    assert build_parser().parse_args([*asked, "2147483646"]).limit == 2147483646

    with pytest.raises(SystemExit):
        build_parser().parse_args([*asked, "2147483647"])
    assert "--limit: expected at most 2147483646, not `2147483647`" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("9223372036854775807", ["9223372036854775807", 2**63 - 1]),
        ("9223372036854775808", ["9223372036854775808"]),
        ("-9223372036854775808", ["-9223372036854775808", -(2**63)]),
        ("99999999999999999999", ["99999999999999999999"]),
        ("[99999999999999999999]", ["[99999999999999999999]"]),
        ("true", ["true", True]),
    ],
)
def test_integer_that_no_document_holds_is_looked_for_as_text_alone(
    text: str, values: list[object]
) -> None:
    found = _as_stored(text)

    assert found == values
    bson.encode({"values": found})
