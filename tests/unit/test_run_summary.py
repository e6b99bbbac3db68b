"""The end of `make run`: what is left out is counted, what adds up to more is explained."""

from __future__ import annotations

from typing import Any

import pytest

from operations import hints, run_summary
from operations.verify.account import Account, Sample
from settings import Settings
from spark_jobs.state.ledger import Counts


def account(letters: int, reasons: dict[str, int]) -> Account:
    counts = Counts(read=10, stored=10 - letters, dead_lettered=letters, reasons=reasons)
    return Account("tickets", "client_tickets", 10, counts, [])


@pytest.fixture(autouse=True)
def _without_services(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_summary, "next_steps", lambda _: "Look further:")


def printed(capsys: pytest.CaptureFixture[str], *samples: Sample, **counts: Any) -> str:
    accounts = [account(counts.get("letters", 0), counts.get("reasons", {}))]
    run_summary.print_results(Settings(_env_file=None), accounts, list(samples))
    return capsys.readouterr().out


def test_rows_that_are_left_out_are_counted_with_the_command_that_shows_them(
    capsys: pytest.CaptureFixture[str],
) -> None:
    team = {"count": 5, "day": "2026-11-26", "assigned_team": "Billing"}
    domain = {"count": 5, "domain_name": "a.example"}
    out = printed(
        capsys,
        Sample("tickets_by_team", [team] * 3, 4),
        Sample("profiles_by_domain", [domain] * 3, 45),
        Sample("tickets_by_type", [{"count": 1, "request_type": "billing"}], 1),
        Sample("profile_metrics", [], 0),
    )

    assert "\n1 more: `make show WHAT=mongodb.tickets_by_team` shows all\n" in out
    assert "\n42 more: `make show WHAT=mongodb.profiles_by_domain LIMIT=45` shows all\n" in out
    assert out.count(" more: ") == 2
    assert "┃ day        ┃ assigned_team ┃ count ┃" in out
    assert "profile_metrics" not in out


def test_more_reasons_than_letters_are_explained(
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = printed(capsys, letters=2, reasons={"missing_ticket_id": 2, "missing_priority": 1})

    assert (
        "client_tickets: 3 reasons for 2 dead letters, as a message is listed under each reason"
        " that it has.\n" in out
    )


def test_as_many_reasons_as_letters_need_no_explanation(capsys: pytest.CaptureFixture[str]) -> None:
    assert "reasons for" not in printed(capsys, letters=2, reasons={"unparseable": 2})


def test_hint_has_its_text_to_the_right_or_above_if_it_is_long() -> None:
    assert hints.hint_line("make status", "services") == f"  {'make status':52}  # services"
    long = "make show WHAT=tickets_by_team TEAM=Billing HOUR=2026-11-28T04:00:00Z"
    assert hints.hint_line(long, "a partition") == f"  # a partition\n  {long}"
