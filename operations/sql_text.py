"""What the SQL of a declaration names, found without Spark."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final

# Strings and comments, which hold no names; then a name, maybe in backticks, and what follows it.
_TOKEN: Final = re.compile(
    r"""
      (?P<text> '(?:[^'\\]|\\.|'')*' | "(?:[^"\\]|\\.|"")*" | --[^\n]* | /\*.*?\*/ )
    | `(?P<quoted>[^`]+)`
    | (?P<name>[A-Za-z_]\w*)(?P<call>\s*\()?
    """,
    re.DOTALL | re.VERBOSE,
)
# Function -> why a job cannot use it.
_UNSTABLE: Final = (
    "gives another value when a batch is repeated, so sinks would differ; use a column"
)
_MANY: Final = "makes several rows of one record"
REFUSED_CALLS: Final[Mapping[str, str]] = {
    **dict.fromkeys(
        "current_date curdate current_timestamp now localtimestamp rand random randn uuid shuffle"
        " monotonically_increasing_id spark_partition_id input_file_name".split(),
        _UNSTABLE,
    ),
    **dict.fromkeys(
        "explode explode_outer posexplode posexplode_outer inline inline_outer stack"
        " json_tuple".split(),
        _MANY,
    ),
    "over": "needs other records of the batch; a record is judged by itself",
    "select": "needs another query; a record is judged by itself",
}
# They are functions even without parentheses.
_BARE: Final = frozenset({"current_date", "current_timestamp", "localtimestamp", "select"})
# Without arguments it is the time of the query.
_NO_ARGUMENTS: Final = re.compile(r"\bunix_timestamp\s*\(\s*\)", re.IGNORECASE)


def columns_in(sql: str, known: Mapping[str, object]) -> list[str]:
    """The known columns that an expression names, each once; case does not matter."""
    by_lower = {name.lower(): name for name in known}
    named = (word.lower() for word, is_call in _words(sql) if not is_call)
    return list(dict.fromkeys(by_lower[word] for word in named if word in by_lower))


def refused_calls(sql: str) -> list[str]:
    """What an expression calls that no job may use, each as a sentence."""
    found = {
        word.lower(): None
        for word, is_call in _words(sql)
        if (is_call or word.lower() in _BARE) and word.lower() in REFUSED_CALLS
    }
    sentences = [f"`{word}` {REFUSED_CALLS[word]}" for word in found]
    if _NO_ARGUMENTS.search(sql):
        sentences.append(f"`unix_timestamp()` {_UNSTABLE}")
    return sentences


def handles_nulls(sql: str) -> bool:
    """Whether an expression has a function that gives a value in place of a null."""
    return any(
        word.lower() in {"coalesce", "ifnull", "nvl", "nvl2", "hash", "xxhash64", "concat_ws"}
        or (word.lower() == "else")
        for word, _ in _words(sql)
    )


def _words(sql: str) -> Iterator[tuple[str, bool]]:
    for token in _TOKEN.finditer(sql):
        if token["quoted"]:
            yield token["quoted"], False
        elif token["name"]:
            yield token["name"], token["call"] is not None
