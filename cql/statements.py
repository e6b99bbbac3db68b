"""Splits CQL files into statements."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

# The tokens that matter for a statement's end: comments, quoted text ('' and "" are the quote
# itself), $$-quoted text, the end of a statement, anything else.
TOKEN: Final = re.compile(
    r"""
      (?P<comment> --[^\n]* | //[^\n]* | /\*.*?(?:\*/|\Z) )
    | (?P<text>    '(?:[^']|'')*(?:'|\Z) | "(?:[^"]|"")*(?:"|\Z) | \$\$.*?(?:\$\$|\Z) )
    | (?P<end>     ; )
    | (?P<other>   [^'"$;/-]+ | . )
    """,
    re.DOTALL | re.VERBOSE,
)
REPLICATION: Final = re.compile(r"'replication_factor'\s*:\s*'?\d+'?")
KEYSPACE: Final = re.compile(r"CREATE\s+KEYSPACE\s+IF\s+NOT\s+EXISTS\s+(\w+)", re.IGNORECASE)


def split_statements(script: str) -> Iterator[str]:
    """Statements of a CQL script in order, without their semicolons and without comments."""
    statement = ""
    for token in TOKEN.finditer(script):
        if token["end"]:
            if statement.strip():
                yield statement.strip()
            statement = ""
        elif token["comment"]:
            # A comment separates words like a blank.
            statement += "\n"
        else:
            statement += token[0]
    if statement.strip():
        yield statement.strip()


def with_replication(statement: str, replication_factor: int, datacenter: str) -> str:
    """The statement with this replication in its keyspace options, if it has any.

    A single copy may be in any data centre, several copies are in the named one.
    """
    where = "replication_factor" if replication_factor == 1 else datacenter.replace("'", "''")
    return REPLICATION.sub(lambda _: f"'{where}': {replication_factor}", statement)


def created_keyspace(statement: str) -> str | None:
    """The keyspace that a statement creates, if it creates one."""
    found = KEYSPACE.match(statement)
    return found[1].lower() if found else None
