"""What `millrace new` prints: what it found, what to check, what to run next."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from operations.new.proposal import Proposal
from operations.new.sample import places
from runtime.remedies import MILLRACE

WIDTH: Final = 80
MOST_LINES: Final = 20
INDENT: Final = 15
MOST_LEFT: Final = 4
FEW_RECORDS: Final = 3


def notes_of(made: Proposal) -> list[str]:
    """What the user should know, each as one sentence without any value of a record."""
    sample, notes = made.sample, list[str]()
    if len(sample.records) < FEW_RECORDS:
        notes.append(
            f"{len(sample.records)} record(s) show little: check ids, required fields and types"
        )
    if not sample.is_whole and sample.kind != "topic":
        notes.append(f"only the first {len(sample.records)} records were read")
    if sample.broken:
        notes.append(f"not JSON objects, so not considered: {places(sample.broken)}")
    if made.repeats:
        notes.append(
            f"{made.repeats} record(s) repeat the id of an earlier one; only the first is stored"
        )
    never = [f"`{each.field.name}`" for each in made.fields if each.sensitivity == "never"]
    if never:
        notes.append(f"secrets, which `send` removes before Kafka: {_listed(never)}")
    left = [f"`{each.name}`: {each.why}" for each in made.left]
    notes += [f"not in the contract: {each}" for each in left[:MOST_LEFT]]
    if len(left) > MOST_LEFT:
        others = _listed(each.name for each in made.left[MOST_LEFT:])
        notes.append(f"not in the contract either: {others}")
    if made.plan.clear:
        notes.append(f"personal, but stored in clear as the id: {_listed(made.plan.clear)}")
    return notes


def summary(folder: Path, made: Proposal, notes: list[str]) -> list[str]:
    """What was found, in at most 20 lines of 80 columns, then the commands to run."""
    plan, fields = made.plan, made.fields
    times = [each.column for each in fields if each.field.is_event_time]
    of_tables = {column for table in plan.tables for column in table.derived}
    derived = [column for column in plan.derived if column not in of_tables]
    choices = [each.column for each in fields if "enum" in each.guess.keywords]
    personal = [each.column or each.path[-1] for each in fields if each.field.personal]
    name = plan.name
    rows = [
        ("id", _listed(plan.ids)),
        ("event time", _listed(times or derived) or "none: no day in tables and aggregates"),
        ("personal", _listed(personal) or "none found"),
        ("enumerations", _listed(choices)),
        ("tables", _listed(f"{name}.{table.name}" for table in plan.tables)),
        ("aggregates", _listed(each.name for each in plan.aggregates)),
        *(("check", note) for note in notes),
    ]
    head = f"{folder}: {len(fields)} fields from {len(made.sample.records)} records"
    found = [line for title, text in rows if text for line in _wrapped(title, text)]
    commands = (
        (f"{MILLRACE} check {name}", "does everything fit together"),
        (f"{MILLRACE} try {name} FILE", "judge records without services"),
        (f"make run PIPELINE={name}", "from nothing to verified results"),
        (f"{MILLRACE} send {name} FILE", "send records of your own"),
    )
    width = max(len(command) for command, _ in commands) + 2
    after = [
        "next:",
        *(f"  {command:<{width}}{what}"[:WIDTH].rstrip() for command, what in commands),
    ]
    room = MOST_LINES - len(after) - 1
    if len(found) > room:
        found = [*found[: room - 1], *_wrapped("", "… README.md has the rest")]
    return [head, *found, *after]


def _wrapped(title: str, text: str) -> list[str]:
    first, rest = f"  {title:<{INDENT - 2}}", " " * INDENT
    lines = textwrap.wrap(
        text, WIDTH, initial_indent=first, subsequent_indent=rest, max_lines=2, placeholder=" …"
    )
    return lines or [first]


def _listed(names: Iterable[str | None]) -> str:
    return ", ".join(str(name) for name in names)
