r"""A customer file as messages: each row is one JSON object, or reported as skipped.

A row with too few fields lacks the last columns' keys. One with more fields than columns is
skipped, even if the surplus is blank: it is unclear which comma was meant as text, and a wrongly
assembled row could pass as valid. A field `\N` is null, as in MySQL.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Literal, TextIO

import orjson

from producers.csv_header import Header, discard, is_blank, read_header
from producers.csv_rows import DELIMITERS, CsvRow, RowReader, lines
from producers.csv_source import CsvSource
from producers.customer_progress import Place, ProgressFile, Watermark
from producers.messages import Message
from schemas.contract import WHITE_SPACE

KEY: Final = "customer_id"
NULL: Final = r"\N"
BLANK_ROW: Final = "skipped, blank"
ALL_ROWS_HINT: Final = (
    ", the surplus blank; if every row ends with a separator, let the header end with one too"
)


class Report:
    """Irregularities with line numbers: all of them in a file, a count of each kind to print.

    Args:
        path: The report.
        continues: Whether it already has the lines of an earlier start.
    """

    def __init__(self, path: Path, *, continues: bool) -> None:
        self.path = path
        self._mode: Literal["a", "w"] = "a" if continues else "w"
        self.kinds: Counter[str] = Counter()
        self._file: TextIO | None = None

    def tell(self, line: int, what: str) -> None:
        """Note what is wrong with a line, never its content."""
        kind = what.partition(":")[0]
        self.kinds[kind] += 1
        if kind == BLANK_ROW and self.kinds[kind] > 1:
            return  # a spreadsheet may write a million of them
        if self._file is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            # Each line at once, as the next start does not read this row again.
            self._file = self.path.open(self._mode, encoding="utf-8", buffering=1)
        self._file.write(f"line {line}: {what}\n")

    @property
    def skipped(self) -> str:
        """Why rows were skipped, with a count of each reason."""
        return ", ".join(
            f"{kind.removeprefix('skipped, ')}: {count}"
            for kind, count in sorted(self.kinds.items())
            if kind.startswith("skipped, ")
        )

    def close(self) -> list[str]:
        """A line about irregularities in rows that were sent, if there are any."""
        if self._file is None:
            return []
        self._file.close()
        kinds = "; ".join(
            f"{what} ({count})"
            for what, count in sorted(self.kinds.items())
            if not what.startswith("skipped, ")
        )
        return [f"report: {kinds}. Line by line in `{self.path}`"] if kinds else []


class CustomerFile:
    """Reads a file from where the last start ended, and records its progress."""

    def __init__(self, source: CsvSource, progress: ProgressFile, place: Place) -> None:
        self._source = source
        path = progress.path.with_suffix(".report.txt")
        self.report = Report(path, continues=place.position > 0)
        self._watermark = Watermark(progress, place)
        self._start = place
        self._at_end = False
        self.read = self.sent = self.skipped = 0

    def messages(self, count: int) -> Iterator[Message]:
        """The remaining rows; at most `count` messages, all if it is 0."""
        fresh = not self._start.position
        header = read_header(self._source, self.report.tell if fresh else discard)
        position, line = (
            (header.position, header.line) if fresh else (self._start.position, self._start.line)
        )
        reader = RowReader(
            lines(self._source.pages(position), line),
            position=position,
            line=line,
            delimiter=header.delimiter,
            tell=self.report.tell,
            widths=header.widths,
        )
        for row in reader:
            self.read += 1
            message = self._message(header, row)
            if message is None:
                self.skipped += 1
                self._watermark.skipped(row.next_position, row.next_line)
                continue
            self.sent += 1
            self._watermark.sent(self.sent, row.next_position, row.next_line)
            yield message
            if self.sent == count:
                return
        self._at_end = True

    def confirmed(self, number: int) -> None:
        """Note that the broker has message `number`."""
        self._watermark.confirmed(number)

    def close(self) -> list[str]:
        """Write the final record; returns a summary in lines."""
        if self.read or self._at_end:
            self._watermark.save(at_end=self._at_end)
        place = self._watermark.place
        end = "whole file done" if place.complete else f"continues at line {place.line}"
        why = f" ({self.report.skipped}; see `{self.report.path}`)" if self.skipped else ""
        account = f"customer rows: {self.read} read, {self.sent} sent, {self.skipped} skipped{why}"
        return [*self.report.close(), f"{account}; {end}"]

    def _message(self, header: Header, row: CsvRow) -> Message | None:
        if row.fields is None:
            return None
        fields, names, widths = row.fields, header.names, header.widths
        if why := _no_customer(header, fields):
            self.report.tell(row.line, why)
            return None
        if len(fields) not in widths:
            found = f"{len(fields)} fields for {widths[0]} columns"
            self.report.tell(row.line, f"too few fields: {found}")
        record = {
            name: None if text == NULL else text
            for name, text in zip(names, fields, strict=False)
            if name
        }
        key = next((text for name, text in record.items() if name.lower() == KEY), "") or ""
        return Message(key.strip(WHITE_SPACE).encode(), orjson.dumps(record))


def _no_customer(header: Header, fields: list[str]) -> str | None:
    """Why a row must not be sent; None if it may."""
    if is_blank(fields):
        return f"{BLANK_ROW}: this is the first row with separators only"
    begin = fields[0].strip(WHITE_SPACE).lower()
    if begin == header.again[0] and [t.strip(WHITE_SPACE).lower() for t in fields] == header.again:
        return "skipped, the header again"
    if begin == "sep=" and is_blank(fields[1:]):
        return "skipped, a line `sep=`"
    surplus = fields[header.widths[0] :]
    if surplus and (len(fields) not in header.widths or not is_blank(surplus)):
        found = f"{len(fields)} fields for {header.widths[0]} columns"
        return f"skipped, too many fields: {found}{ALL_ROWS_HINT if is_blank(surplus) else ''}"
    if len(fields) == 1 < header.widths[0] and any(
        d in fields[0] for d in DELIMITERS if d != header.delimiter
    ):
        return "skipped, another separator than the header's"
    return None
