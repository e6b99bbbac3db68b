"""Take CQL files apart into statements."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

# One token of CQL, as far as a statement's end depends on it: comments, quoted text ('' and ""
# stand for the quote itself), $$-quoted text, the end of a statement, anything else.
TOKEN: Final = re.compile(
    r"""
      (?P<comment> --[^\n]* | //[^\n]* | /\*.*?(?:\*/|\Z) )
    | (?P<text>    '(?:[^']|'')*(?:'|\Z) | "(?:[^"]|"")*(?:"|\Z) | \$\$.*?(?:\$\$|\Z) )
    | (?P<end>     ; )
    | (?P<other>   [^'"$;/-]+ | . )
    """,
    re.DOTALL | re.VERBOSE,
)
REPLICATION_FACTOR: Final = re.compile(r"('replication_factor'\s*:\s*)'?\d+'?")


def split_statements(script: str) -> Iterator[str]:
    """Statements of a CQL script in order, without their semicolons and without comments."""
    statement = ""
    for token in TOKEN.finditer(script):
        if token["end"]:
            if statement.strip():
                yield statement.strip()
            statement = ""
        elif token["comment"]:
            # A comment separates words as a blank does.
            statement += "\n"
        else:
            statement += token[0]
    if statement.strip():
        yield statement.strip()


def with_replication_factor(statement: str, replication_factor: int) -> str:
    """The statement with another replication factor in its keyspace options, if it has them."""
    return REPLICATION_FACTOR.sub(rf"\g<1>{replication_factor}", statement)
