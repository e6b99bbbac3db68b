"""Checks of `tables.sql` as text: what it may hold, and whether rows can be refused."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from typing import Final

from cql.statements import split_statements
from operations.check.fault import DECLARATION, SQL, Fault
from operations.check.folder import Folder
from runtime.brackets import inside_and_after, parts_between_commas
from schemas.contract import COLUMN_NAME
from schemas.reserved_words import RESERVED_IN_SQL
from sql.declared import COLUMN, COMMENT, KEY, TABLE

ALLOWED: Final = re.compile(
    r"CREATE\s+TABLE\s+IF\s+NOT\s+EXISTS\b|CREATE\s+INDEX\s+(?:CONCURRENTLY\s+)?IF\s+NOT\s+EXISTS\b"
    r"|COMMENT\s+ON\b|ALTER\s+TABLE\s+(?:IF\s+EXISTS\s+)?\w+\s+ENABLE\s+ROW\s+LEVEL\s+SECURITY\b",
    re.IGNORECASE,
)
CREATION: Final = re.compile(r"CREATE\s+(?:UNIQUE\s+)?(TABLE|INDEX)\s+(?!IF\b)(\S+)", re.IGNORECASE)
HEAD: Final = re.compile(r"CREATE\s+TABLE\s+IF\s+NOT\s+EXISTS\s+([\w.\"]+)\s*\(", re.IGNORECASE)
CONSTRAINT: Final = re.compile(
    r"(?:CONSTRAINT\s+\w+\s+)?(UNIQUE|CHECK|FOREIGN\s+KEY|EXCLUDE)\b", re.IGNORECASE
)
RULE: Final = re.compile(r"\b(UNIQUE|CHECK|REFERENCES|GENERATED)\b", re.IGNORECASE)
NOT_NULL: Final = re.compile(r"\bNOT\s+NULL\b", re.IGNORECASE)
# The platform's own table in PostgreSQL.
OWN: Final = "millrace_batches"


def sql_faults(folder: Folder) -> Iterator[Fault]:
    """Yield statements that are not allowed or cannot be read, and rules that refuse records."""
    tables = folder.declaration.sql_tables if folder.declaration else ()
    wanted = {table.name for table in tables}
    if folder.sql_text is None:
        if any(fault.file == SQL for fault in folder.faults):
            return  # It is there, and cannot be read.
        for name in sorted(wanted):
            text = f"`{name}` needs a file {SQL} with its CREATE TABLE; there is none"
            yield Fault(DECLARATION, "sql_tables", text)
        return
    script = COMMENT.sub(" ", folder.sql_text)
    for statement in split_statements(folder.sql_text):
        yield from _statement(statement, folder)
    names = [found[1].lower() for found in TABLE.finditer(script)]
    for name, times in Counter(names).items():
        if times > 1:
            yield Fault(SQL, name, f"{times} statements create it; leave one of them")
        if name == OWN:
            yield Fault(SQL, name, "this table is the platform's own; take another name")
    if folder.declaration is None:
        return
    for name in sorted({*names} - wanted):
        text = f'nothing fills it; add `SqlTable("{name}")` to `sql_tables` of pipeline.py'
        yield Fault(SQL, name, f"{text}, or delete it")
    for name in sorted(wanted - {*names}):
        text = f"`{name}` is not created in {SQL}; add a CREATE TABLE there"
        yield Fault(DECLARATION, "sql_tables", text)


def _statement(statement: str, folder: Folder) -> Iterator[Fault]:
    head = " ".join(statement.split()[:2])
    if not ALLOWED.match(statement):
        if found := CREATION.match(statement):
            name = found[2].partition("(")[0]
            if "UNIQUE" in head.upper():
                text = "a unique index refuses records that the contract accepts; leave UNIQUE out"
            else:
                text = "add IF NOT EXISTS, as `make up` runs the file each time"
            yield Fault(SQL, name, text)
        else:
            yield Fault(
                SQL,
                head,
                "a statement of this kind is not allowed; leave it out, as only CREATE TABLE and"
                " CREATE INDEX, each with IF NOT EXISTS, COMMENT ON and ENABLE ROW LEVEL SECURITY"
                " are",
            )
        return
    if not re.match(r"CREATE\s+TABLE", statement, re.IGNORECASE):
        return
    if len(re.findall(r"\bCREATE\s+TABLE\b", statement, re.IGNORECASE)) > 1:
        yield Fault(SQL, head, "two statements without `;` between them; add it")
        return
    found = HEAD.match(statement)
    content = inside_and_after(statement[found.end() :]) if found else None
    if found and content:
        yield from _table(found[1], content[0], folder)
    else:
        yield Fault(SQL, head, "this statement cannot be read; check its brackets")


def _table(table: str, body: str, folder: Folder) -> Iterator[Fault]:
    name = table.lower()
    yield from _name(table, name)
    columns: list[str] = []
    keys = 0
    for part in parts_between_commas(body):
        if KEY.match(part):
            keys += 1
        elif found := CONSTRAINT.match(part):
            yield Fault(SQL, name, f"{found[1].upper()} {_REFUSES}")
        elif column := COLUMN.match(part):
            columns.append(column[1].lower())
            yield from _name(column[1], name)
            yield from _column(name, column[1].lower(), column[2], folder)
            keys += bool(re.search(r"\bPRIMARY\s+KEY\b", column[2], re.IGNORECASE))
        else:
            text = f"`{' '.join(part.split())}` cannot be read; expected a name and a type"
            yield Fault(SQL, name, text)
    for column_name, times in Counter(columns).items():
        if times > 1:
            yield Fault(SQL, name, f"it has the column `{column_name}` {times} times; leave one")
    if keys != 1:
        text = "no PRIMARY KEY; add one" if keys == 0 else f"{keys} primary keys; leave one"
        yield Fault(SQL, name, f"it has {text}")


_REFUSES: Final = "refuses records that the contract accepts, which stops the job; leave it out"


def _name(name: str, place: str) -> Iterator[Fault]:
    if "." in name:
        yield Fault(SQL, place, "name the table without a schema; POSTGRES_DSN chooses that")
    elif not re.fullmatch(COLUMN_NAME, name.lower()):
        text = f"`{name}` is not lower-case letters, digits and `_`, 48 characters at most"
        yield Fault(SQL, place, text)
    elif name.lower() in RESERVED_IN_SQL:
        yield Fault(SQL, place, f"`{name}` is a reserved word of SQL; take another name")


def _column(table: str, column: str, rules: str, folder: Folder) -> Iterator[Fault]:
    if found := RULE.search(rules):
        yield Fault(SQL, table, f"`{column}`: {found[1].upper()} {_REFUSES}")
    field = folder.fields.get(column)
    if NOT_NULL.search(rules) and field and (why := folder.why_null(column)):
        yield Fault(
            SQL,
            table,
            f"`{column}` is NOT NULL, but the field `{field.name}` {why}, and the job would stop at"
            " the first such record; leave NOT NULL out"
            + ("" if field.required else ", or make the field required"),
        )
