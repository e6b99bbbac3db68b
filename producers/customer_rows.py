"""A customer file as messages: each row one JSON object, or told to be skipped.

A row with too few fields lacks the last columns' keys. One with more fields than columns is
skipped, unless all that is too much is blank: nobody can say which comma was meant as text, and a
row put together wrongly could pass for a valid one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Final, TextIO

import orjson

from producers.csv_header import Header, read_header
from producers.csv_rows import Row, RowReader, lines
from producers.csv_source import CsvSource
from producers.customer_progress import Place, ProgressFile, Watermark
from producers.messages import Message
from schemas.contract import WHITE_SPACE

KEY: Final = "customer_id"


class Report:
    """What was odd, with line numbers: all of it in a file, a count of each kind to be printed."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.kinds: Counter[str] = Counter()
        self._file: TextIO | None = None

    def tell(self, line: int, what: str) -> None:
        """Note what is the matter with a line; never what is in it."""
        if self._file is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self.path.open("w", encoding="utf-8")
        self._file.write(f"line {line}: {what}\n")
        self.kinds[what.partition(":")[0]] += 1

    def close(self) -> list[str]:
        """Lines that sum it up."""
        if self._file is None:
            return []
        self._file.close()
        kinds = "; ".join(f"{what} ({count})" for what, count in sorted(self.kinds.items()))
        return [f"report: {kinds}. Line by line in `{self.path}`"]


class CustomerFile:
    """Reads a file from where it was left, and keeps the account of it."""

    def __init__(self, source: CsvSource, progress: ProgressFile, place: Place) -> None:
        self._source = source
        self.report = Report(progress.path.with_suffix(".report.txt"))
        self._watermark = Watermark(progress, place)
        self._start = place
        self._at_end = False
        self.read = self.sent = self.skipped = 0

    def messages(self, count: int) -> Iterator[Message]:
        """The rows from the place on; at most `count` messages, all for 0."""
        header = read_header(self._source, self.report.tell)
        fresh = not self._start.position
        position, line = (
            (header.position, header.line) if fresh else (self._start.position, self._start.line)
        )
        reader = RowReader(
            lines(self._source.pages(position), line),
            position=position,
            line=line,
            delimiter=header.delimiter,
            tell=self.report.tell,
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
        """The broker has the message of that number."""
        self._watermark.confirmed(number)

    def close(self) -> list[str]:
        """Write the last note; gives the account in words."""
        if self.read or self._at_end:
            self._watermark.save(at_end=self._at_end)
        place = self._watermark.place
        end = "whole file done" if place.complete else f"goes on at line {place.line}"
        account = f"rows read={self.read} sent={self.sent} skipped={self.skipped}; {end}"
        return [*self.report.close(), account]

    def _message(self, header: Header, row: Row) -> Message | None:
        if row.fields is None:
            return None
        names, surplus = header.names, row.fields[len(header.names) :]
        if any(text.strip(WHITE_SPACE) for text in surplus):
            found = f"{len(row.fields)} fields for {len(names)} columns"
            self.report.tell(row.line, f"skipped, too many fields: {found}")
            return None
        if len(row.fields) < len(names):
            found = f"{len(row.fields)} fields for {len(names)} columns"
            self.report.tell(row.line, f"too few fields: {found}")
        record = {n: text for n, text in zip(names, row.fields, strict=False) if n}
        key = next((text for name, text in record.items() if name.lower() == KEY), "")
        return Message(key.strip(WHITE_SPACE).encode(), orjson.dumps(record))
