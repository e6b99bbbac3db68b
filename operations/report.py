"""The tables at the end of `make run` and of `make verify`."""

from __future__ import annotations

import sys
from typing import Any

import remedies
from operations.account import Account
from operations.tables import print_table
from settings import Settings

NEXT_STEPS = """Look further:
  make show WHAT=support.tickets_by_team TEAM=Billing    a table of Cassandra, by partition
  make show WHAT=mongodb.ticket_metrics                  a collection of MongoDB
  make show WHAT=files.tickets_by_type                   a set of files, whatever its format
  make show WHAT=dead-letters                            what was rejected, and why
  make cqlsh CQL="SELECT COUNT(*) FROM support.tickets"  any CQL; without CQL= a shell
  make mongosh EVAL="db.tickets_by_team.find()"          any expression; without EVAL= a shell
  make status                                            services, lag, rows, jobs
  make verify                                            proves the numbers again
  make down                                              stops the services; data stays"""


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


def print_results(
    settings: Settings, accounts: list[Account], samples: dict[str, list[dict[str, Any]]]
) -> None:
    """Everything that `make run` shows at its end."""
    print_accounts(accounts)
    for name, documents in samples.items():
        if documents:
            columns = list(dict.fromkeys(key for d in documents for key in d))
            title = f"{settings.mongo_database}.{name}"
            print_table(title, columns, [[d.get(key) for key in columns] for d in documents])
    if all(account.balanced for account in accounts):
        total = sum(account.counts.read for account in accounts)
        sys.stdout.write(f"\nEverything is accounted for: {total} messages.\n")
    else:
        sys.stdout.write("\nNOT everything is accounted for: see the lines above.\n")
    if "files" in settings.sinks:
        sys.stdout.write(f"Files: {settings.output_path}\n")
    sys.stdout.write(NEXT_STEPS + "\n")
