"""Tables of the platform that a setting divides into shards: `<TABLE>_SHARDS`, 1 for none.

Above 1 the statement that creates the table gets the column `shard` as the last of the partition
key. The table's comment then ends with setting and number: the rows that it holds have their shards
by that number, and nothing else in the cluster says it.
"""

from __future__ import annotations

import re
from typing import Final

from cql.declared import SHARD, TABLE
from settings import Settings

PARTITION_KEY: Final = re.compile(r"PRIMARY\s+KEY\s*\(\s*\(([^)]*)\)", re.IGNORECASE)
COMMENT: Final = re.compile(r"\bcomment\s*=\s*'((?:[^']|'')*)'", re.IGNORECASE)


def setting_of(table: str) -> str | None:
    """The setting that divides a table of the platform, by the table's name; None if none does."""
    field = f"{table}_shards"
    return field.upper() if field in Settings.model_fields else None


def shards_of(settings: Settings, table: str) -> int:
    """Into how many shards the settings divide a table of the platform."""
    setting = setting_of(table)
    return getattr(settings, setting.lower()) if setting else 1


def with_shards(statement: str, shards: int) -> str:
    """The statement that creates a table, with the column, the key and the note of its shards."""
    found = TABLE.match(statement)
    if found is None or shards == 1:
        return statement
    key = rf"{SHARD} int,\n  PRIMARY KEY ((\1, {SHARD})"
    comment = rf"comment = '\1; {_note(found[2])}{shards}'"
    return COMMENT.sub(comment, PARTITION_KEY.sub(key, statement, count=1), count=1)


def noted_shards(table: str, comment: str) -> int:
    """The number of shards that the comment of a table notes; 1 if it or its name has none."""
    found = setting_of(table) and re.search(rf"; {_note(table)}(\d+)\Z", comment)
    return int(found[1]) if found else 1


def _note(table: str) -> str:
    return f"{table.upper()}_SHARDS="
