r"""Rows of a CSV, each with its lines and position in the text; everything skipped is reported.

Lines end with `\n`, `\r\n` or `\r` and are counted as an editor shows them, also inside quotes. A
line that is not UTF-8 is read as Windows-1252, or as Latin-1 if that fails. A quote that is not
closed within `LONGEST_ROW_BYTES` costs only its own line: the lines after it are read as rows.

A row is read by RFC 4180. If that does not give as many fields as there are columns, it is read
with `\` before quotes, separators and line ends, as MySQL writes it, and then with blanks after a
closing quote; the first way that gives the right number counts.
"""

from __future__ import annotations

import csv
import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

# Below the limit of the csv module for one field (131,072 characters).
LONGEST_ROW_BYTES: Final = 128 * 1024
DELIMITERS: Final = (",", ";", "\t", "|")
BYTE_ORDER_MARKS: Final = re.compile(rb"\A(?:\xef\xbb\xbf)+")
REPLACEMENT: Final = "\ufffd".encode()
TOO_LONG: Final = f"skipped, longer than {LONGEST_ROW_BYTES // 1024} KiB"
STRAY_QUOTE: Final = "skipped, a quote not closed or not doubled"

Tell = Callable[[int, str], None]
"""Called with a line's number and what is wrong with it."""


@dataclass(frozen=True)
class Line:
    """One physical line with its end; `content` is None if it is longer than any row may be."""

    number: int
    content: bytes | None
    size: int


@dataclass(frozen=True)
class CsvRow:
    """One row: its fields, its first line, and where the text continues after it.

    `fields` is None if the row could not be read; `tell` was called with the reason.
    """

    fields: list[str] | None
    line: int
    next_position: int
    next_line: int


def lines(pages: Iterable[bytes], first_line: int) -> Iterator[Line]:
    """Split pages into lines; only a page and a line that crosses its end are in memory."""
    rest, dropped, number = b"", 0, first_line
    for page in pages:
        whole = (rest + page).splitlines(keepends=True)
        # A `\r` at the end of a page may be half a line end.
        rest = whole.pop() if whole and not whole[-1].endswith(b"\n") else b""
        for content in whole:
            yield _line(number, content, dropped)
            number, dropped = number + 1, 0
        if len(rest) > LONGEST_ROW_BYTES:
            rest, dropped = rest[-1:], dropped + len(rest) - 1
    if rest or dropped:
        yield _line(number, rest, dropped)


def _line(number: int, content: bytes, dropped: int) -> Line:
    size = dropped + len(content)
    return Line(number, content if size <= LONGEST_ROW_BYTES else None, size)


class RowReader:
    """Reads rows from lines, beginning at a position in the text."""

    def __init__(
        self, source: Iterator[Line], *, position: int, line: int, delimiter: str, tell: Tell,
        widths: range | None = None,
    ) -> None:  # fmt: skip
        """Prepare; nothing is read yet.

        Args:
            source: Lines from the position on.
            position: Position of the first line.
            line: Number of the first line.
            delimiter: Separator of fields.
            tell: Called with each irregularity.
            widths: How many fields a row should have; None if unknown.
        """
        self._source, self._back = source, deque[Line]()
        self._position, self._line = position, line
        self._delimiter, self._tell, self._widths = delimiter, tell, widths
        separator = re.escape(delimiter)
        self._blank_before_quote = re.compile(rf'(?:\A|{separator}) +"'.encode())
        self._escape = re.compile(rf'\\(["\\\r\n]|{separator})|\\')

    def __iter__(self) -> Iterator[CsvRow]:
        """Yield rows; empty lines are skipped."""
        while (first := self._next()) is not None:
            fields, taken = self._read(first)
            if fields is None:
                # Only the line that opened the quote is lost.
                self._tell(first.number, TOO_LONG if first.content is None else STRAY_QUOTE)
            for line in taken if fields else ():
                content = line.content or b""
                if name := _foreign_encoding(content):
                    self._tell(line.number, f"not UTF-8, read as {name}")
                if REPLACEMENT in content:
                    self._tell(line.number, "an unreadable character, read as U+FFFD")
            self._position += sum(line.size for line in taken)
            self._line = taken[-1].number + 1
            if fields != []:
                yield CsvRow(fields, first.number, self._position, self._line)

    def _next(self) -> Line | None:
        return self._back.popleft() if self._back else next(self._source, None)

    def _read(self, first: Line) -> tuple[list[str] | None, list[Line]]:
        """The fields of the row that begins with `first`, and its lines."""
        standard, taken = self._parse(first, strict=True)
        if first.content is None or standard == [] or self._fits(standard):
            return standard, taken
        self._back.extendleft(reversed(taken[1:]))
        if any(b"\\" in (line.content or b"") for line in taken):
            fields, lines_of_it = self._parse(first, strict=True, escaped=True)
            if self._fits(fields):
                return fields, lines_of_it
            self._back.extendleft(reversed(lines_of_it[1:]))
        if standard is not None:
            return standard, [first, *(self._back.popleft() for _ in taken[1:])]
        fields, lines_of_it = self._parse(first, strict=False)
        # With a stray quote left, a separator near it may have been meant as text.
        if fields and self._fits(fields) and not any('"' in field for field in fields):
            return fields, lines_of_it
        self._back.extendleft(reversed(lines_of_it[1:]))
        return None, [first]

    def _fits(self, fields: list[str] | None) -> bool:
        return fields is not None and (self._widths is None or len(fields) in self._widths)

    def _parse(
        self, first: Line, *, strict: bool, escaped: bool = False
    ) -> tuple[list[str] | None, list[Line]]:
        """Fields of the row that begins with `first`, None if it does not end; the lines read."""
        taken, complete = [first], True

        def feed() -> Iterator[str]:
            nonlocal complete
            line: Line | None = first
            while line is not None and line.content is not None:
                text = _text(line.content, at_start=line is first)
                yield self._escape.sub(_plain_backslash_doubled, text) if escaped else text
                size = sum(each.size for each in taken)
                line = self._next() if size <= LONGEST_ROW_BYTES else None
                if line is not None:
                    taken.append(line)
            complete = False

        content = first.content or b""
        blanks = b' "' in content and self._blank_before_quote.search(content)
        reader = csv.reader(
            feed(), delimiter=self._delimiter, strict=strict, skipinitialspace=bool(blanks),
            doublequote=not escaped, escapechar="\\" if escaped else None,
        )  # fmt: skip
        try:
            fields = next(reader, [])
        except csv.Error:
            return None, taken
        return (fields if complete else None), taken


def _plain_backslash_doubled(found: re.Match[str]) -> str:
    r"""Keep `\n` and `\N` unchanged: csv would remove the backslash."""
    return found[0] if found[1] else r"\\"


def _text(content: bytes, *, at_start: bool) -> str:
    if at_start:
        content = BYTE_ORDER_MARKS.sub(b"", content)
    name = _foreign_encoding(content)
    return content.decode({None: "utf-8", "Windows-1252": "cp1252", "Latin-1": "latin-1"}[name])


def _foreign_encoding(content: bytes) -> str | None:
    """The encoding of a line that is not UTF-8; None if it is."""
    try:
        content.decode()
    except UnicodeDecodeError:
        try:
            content.decode("cp1252")
        except UnicodeDecodeError:
            return "Latin-1"
        return "Windows-1252"
    return None
