r"""Rows of a CSV, each with its lines and its place in the file; nothing is passed over unsaid.

Lines end with `\n` or `\r\n` and are counted as an editor shows them, also inside quotes. A line
that is not UTF-8 is read as Windows-1252, and where that has no character as Latin-1. A quote that
is not closed within `LONGEST_ROW_BYTES` costs its own line only: what follows is read as rows.
"""

from __future__ import annotations

import csv
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

UTF8_BOM: Final = b"\xef\xbb\xbf"
# Below the limit of the csv module for one field (131,072 characters).
LONGEST_ROW_BYTES: Final = 128 * 1024
DELIMITERS: Final = (",", ";", "\t", "|")

Tell = Callable[[int, str], None]
"""Is told a line's number and what is the matter with it."""


@dataclass(frozen=True)
class Line:
    """One physical line with its end; `content` is None where it is longer than any row may be."""

    number: int
    content: bytes | None
    size: int


@dataclass(frozen=True)
class Row:
    """One row: its fields, its first line, and where the file goes on after it.

    `fields` is None where the row could not be read; `tell` was told why.
    """

    fields: list[str] | None
    line: int
    next_position: int
    next_line: int


def lines(pages: Iterable[bytes], first_line: int) -> Iterator[Line]:
    """Cut pages into lines; only the page and a line that runs over its end are in memory."""
    rest, dropped, number = b"", 0, first_line
    for page in pages:
        *whole, rest = (rest + page).split(b"\n")
        for content in whole:
            yield _line(number, content + b"\n", dropped)
            number, dropped = number + 1, 0
        if len(rest) > LONGEST_ROW_BYTES:
            rest, dropped = b"", dropped + len(rest)
    if rest or dropped:
        yield _line(number, rest, dropped)


def _line(number: int, content: bytes, dropped: int) -> Line:
    size = dropped + len(content)
    return Line(number, content if size <= LONGEST_ROW_BYTES else None, size)


class RowReader:
    """Reads rows from lines, beginning at a position of the file."""

    def __init__(
        self, source: Iterator[Line], *, position: int, line: int, delimiter: str, tell: Tell
    ) -> None:
        self._source, self._back = source, deque[Line]()
        self._position, self._line = position, line
        self._delimiter, self._tell = delimiter, tell

    def __iter__(self) -> Iterator[Row]:
        """Yield rows; empty lines are none."""
        while (first := self._next()) is not None:
            taken = [first]
            fields = self._parse(taken)
            if fields is None:
                # Only the line that opened the quote is given up.
                self._back.extendleft(reversed(taken[1:]))
                taken = taken[:1]
                self._tell(first.number, "skipped: a quote is not closed, or the row is too long")
            for line in taken if fields else ():
                if name := _foreign_encoding(line.content or b""):
                    self._tell(line.number, f"not UTF-8, read as {name}")
            self._position += sum(line.size for line in taken)
            self._line = taken[-1].number + 1
            if fields != []:
                yield Row(fields, first.number, self._position, self._line)

    def _next(self) -> Line | None:
        return self._back.popleft() if self._back else next(self._source, None)

    def _parse(self, taken: list[Line]) -> list[str] | None:
        """Parse the row that begins with the one line taken; takes further lines as it needs."""
        complete = True

        def feed() -> Iterator[str]:
            nonlocal complete
            line: Line | None = taken[0]
            while line is not None and line.content is not None:
                yield _text(line.number, line.content)
                size = sum(each.size for each in taken)
                line = self._next() if size <= LONGEST_ROW_BYTES else None
                if line is not None:
                    taken.append(line)
            complete = False

        try:
            fields = next(csv.reader(feed(), delimiter=self._delimiter), [])
        except csv.Error:
            return None
        return fields if complete else None


def _text(number: int, content: bytes) -> str:
    if number == 1:
        content = content.removeprefix(UTF8_BOM)
    name = _foreign_encoding(content)
    return content.decode({None: "utf-8", "Windows-1252": "cp1252", "Latin-1": "latin-1"}[name])


def _foreign_encoding(content: bytes) -> str | None:
    """What a line is in that is not UTF-8."""
    try:
        content.decode()
    except UnicodeDecodeError:
        try:
            content.decode("cp1252")
        except UnicodeDecodeError:
            return "Latin-1"
        return "Windows-1252"
    return None
