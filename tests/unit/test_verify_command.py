"""`make verify`: which pipelines it looks at."""

from __future__ import annotations

from pathlib import Path
from unittest.mock import MagicMock

import pytest

from operations.verify import verify
from settings import Settings
from spark_jobs.state.ledger import Counts, Entry, Ledger

SETTINGS = Settings(_env_file=None, pipelines_path=Path("no-such-folder"))


@pytest.mark.parametrize(
    ("topics", "ledgers", "expected"),
    [
        (("client_tickets",), (), ["tickets"]),
        # One that was deleted is not overlooked.
        (("client_tickets", "users_profiles-dead-letter"), (), ["tickets", "profiles"]),
        (("client_tickets",), ("customers",), ["tickets", "customers"]),
        ((), (), ["tickets", "profiles", "customers"]),
    ],
)
def test_pipelines_that_never_ran_are_left_out(
    topics: tuple[str, ...],
    ledgers: tuple[str, ...],
    expected: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(verify, "existing_topics", lambda settings: dict.fromkeys(topics, 3))
    entries = {name: Entry(name, "t", "q", 0, {}, Counts(), ()) for name in ledgers}
    monkeypatch.setattr(Ledger, "last", lambda ledger: entries.get(ledger.pipeline))

    found = verify.ever_run(SETTINGS, MagicMock())

    assert [pipeline.name for pipeline in found] == expected
