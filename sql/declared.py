"""PostgreSQL's tables as SQL files declare them; read as text, without a server."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

from runtime.brackets import parts_between_commas

SQL_FOLDER: Final = Path(__file__).resolve().parent
COMMENT: Final = re.compile(r"--[^\n]*|/\*.*?\*/", re.DOTALL)
TABLE: Final = re.compile(r"CREATE\s+TABLE\s+(?:IF\s+NOT\s+EXISTS\s+)?(\w+)\s*\(", re.IGNORECASE)
KEY: Final = re.compile(r"(?:CONSTRAINT\s+\w+\s+)?PRIMARY\s+KEY\s*\(([^)]*)\)\Z", re.IGNORECASE)
# A constraint of the table begins with a word that no column has as its name.
COLUMN: Final = re.compile(
    r"(?!(?:CONSTRAINT|CHECK|UNIQUE|FOREIGN|EXCLUDE|PRIMARY|LIKE)\b)([a-z_]\w*)\s+(.+)\Z",
    re.IGNORECASE | re.DOTALL,
)
# What may follow a column's type.
RULES: Final = re.compile(
    r"\s+(?:NOT\s+NULL|NULL|PRIMARY\s+KEY|DEFAULT|CHECK|UNIQUE|REFERENCES|COLLATE|GENERATED"
    r"|CONSTRAINT)\b.*",
    re.IGNORECASE | re.DOTALL,
)
# Short names of types -> the server's names.
TYPE_NAMES: Final = {
    "int": "integer",
    "int2": "smallint",
    "int4": "integer",
    "int8": "bigint",
    "bool": "boolean",
    "float4": "real",
    "float8": "double precision",
    "float": "double precision",
    "decimal": "numeric",
    "dec": "numeric",
    "varchar": "character varying",
    "char varying": "character varying",
    "char": "character",
    "timestamptz": "timestamp with time zone",
    "timestamp": "timestamp without time zone",
}
TYPE: Final = re.compile(
    r"(?P<base>.*?) ?(?P<digits>\([^)]*\))?(?P<zone> with(?:out)? time zone)?"
    r"(?P<array>(?: ?\[\d*\])+| array(?: ?\[\d+\])?)?"
)


@dataclass(frozen=True)
class PostgresShape:
    """A table's columns with the server's names for their types, and its primary key in order."""

    columns: Mapping[str, str]
    key: tuple[str, ...]
    origin: str = ""


@cache
def declared() -> dict[str, PostgresShape]:
    """Every table in the numbered files of this folder."""
    shapes: dict[str, PostgresShape] = {}
    for path in sorted(SQL_FOLDER.glob("[0-9]*.sql")):
        shapes |= shapes_of(path.read_text(encoding="utf-8"), f"sql/{path.name}")
    return shapes


def shapes_of(script: str, origin: str) -> dict[str, PostgresShape]:
    """Every table that an SQL script creates."""
    script = COMMENT.sub(" ", script)
    return {
        found[1].lower(): _shape(script[found.end() :], origin) for found in TABLE.finditer(script)
    }


def _shape(body: str, origin: str) -> PostgresShape:
    columns: dict[str, str] = {}
    key: tuple[str, ...] = ()
    for part in parts_between_commas(body):
        if found := KEY.match(part):
            key = tuple(name.strip().lower() for name in found[1].split(","))
        elif found := COLUMN.match(part):
            name, rest = found[1].lower(), found[2]
            columns[name] = server_type(RULES.sub("", f" {rest}"))
            if re.search(r"\bPRIMARY\s+KEY\b", rest, re.IGNORECASE):
                key = (name,)
    return PostgresShape(columns, key, origin)


def server_type(text: str) -> str:
    """A type as the server names it: `timestamptz(3)` is `timestamp(3) with time zone`."""
    found: Any = TYPE.fullmatch(re.sub(r"\s+", " ", text).strip().lower())
    base = found["base"] + (found["zone"] or "")
    digits = (found["digits"] or "").replace(" ", "")
    name = TYPE_NAMES.get(base, base)
    if name == "numeric" and digits and "," not in digits:
        digits = digits.replace(")", ",0)")
    if name == "character" and not digits:
        digits = "(1)"
    name, zone, rest = name.partition(" with")
    return f"{name}{digits}{zone}{rest}{'[]' if found['array'] else ''}"
