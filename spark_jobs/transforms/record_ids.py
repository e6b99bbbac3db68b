r"""The text of a record's id, as SQL: the same for a message and for its row in any store.

Several columns are joined by `|`; in their texts `\` and `|` are escaped, so that two ids are equal
only if their columns are. A text in the form of coordinates gets a leading blank.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from spark_jobs.transforms.timestamps import iso_sql

# The form of coordinates in `outcomes.message_columns`, which no id may have.
COORDINATES: Final = r"\\A *[0-9]+/[0-9]+\\z"
DECIMAL: Final = re.compile(r"decimal\(\d+,\d+\)")


def id_sql(columns: Mapping[str, str]) -> str:
    """SQL that gives the id.

    Args:
        columns: The columns of the id, each with the Spark type that its record has it in. A store
            may have it in another one: decimals with more digits.
    """
    texts = [_text(name, kind) for name, kind in columns.items()]
    if len(texts) > 1:
        escaped = (rf"replace(replace({t}, '\\', '\\\\'), '|', '\\|')" for t in texts)
        return f"concat_ws('|', {', '.join(escaped)})"
    if {*columns.values()} != {"string"}:
        return texts[0]
    return f"IF({texts[0]} RLIKE '{COORDINATES}', concat(' ', {texts[0]}), {texts[0]})"


def shard_sql(columns: Mapping[str, str], shards: int) -> str:
    """SQL that gives the shard of an id, 0 to `shards` - 1; arguments as of `id_sql`."""
    is_text = [*columns.values()] == ["string"]
    text = next(iter(columns)) if is_text else id_sql(columns)
    return f"cast(pmod(crc32({text}), {shards}) AS int)"


def _text(name: str, kind: str) -> str:
    if kind == "string":
        return f"`{name}`"
    if kind == "timestamp":
        return iso_sql(f"`{name}`")
    value = f"CAST(`{name}` AS {kind})" if DECIMAL.fullmatch(kind) else f"`{name}`"
    return f"CAST({value} AS STRING)"
