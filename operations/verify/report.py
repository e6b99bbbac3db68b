"""The tables of `make verify`."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence

from operations.tables import print_table
from operations.verify.account import Account
from runtime import remedies


def print_accounts(accounts: Sequence[Account]) -> None:
    """Where each topic's messages went, and what each store holds compared with the ledger.

    Of a store: its rows, documents or messages, the records they stand for, the ledger's number.
    """
    print_table(
        "Topics: read = stored + dead letters + filtered + duplicates",
        ("topic", "on topic", "read", "stored", "dead letters", "filtered", "duplicates", ""),
        [
            (
                a.topic,
                a.on_topic,
                a.counts.read,
                a.counts.stored,
                a.counts.dead_lettered,
                a.counts.filtered,
                a.counts.duplicates,
                "balanced" if a.verdict == "ok" else a.verdict,
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
        ("store", "where", "holds", "sum", "ledger", ""),
        [
            (
                s.store,
                s.place,
                s.found,
                s.sum_found,
                s.sum_expected,
                "ok" if s.agrees else "DIFFERS",
            )
            for a in accounts
            for s in a.stores
        ],
    )
    sys.stdout.writelines(f"{line}\n" for line in remarks(accounts))


def remarks(accounts: Sequence[Account]) -> Iterator[str]:
    """A line for each fault, each backlog and each note of the pipelines, in this order."""
    for account in accounts:
        for fault in account.faults:
            yield f"{account.pipeline}: {fault}"
    for account in accounts:
        if account.waiting:
            job = (
                "the running job"
                if account.is_running
                else f"a job (`{remedies.job(account.pipeline)}`)"
            )
            yield (
                f"{account.pipeline}: {account.waiting} messages wait on the topic,"
                f" {job} will process them"
            )
    for account in accounts:
        for note in account.notes:
            yield f"{account.pipeline}: {note}"


def _explain_reasons(account: Account) -> None:
    named, letters = sum(account.counts.reasons.values()), account.counts.dead_lettered
    if named > letters:
        sys.stdout.write(
            f"{account.topic}: {named} reasons for {letters} dead letters: a message is listed"
            " under each of its reasons.\n"
        )
