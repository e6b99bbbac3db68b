"""The tables at the end of `make run` and of `make verify`."""

from __future__ import annotations

import sys

import remedies
from operations.account import Account, Sample
from operations.hints import next_steps
from operations.show import LABELS
from operations.tables import print_table
from settings import Settings

# What `make show` prints without LIMIT=.
SHOWN_BY_ITSELF = 20


def print_accounts(accounts: list[Account]) -> None:
    """Per topic where its messages went; per store what it holds against the ledger."""
    print_table(
        "Topics: read = stored + dead-lettered + filtered + duplicates",
        ("topic", "on topic", "read", "stored", "dead-lettered", "filtered", "duplicates", ""),
        [
            (
                a.topic,
                a.on_topic,
                a.counts.read,
                a.counts.stored,
                a.counts.dead_lettered,
                a.counts.filtered,
                a.counts.duplicates,
                "balanced" if a.balanced else "NOT BALANCED",
            )
            for a in accounts
        ],
    )
    reasons = [(a.topic, code, n) for a in accounts for code, n in sorted(a.counts.reasons.items())]
    if reasons:
        print_table(
            "Dead letters by reason",
            ("topic", "reason", "messages"),
            reasons,
        )
        for account in accounts:
            _explain_reasons(account)
    print_table(
        "Stores",
        ("store", "where", "holds", "", "adds up to", "ledger", ""),
        [
            (
                s.store,
                s.place,
                s.found,
                s.unit,
                s.sum_found,
                s.sum_expected,
                "ok" if s.agrees else "DIFFERS",
            )
            for a in accounts
            for s in a.stores
        ],
    )
    for account in accounts:
        for fault in account.faults:
            sys.stdout.write(f"{account.pipeline}: {fault}\n")
        for note in account.notes:
            sys.stdout.write(f"{account.pipeline}: {note}\n")
        if account.waiting:
            job = (
                "the job that runs"
                if account.is_running
                else f"a job (`{remedies.job(account.pipeline)}`)"
            )
            sys.stdout.write(
                f"{account.pipeline}: {account.waiting} messages wait on the topic, {job} will"
                " process them\n"
            )


def _explain_reasons(account: Account) -> None:
    named, letters = sum(account.counts.reasons.values()), account.counts.dead_lettered
    if named > letters:
        sys.stdout.write(
            f"{account.topic}: {named} reasons for {letters} dead letters, as a message is listed"
            " under each reason that it has.\n"
        )


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
    if "files" in settings.sinks:
        sys.stdout.write(f"Files: {settings.output_path}\n")
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
