"""CSV lines that distinguish null from empty text, which Python's own writer cannot do."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

NEEDS_QUOTES = re.compile(r'[",\r\n]')


def csv_lines(rows: Iterable[Iterable[Any]]) -> Iterator[str]:
    """RFC 4180 with line feeds: null is written as nothing, empty text as `""`."""
    for row in rows:
        yield ",".join(map(_cell, row)) + "\n"


def _cell(value: Any) -> str:
    if value is None:
        return ""
    text = str(value)
    if text == "" or NEEDS_QUOTES.search(text):
        return '"' + text.replace('"', '""') + '"'
    return text
