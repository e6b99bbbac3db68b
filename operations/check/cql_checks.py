"""Checks of `tables.cql` as text: what it may hold, and whether its parts can be read."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from typing import Final

from cql.declared import COLUMN, COMPACTION, INDEX, KEY, TABLE
from cql.statements import created_keyspace, split_statements
from operations.check.fault import CQL, Fault, note
from operations.check.folder import Folder
from runtime.brackets import inside_and_after, parts_between_commas
from schemas.contract import COLUMN_NAME
from schemas.reserved_words import RESERVED_IN_CQL

WORDS: Final = re.compile(r"'(?:[^']|'')*'|\w+")
EXISTS: Final = re.compile(r"\s*CREATE\s+(?:CUSTOM\s+)?\w+\s+IF\s+NOT\s+EXISTS\b", re.IGNORECASE)
REPLICATION: Final = re.compile(r"\bWITH\b.*\breplication\s*=\s*\{", re.IGNORECASE | re.DOTALL)
NO_LOG: Final = re.compile(r"\bdurable_writes\s*=\s*false\b", re.IGNORECASE)
ORDER: Final = re.compile(r"CLUSTERING\s+ORDER\s+BY\s*\(([^)]*)\)", re.IGNORECASE)
COMPACTED: Final = re.compile(r"\bcompaction\s*=\s*\{", re.IGNORECASE)
EXPIRY: Final = re.compile(r"default_time_to_live\s*=\s*[1-9]", re.IGNORECASE)
INDEXED: Final = re.compile(r"\bON\s+\w+\.\w+\s*\(\s*(?:\w+\s*\(\s*)?\"?(\w+)", re.IGNORECASE)
ALLOWED: Final = "CREATE KEYSPACE, CREATE TABLE and CREATE INDEX, each with IF NOT EXISTS"
SYSTEM: Final = re.compile(r"system|system_\w+|dse\w*", re.IGNORECASE)


def cql_faults(folder: Folder) -> Iterator[Fault]:
    """Yield statements that are not allowed or cannot be read, and tables that contradict them."""
    if folder.cql_text is None:
        return
    keyspaces: set[str] = set()
    tables: Counter[str] = Counter()
    for statement in split_statements(folder.cql_text):
        yield from _statement(statement, folder)
        keyspaces |= {each for each in [created_keyspace(statement)] if each}
        if found := TABLE.match(statement):
            tables[f"{found[1]}.{found[2]}".lower()] += 1
    if not tables:
        yield Fault(CQL, "", "it creates no table; `CREATE TABLE IF NOT EXISTS …` is missing")
    for name, times in tables.items():
        keyspace = name.partition(".")[0]
        if times > 1:
            yield Fault(CQL, name, f"{times} statements create it; leave one of them")
        if keyspace not in keyspaces:
            yield Fault(
                CQL, name, f"no statement creates the keyspace `{keyspace}`; add one before it"
            )
    declared = {table.place for table in folder.declaration.tables} if folder.declaration else None
    for name in sorted(({*tables} - declared) if declared is not None else ()):
        yield Fault(
            CQL,
            name,
            f'nothing fills it; add `Table("{name}")` to `tables` of pipeline.py, or delete it',
        )
    for name in sorted((declared or set()) - {*tables}):
        yield Fault(
            "pipeline.py", "tables", f"`{name}` is not created in {CQL}; add a CREATE TABLE there"
        )


def _statement(statement: str, folder: Folder) -> Iterator[Fault]:
    words = [word.upper() for word in WORDS.findall(statement)]
    head = " ".join(statement.split()[:2])
    kind = " ".join(words[:2]).removeprefix("CREATE ").removeprefix("CUSTOM ")
    created = sum(pair == ("CREATE", "TABLE") for pair in pairwise(words))
    if words[:1] != ["CREATE"] or kind.split()[-1:] not in (
        ["KEYSPACE"], ["TABLE"], ["INDEX"], ["CUSTOM"]
    ):  # fmt: skip
        hint = (
            "; change the CREATE TABLE itself, and `.venv/bin/millrace check` prints the ALTER"
            " TABLE to run"
            if words[:2] == ["ALTER", "TABLE"]
            else f"; leave it out, as only {ALLOWED}, are"
        )
        yield Fault(CQL, head, f"a statement of this kind is not allowed{hint}")
        return
    if not EXISTS.match(statement):
        yield Fault(
            CQL, _named(statement), "add IF NOT EXISTS, as `make up` runs the file each time"
        )
    if created > 1 or (created == 1 and kind != "TABLE"):
        yield Fault(CQL, _named(statement), "two statements without `;` between them; add it")
    elif kind == "TABLE":
        yield from _table(statement, folder)
    elif kind == "KEYSPACE":
        yield from _keyspace(statement)
    else:
        yield from _index(statement, folder)


def _named(statement: str) -> str:
    """The beginning of a statement, up to the name of what it creates."""
    without = re.sub(r"\s+IF\s+NOT\s+EXISTS", "", statement, count=1, flags=re.IGNORECASE)
    return " ".join(re.split(r"\s+|\(", without)[:3])


def _keyspace(statement: str) -> Iterator[Fault]:
    name = created_keyspace(statement) or _named(statement).split()[-1]
    yield from _name(name, name)
    if SYSTEM.fullmatch(name):
        yield Fault(CQL, name, "this keyspace is Cassandra's own; take another name")
    if NO_LOG.search(statement):
        yield Fault(CQL, name, "`durable_writes = false` loses rows in a crash; leave it out")
    if not REPLICATION.search(statement):
        yield Fault(
            CQL,
            name,
            "add WITH replication = {'class': 'NetworkTopologyStrategy', 'replication_factor': 1}",
        )


def _name(name: str, place: str) -> Iterator[Fault]:
    if not re.fullmatch(COLUMN_NAME, name):
        yield Fault(
            CQL, place, f"`{name}` is not lower-case letters, digits and `_`, 48 characters at most"
        )
    elif name in RESERVED_IN_CQL:
        yield Fault(CQL, place, f"`{name}` is a reserved word of CQL; take another name")


def _table(statement: str, folder: Folder) -> Iterator[Fault]:
    found = TABLE.match(statement)
    content = inside_and_after(statement[found.end() :]) if found else None
    if not found or not content or not re.match(r"\s*(?:WITH\b|\Z)", content[1], re.IGNORECASE):
        reason = "check its brackets" if found else "expected CREATE TABLE keyspace.table (…)"
        yield Fault(CQL, _named(statement), f"this statement cannot be read; {reason}")
        return
    inside, options = content
    place = f"{found[1]}.{found[2]}".lower()
    for name in (found[1], found[2]):
        yield from _name(name.lower(), place)
    columns, keys = [], []
    for part in parts_between_commas(inside):
        if key := KEY.match(part):
            keys.append(key)
        elif column := COLUMN.match(part):
            columns.append(column)
            yield from _name(column[1].lower(), place)
        else:
            folder.half_read.add(place)
            yield Fault(CQL, place, f"`{' '.join(part.split())}` cannot be read: {_why(part)}")
    keys += [column for column in columns if column[4]]
    names = [column[1].lower() for column in columns]
    yield from _table_parts(place, names, len(keys))
    for column in columns:
        if column[3]:
            yield Fault(
                CQL, place, f"`{column[1]}` is static: records of a partition would share it"
            )
    yield from _options(place, options, names)


def _table_parts(place: str, names: list[str], keys: int) -> Iterator[Fault]:
    for name, times in Counter(names).items():
        if times > 1:
            yield Fault(CQL, place, f"it has the column `{name}` {times} times; leave one")
    if keys != 1:
        text = "no PRIMARY KEY; add one" if keys == 0 else f"{keys} primary keys; leave one"
        yield Fault(CQL, place, f"it has {text}")


def _why(part: str) -> str:
    if '"' in part:
        return "names in quotes are not used here; write it in lower case without quotes"
    if re.match(r"PRIMARY\s+KEY", part, re.IGNORECASE):
        return "expected PRIMARY KEY ((partition columns), clustering columns)"
    return "expected a name and a type; a comma may be missing before or after it"


def _options(place: str, options: str, columns: list[str]) -> Iterator[Fault]:
    if EXPIRY.search(options):
        yield Fault(
            CQL,
            place,
            "`default_time_to_live` deletes rows that `make verify` expects; leave it out",
        )
    if not COMPACTED.search(options):
        yield note(
            CQL,
            place,
            f"no compaction is declared, so the server's default counts; add {COMPACTION}",
        )
    if ordered := ORDER.search(options):
        for name in re.findall(r"(\w+)(?:\s+(?:ASC|DESC))?\s*(?:,|\Z)", ordered[1], re.IGNORECASE):
            if name.lower() not in columns:
                yield Fault(CQL, place, f"CLUSTERING ORDER BY names no column `{name}`")


def _index(statement: str, folder: Folder) -> Iterator[Fault]:
    place = _named(statement)
    found = INDEX.match(statement)
    if not found:
        yield Fault(CQL, place, "expected CREATE INDEX IF NOT EXISTS name ON keyspace.table (…)")
        return
    table = f"{found[2]}.{found[3]}".lower()
    if table not in folder.cql:
        yield Fault(CQL, place, f"there is no table `{table}` in the file")
        return
    column = INDEXED.search(statement)
    if column and column[1].lower() not in folder.cql[table].columns:
        yield Fault(CQL, place, f"`{table}` has no column `{column[1]}`")
