"""The summary of `make run` fits a screen; the tables of `make verify` explain themselves."""

from __future__ import annotations

from typing import Any

import pytest
from rich.console import Console

from operations import hints, run_summary, tables
from operations.verify.account import Account, StoreCount
from operations.verify.report import print_accounts
from runtime import remedies
from settings import Settings
from spark_jobs.state.ledger import Counts

WIDTH, HEIGHT = 80, 24


def account(pipeline: str, counts: Counts, **more: Any) -> Account:
    return Account(pipeline, "client_tickets", counts.read, counts, [], **more)


def tickets(letters: int = 29, reasons: dict[str, int] | None = None, **more: Any) -> Account:
    counts = Counts(
        read=1_000_000,
        stored=999_900,
        dead_lettered=letters,
        duplicates=100 - letters,
        reasons=reasons or {},
    )
    return account("tickets", counts, **more)


OTHERS = (
    account("profiles", Counts(read=500, stored=434, dead_lettered=17, filtered=39, duplicates=10)),
    account("customers", Counts(read=490, stored=328, filtered=150, duplicates=12)),
    account("customers-postgres", Counts(read=490, stored=328, filtered=150, duplicates=12)),
)


@pytest.fixture
def summary(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    monkeypatch.setattr(tables, "console", lambda: Console(width=WIDTH, highlight=False))
    monkeypatch.setattr(remedies, "exported", lambda _: None)

    def printed(*accounts: Account, **settings: Any) -> list[str]:
        run_summary.print_summary(Settings(_env_file=None, **settings), accounts)
        return capsys.readouterr().out.splitlines()

    return printed


def test_summary_of_a_run_fits_a_screen(summary: Any) -> None:
    lines = summary(tickets(), *OTHERS, sinks=("cassandra", "mongodb", "files", "postgres"))

    assert len(lines) < HEIGHT
    assert max(map(len, lines)) <= WIDTH
    (row,) = [line for line in lines if "│tickets " in line.replace("│ ", "│")]
    cells = [cell.strip() for cell in row.strip("│").split("│")]
    assert cells == ["tickets", "1000000", "999900", "29", "0", "71", "verified"]
    assert "Everything is accounted for: 1001480 messages." in lines


def test_summary_names_a_place_in_each_store_that_is_enabled(summary: Any) -> None:
    with_files = "\n".join(summary(tickets(), sinks=("mongodb", "files")))
    of_customers = "\n".join(summary(*OTHERS[1:], sinks=("cassandra", "postgres")))

    for what in ("mongodb.tickets_by_team", "files.tickets_with_assignment", "dead-letters"):
        assert f"make show WHAT={what} " in with_files
    assert "support.tickets" not in with_files
    assert "make show WHAT=postgres.customers_usa " in of_customers
    assert "dead-letters" not in of_customers


def test_summary_of_a_run_that_differs_shows_first_what_differs(summary: Any) -> None:
    faults = [f"table {number} differs" for number in range(7)]
    lines = summary(tickets(notes=["a note"], faults=faults), *OTHERS)

    assert [line for line in lines if line.startswith("tickets: ")] == [
        f"tickets: table {number} differs" for number in range(5)
    ]
    assert "… and 3 more, which `make verify` lists." in lines
    assert "NOT everything is accounted for: `make verify` shows every table." in lines
    assert len(lines) <= HEIGHT + 4


@pytest.mark.parametrize(
    ("of_tickets", "verdict"),
    [
        (tickets(), "verified"),
        (tickets(faults=["Nothing in Cassandra was compared."]), "see below"),
        (account("tickets", Counts(read=500, stored=499)), "DIFFERS"),
    ],
    ids=["whole", "store away", "lost"],
)
def test_summary_says_differs_only_of_its_own_numbers(
    summary: Any, of_tickets: Account, verdict: str
) -> None:
    [row] = [line for line in summary(of_tickets) if line.startswith("│ tickets")]

    assert row.strip("│").split("│")[-1].strip() == verdict


def test_tables_of_verify_fit_a_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(tables, "console", lambda: Console(width=WIDTH, highlight=False))
    place = "usersprofilespace.profiles_by_nationality"
    store = StoreCount("Cassandra", place, "rows", 99_901, 99_901, 99_900, "the number of rows")
    profiles = Account("profiles", "users_profiles", 500, OTHERS[0].counts, [store])

    print_accounts([profiles, *OTHERS])

    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= WIDTH
    (row,) = [line for line in lines if place in line]
    cells = [cell.strip() for cell in row.strip("│").split("│")]
    assert cells == ["Cassandra", place, "99901", "99901", "99900", "DIFFERS"]


def test_topic_whose_numbers_add_up_does_not_differ_because_of_a_store(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(tables, "console", lambda: Console(width=WIDTH, highlight=False))
    of_topics = {
        "store": tickets(faults=["Nothing in Cassandra was compared."]),
        "waiting": Account("waits", "waits", 501, OTHERS[0].counts, []),
        "lost": account("lost", Counts(read=500, stored=499)),
        "whole": OTHERS[1],
    }

    print_accounts([*of_topics.values()])

    rows = [line for line in capsys.readouterr().out.splitlines() if "│" in line]
    verdicts = [row.strip("│").split("│")[-1].strip() for row in rows]
    assert verdicts == ["see below", "see below", "DIFFERS", "balanced"]
    assert max(map(len, rows)) <= WIDTH


def test_reasons_that_are_more_than_the_dead_letters_are_explained(
    capsys: pytest.CaptureFixture[str],
) -> None:
    print_accounts([tickets(2, {"missing_ticket_id": 2, "missing_priority": 1})])

    assert (
        "client_tickets: 3 reasons for 2 dead letters: a message is listed under each of its"
        " reasons.\n" in capsys.readouterr().out
    )


def test_reasons_as_many_as_the_dead_letters_need_no_explanation(
    capsys: pytest.CaptureFixture[str],
) -> None:
    print_accounts([tickets(2, {"unparseable": 2})])

    assert "reasons for" not in capsys.readouterr().out


def test_a_hint_that_fits_is_on_one_line_and_a_longer_one_on_two() -> None:
    assert hints.hint_line("make status", "services") == f"  {'make status':44}  # services"
    long = "make show WHAT=tickets_by_team TEAM=Billing HOUR=2026-11-28T04:00:00Z"
    assert hints.hint_line(long, "a partition") == f"  # a partition\n  {long}"
