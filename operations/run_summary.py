"""The summary that `make run` ends with: one screen of 80 columns and 24 lines."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from operations.hints import next_steps
from operations.tables import print_table
from operations.verify.account import Account
from operations.verify.report import remarks
from settings import Settings

# `make verify` prints the others as well.
MOST_REMARKS = 5


def print_summary(settings: Settings, accounts: Sequence[Account]) -> None:
    """Where each pipeline's messages went, whether that is verified, and how to look at the data.

    Differences come before notes, so that these are never the lines that are left out.
    """
    print_table(
        "",
        ("pipeline", "read", "stored", "dead letters", "filtered", "duplicates", ""),
        [
            (
                account.pipeline,
                account.counts.read,
                account.counts.stored,
                account.counts.dead_lettered,
                account.counts.filtered,
                account.counts.duplicates,
                "verified" if account.verdict == "ok" else account.verdict,
            )
            for account in accounts
        ],
    )
    lines = list(remarks(accounts))
    sys.stdout.writelines(f"{line}\n" for line in lines[:MOST_REMARKS])
    if left_out := lines[MOST_REMARKS:]:
        sys.stdout.write(f"… and {len(left_out)} more, which `make verify` lists.\n")
    if all(account.balanced for account in accounts):
        total = sum(account.counts.read for account in accounts)
        sys.stdout.write(f"Everything is accounted for: {total} messages.\n")
    else:
        sys.stdout.write("NOT everything is accounted for: `make verify` shows every table.\n")
    if files := settings.files_at:
        sys.stdout.write(f"Files: {_short(files)}\n")
    sys.stdout.write(next_steps(settings, accounts) + "\n")


def _short(place: str) -> str:
    """A local folder relative to the present one, if it lies below that."""
    path = Path(place)
    return f"./{path.relative_to(Path.cwd())}" if path.is_relative_to(Path.cwd()) else place
