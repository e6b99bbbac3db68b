"""The ids of all tickets that were sent, and those that the stores hold."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import orjson
import pyarrow.dataset

from cql.client import close, connect
from producers.generate import TicketGenerator
from settings import Settings
from tests.cluster.processes import DUPLICATE_RATIO, INVALID_RATIO

TABLES = ("support.tickets", "support.tickets_by_team")


def sent_ids(seed: int, sent: int) -> set[str]:
    """Ids of the valid ones of so many tickets that a producer with this seed sends."""
    generator = TicketGenerator(seed, invalid_ratio=INVALID_RATIO, duplicate_ratio=DUPLICATE_RATIO)
    found = set()
    for message in generator.messages(sent):
        # It has counted what it has just made.
        if generator.made["valid"] > len(found):
            found.add(orjson.loads(message.value)["ticket_id"])
    return found


def ids_in_tables(settings: Settings) -> dict[str, Counter[str]]:
    """Table -> how often it has each id."""
    session = connect(settings)
    try:
        return {
            table: Counter(row["ticket_id"] for row in session.execute(_ids(table), timeout=120))
            for table in TABLES
        }
    finally:
        close(session)


def ids_in_files(output: Path) -> Counter[str]:
    """How often the files of tickets have each id."""
    files = pyarrow.dataset.dataset(output / "tickets_with_assignment", format="parquet")
    return Counter(files.to_table(columns=["ticket_id"])["ticket_id"].to_pylist())


def differences(sent: set[str], stored: Counter[str]) -> list[str]:
    """What is lost, what was never sent, what is there twice, in words; at best nothing."""
    found = {
        "lost": sent - stored.keys(),
        "never sent": stored.keys() - sent,
        "twice": {each for each, times in stored.items() if times > 1},
    }
    return [f"{len(ids)} {what}, such as {_some(ids)}" for what, ids in found.items() if ids]


def _some(ids: Iterable[str]) -> str:
    return ", ".join(sorted(ids)[:3])


def _ids(table: str) -> str:
    return f"SELECT ticket_id FROM {table}"
