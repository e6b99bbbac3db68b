"""What a tampering is, and what `make verify` says of it."""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Final, Literal

from operations.verify.accounts import take_accounts
from tests.support.world import World

# Every column of every table, not one of each type; takes hours.
EVERY: Final = os.environ.get("TAMPER_ALL") == "1"
# What no line for a user may hold: traces of programs, and plans of Spark.
INTERNAL: Final = re.compile(r"Traceback|\n|\bat (?:org|java|scala)\.|Exception:|== \w+ Plan")

# Mechanisms that others stand for, unless all are made.
ALIKE: Final = {
    "all: bool public": "all: str public",
    "all: Date public": "all: str public",
    "all: int public": "all: Decimal public",
    "all: int derived": "all: datetime derived",
    "all: int kafka_partition": "all: int kafka_offset",
    "PostgreSQL: foreign": "PostgreSQL: delete",
    "Cassandra by another key: foreign": "Cassandra by another key: delete",
    "row: hash_key_id": "row: hashed",
    "aggregate: change measure maximum": "aggregate: change measure total",
    "aggregate: change part sum": "aggregate: change measure total",
    "aggregate: change part count": "aggregate: change measure count",
    "aggregate: change sketch garbage": "aggregate: change sketch",
    "aggregate: change applied as text": "aggregate: change applied emptied",
    "aggregate: delete part": "aggregate: delete measure",
    "aggregate: delete label": "aggregate: delete measure",
    "aggregate: delete sketch emptied": "aggregate: delete measure",
    "aggregate: type Decimal128": "aggregate: type double",
    "aggregate: type a list": "aggregate: type text",
    "aggregate: document under a number": "aggregate: document under an _id that no record has",
    "files garbage in a file (json)": "files a truncated file (json)",
    "files garbage in a file (csv)": "files a truncated file (csv)",
    "files an empty file": "files a file",
    "files a file out of its day": "files a file to another day",
    "snapshot: estimate": "snapshot: number",
    "snapshot: double": "snapshot: delete",
    "topic: a message's value is gone": "topic: a message's key",
    "topic: a message without its offset": "topic: a message without headers",
    "topic: a message with an offset that is no number": "topic: a message without headers",
    "dead-letter topic: header, more redrives": "dead-letter topic: header, another time",
    "dead-letter topic: header, no reasons": "dead-letter topic: header, other reasons",
    "summary timestamp as text": "summary reasons as text",
    "summary _id with a number": "summary _id with an offset with a letter",
    "summary _id with a number beyond 64 bits": "summary _id with after the topic's end",
    "ledger batch_id as text": "ledger a count as text",
    "ledger a count as a double": "ledger a count as text",
    "ledger a negative number": "ledger a count as text",
    "ledger reasons as a list": "ledger offsets as text",
    "ledger dead_lettered for filtered": "ledger duplicates for stored",
    "ledger offsets end later of the last": "ledger offsets end earlier of the last",
    "ledger the first entry": "ledger the middle entry",
}

Kind = Literal["change", "swap", "delete", "double", "move", "foreign", "type"]
Change = Callable[[], AbstractContextManager[object]]
"""Changes something, and takes it back at the end."""
Named = tuple[tuple[str, ...], ...]
"""For each fault that must be there, what it must name, as regular expressions."""


@dataclass(frozen=True)
class Tampering:
    """One change, of which `make verify` must say where it is.

    Attributes:
        kind: What is done.
        name: Where, for people: `orders.orders: amount`.
        mechanism: Those of one mechanism differ in names alone, so that one stands for all.
        changed: Makes the change, and takes it back at the end.
        named: What must be named.
        secret: A value of a record that the change puts in and no fault may show.
        is_lasting: Whether it cannot be taken back.
    """

    kind: Kind
    name: str
    mechanism: str
    changed: Change
    named: Named
    secret: str | None = None
    is_lasting: bool = False

    @property
    def title(self) -> str:
        return f"{self.kind}: {self.name}"


@dataclass(frozen=True)
class Verdict:
    """What became of a tampering; `failure` says why it counts as not found."""

    title: str
    failure: str | None
    faults: Sequence[str] = ()


def faults_of(world: World) -> list[str]:
    """What `make verify` finds in the pipeline and the parts of it that have a ledger."""
    accounts = take_accounts(world.settings, world.database, world.spark, [world.pipeline])
    return [fault for account in accounts for fault in account.faults]


def judge(world: World, tampering: Tampering, secrets: Iterable[str]) -> Verdict:
    """Tamper, verify, and take it back."""
    try:
        with tampering.changed():
            faults = faults_of(world)
    except Exception as error:
        first = str(error).splitlines()[0][:300] if str(error) else ""
        return Verdict(tampering.title, f"ended with {type(error).__name__}: {first}")
    hidden = [*secrets, *([tampering.secret] if tampering.secret else [])]
    return Verdict(tampering.title, _failure(faults, tampering.named, hidden), faults)


def _failure(faults: Sequence[str], named: Named, hidden: Iterable[str]) -> str | None:
    if not faults:
        return "verified"
    for texts in named:
        if not any(all(re.search(text, fault) for text in texts) for fault in faults):
            return f"no fault names {' and '.join(texts)}"
    # As a whole word: a number of two digits is part of many an id.
    words = [rf"(?<!\w){re.escape(secret)}(?!\w)" for secret in hidden]
    if any(re.search(word, fault) for fault in faults for word in words):
        return "a fault shows a record's value"
    if any(INTERNAL.search(fault) for fault in faults):
        return "a fault shows the inside of a program"
    return None


def shared_out(
    tables: Mapping[str, Sequence[Tampering]], accounts: Mapping[str, int]
) -> dict[str, list[Tampering]]:
    """One tampering of each mechanism, for the run that has the least to do among those with it.

    All of them where `TAMPER_ALL` is 1.

    Args:
        tables: Run -> its tamperings.
        accounts: Run -> how many accounts `make verify` takes of it.
    """
    if EVERY:
        return {name: [*table] for name, table in tables.items()}
    found: dict[str, list[Tampering]] = {name: [] for name in tables}
    having: defaultdict[str, dict[str, Tampering]] = defaultdict(dict)
    for name, table in tables.items():
        for each in table:
            mechanism = ALIKE.get(each.mechanism, each.mechanism)
            having[mechanism].setdefault(name, each)
    for runs in sorted(having.values(), key=len):
        name = min(runs, key=lambda name: len(found[name]) * accounts[name])
        found[name].append(runs[name])
    return found


def exactly(text: object) -> str:
    """A regular expression of a name in backticks."""
    return f"`{re.escape(str(text))}`"
