"""What `make run` prints at its end."""

from __future__ import annotations

import sys

from operations.hints import next_steps
from operations.show import LABELS
from operations.tables import print_table
from operations.verify.account import Account, Sample
from operations.verify.report import print_accounts
from runtime import remedies
from settings import Settings

# What `make show` prints without LIMIT=.
SHOWN_BY_ITSELF = 20


def print_results(settings: Settings, accounts: list[Account], samples: list[Sample]) -> None:
    """Everything that `make run` shows at its end."""
    print_accounts(accounts)
    for sample in samples:
        if sample.documents:
            _print_sample(settings, sample)
    if all(account.balanced for account in accounts):
        total = sum(account.counts.read for account in accounts)
        sys.stdout.write(f"\nEverything is accounted for: {total} messages.\n")
    else:
        sys.stdout.write("\nNOT everything is accounted for: see the lines above.\n")
    if settings.files_at:
        sys.stdout.write(f"Files: {settings.files_at}\n")
    sys.stdout.write(next_steps(settings) + "\n")


def _print_sample(settings: Settings, sample: Sample) -> None:
    names = dict.fromkeys(name for document in sample.documents for name in document)
    # What a line is about comes before its numbers.
    columns = sorted(names, key=lambda name: name not in {"day", *LABELS.values()})
    rows = [[document.get(name) for name in columns] for document in sample.documents]
    print_table(f"{settings.mongo_database}.{sample.collection}", columns, rows)
    if left_out := sample.total - len(sample.documents):
        limit = f" LIMIT={sample.total}" if sample.total > SHOWN_BY_ITSELF else ""
        command = remedies.show(f"mongodb.{sample.collection}", settings)
        sys.stdout.write(f"{left_out} more: `{command}{limit}` shows all\n")
