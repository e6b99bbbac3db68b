"""Records of a CSV: each row is a JSON object of texts under the names of the header.

An empty cell is an absent field, as a CSV cannot say null. A column without a name is `column_3`.
"""

from __future__ import annotations

import codecs
import io
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import Final

import orjson

from producers.csv_header import SEP_LINE, is_blank
from producers.csv_rows import DELIMITERS, CsvRow, RowReader, lines
from producers.sample_bytes import PAGE_BYTES, SampleError, not_utf8
from schemas.contract import WHITE_SPACE

# Rows that show which separator the file has.
TRIED_ROWS: Final = 20
# What a row of data has and a name has not.
VALUE: Final = re.compile(r"[+-]?[0-9][0-9.,]*|[^@\s]+@[^@\s]+\.[a-z]+|\d{4}-\d\d-\d\d[T ].*", re.I)


@dataclass(frozen=True)
class _Dialect:
    delimiter: str
    start: int
    line: int


def csv_records(stream: io.BufferedReader, name: str, line: int = 1) -> Iterator[tuple[str, bytes]]:
    """Yield each row's place, `line 7`, and its JSON object.

    `line` is the number of the stream's first line.

    Raises:
        SampleError: No header, two columns of one name, a row that does not fit, another encoding.
    """
    pages = _decodable(stream, name, line)
    head = next(pages, b"")
    dialect = _dialect(head, line)
    rows = iter(_reader(chain([head[dialect.start :]], pages), dialect, name))
    header = next((row for row in rows if row.fields is None or not is_blank(row.fields)), None)
    if header is None:
        return
    names = _names(name, header)
    for row in rows:
        if row.fields is None or is_blank(row.fields):
            continue
        # Separators at the end of a row may stand for nothing.
        if any(cell.strip(WHITE_SPACE) for cell in row.fields[len(names) :]):
            raise SampleError(
                f"`{name}`, line {row.line}: the row has {len(row.fields)} fields and the header"
                f" {len(names)}. Quote a text that contains the separator, or complete the header."
            )
        pairs = zip(names, row.fields, strict=False)
        record = {each: cell for each, cell in pairs if cell.strip(WHITE_SPACE)}
        yield f"line {row.line}", orjson.dumps(record)


def _decodable(stream: io.BufferedReader, name: str, line: int) -> Iterator[bytes]:
    """Yield pages, each ending with a line, once they are seen to be UTF-8."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    # What is there at once, as the next row may be long in coming.
    while page := stream.read1(PAGE_BYTES):
        if not page.endswith(b"\n"):
            page += stream.readline(PAGE_BYTES)
        try:
            decoder.decode(page)
        except UnicodeDecodeError as error:
            line += page.count(b"\n", 0, error.start)
            raise not_utf8(name, f"has another encoding in line {line}") from None
        line += page.count(b"\n")
        yield page


def _dialect(head: bytes, line: int) -> _Dialect:
    """Choose the separator that gives the most columns in the most rows."""
    said = SEP_LINE.match(head)
    if said:
        delimiter = said["sep"].decode("latin-1").replace("\\t", "\t")
        return _Dialect(delimiter, said.end(), line + 1)

    def score(delimiter: str) -> tuple[int, int]:
        reader = _reader(iter([head]), _Dialect(delimiter, 0, 1), None)
        rows = [row.fields for row in islice(reader, TRIED_ROWS) if row.fields]
        width = len(rows[0]) if rows else 0
        return (sum(len(row) == width for row in rows), width) if width > 1 else (0, 0)

    return _Dialect(max(DELIMITERS, key=score), 0, line)


def _reader(pages: Iterator[bytes], dialect: _Dialect, name: str | None) -> RowReader:
    def tell(line: int, what: str) -> None:
        if name and what.startswith("skipped, "):
            raise SampleError(
                f"`{name}`, line {line}: cannot be read: {what.removeprefix('skipped, ')}."
                " Correct the row."
            )

    return RowReader(
        lines(pages, dialect.line), position=0, line=dialect.line, delimiter=dialect.delimiter,
        tell=tell,
    )  # fmt: skip


def _names(name: str, header: CsvRow) -> Sequence[str]:
    cells = [cell.strip(WHITE_SPACE) for cell in header.fields or ()]
    while cells and not cells[-1]:
        cells.pop()
    if sum(bool(VALUE.fullmatch(cell)) for cell in cells) * 2 >= len(cells):
        raise SampleError(
            f"`{name}` has no header: line {header.line} looks like a row of values. Put a line"
            " with the names of the columns before the rows."
        )
    names = [cell or f"column_{number}" for number, cell in enumerate(cells, 1)]
    if twice := sorted(f"`{each}`" for each, count in Counter(names).items() if count > 1):
        raise SampleError(
            f"`{name}`, line {header.line}: several columns have the name {', '.join(twice)}."
            " Rename all but one."
        )
    return names
