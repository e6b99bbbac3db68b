"""The header of a customer file: its separator, its columns, and that their names differ."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from producers.csv_rows import DELIMITERS, CsvRow, RowReader, Tell, lines
from producers.csv_source import CsvSource, SourceError
from schemas.contract import WHITE_SPACE, load_contract

# Blank: white space, the end mark of DOS, the zero bytes that a crash leaves in a file, separators.
BLANK: Final = WHITE_SPACE + "\x1a\0" + "".join(DELIMITERS)
# Excel's first line, also quoted or padded as some programs do; `\t` may stand for a tab.
SEP_LINE: Final = re.compile(
    rb'\A(?:\xef\xbb\xbf)*"?sep=(?P<sep>\\t|\t|[^\w\s"\'\\\0\x80-\xff])"?'
    rb"(?P=sep)* *(?:\r\n?|\n|\Z)",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Header:
    """Column names as in the file, trimmed, and the position at which the rows begin."""

    names: tuple[str, ...]
    delimiter: str
    position: int
    line: int

    @cached_property
    def again(self) -> list[str]:
        """The header in lower case, to recognize it when it is repeated as a row."""
        return [name.lower() for name in self.names]

    @cached_property
    def widths(self) -> range:
        """How many fields a row may have; trailing columns without a name may be missing."""
        named = max(number for number, name in enumerate(self.names, 1) if name)
        return range(named, len(self.names) + 1)


def is_blank(fields: Sequence[str]) -> bool:
    """Whether a row has nothing but separators and quotes."""
    return not any(field.strip(BLANK) for field in fields)


def read_header(source: CsvSource, tell: Tell) -> Header:
    """Read the first row; its separator is what `sep=` says, else the one that finds columns.

    Raises:
        SourceError: the file is empty, has no header, a header that several separators fit, or two
            columns with the same name.
    """
    first_page = next(source.pages(0), b"")
    sep_line = SEP_LINE.match(first_page)
    start, line, said = 0, 1, None
    if sep_line:
        start, line = sep_line.end(), 2
        said = sep_line["sep"].decode("latin-1").replace("\\t", "\t")

    def first_row(delimiter: str) -> CsvRow | None:
        reader = RowReader(
            lines([first_page[start:]], line),
            position=start, line=line, delimiter=delimiter, tell=discard,
        )  # fmt: skip
        return next((row for row in reader if row.fields is None or not is_blank(row.fields)), None)

    rows = {d: row for d in (*DELIMITERS, *(said or ())) if (row := first_row(d))}
    if not rows:
        raise SourceError(f"`{source.name}` is empty: it has neither a header nor rows.")
    delimiter = _delimiter(source.name, rows, said)
    row = rows[delimiter]
    names = tuple(name.strip(WHITE_SPACE) for name in row.fields or ())
    _refuse_same_names(source, row.line, names)
    for name in (n for n in _known() if n not in {x.lower() for x in names}):
        tell(row.line, f"no column `{name}`")
    for number, name in enumerate(names, 1):
        if not name:
            tell(row.line, f"column {number} has no name and is not sent")
    return Header(names, delimiter, row.next_position, row.next_line)


def discard(line: int, what: str) -> None:
    """Report nothing, where the same rows are reported at another time."""


def _known() -> list[str]:
    return [field.name for field in load_contract("customer").fields]


def _delimiter(name: str, rows: dict[str, CsvRow], said: str | None) -> str:
    """The header's separator, chosen from the rows that each separator gave."""
    line = next(iter(rows.values())).line
    fields = {d: row.fields for d, row in rows.items() if row.fields}
    finds = {d for d, names in fields.items() if {*map(_plain, names)} & {*_known()}}
    # A header with one column is the same with any separator.
    able = sorted(d for d in finds if len(fields[d]) > 1) or sorted(finds & {said or ","})
    if said and said not in able and able:
        raise SourceError(
            f"The line `sep=` of `{name}` says that {_shown(said)} separates fields, but the header"
            f" is separated by {_shown(*able)}. Correct that line or remove it."
        )
    if len(able) > 1 and said is None:
        raise SourceError(
            f"Line {line} of `{name}` has known columns whether it is separated by"
            f" {_shown(*able)}. Put a line `sep=` with the right separator before it."
        )
    if not able:
        why = "names none of the" if fields else "is too long, or has an open quote, and names no"
        raise SourceError(
            f"`{name}` has no header: line {line} {why} columns {', '.join(_known())}. Put a line"
            f" with their names before the rows, separated by {_shown(*DELIMITERS)}, or by the"
            " separator in a first line `sep=`."
        )
    return said or able[0]


def _plain(name: str) -> str:
    return name.strip(WHITE_SPACE).lower()


def _shown(*delimiters: str) -> str:
    shown = [{"\t": "a tab"}.get(delimiter, f"`{delimiter}`") for delimiter in delimiters]
    return " or ".join(shown)


def _refuse_same_names(source: CsvSource, line: int, names: tuple[str, ...]) -> None:
    lower = [name.lower() for name in names]
    twice = sorted({name for name in lower if name and lower.count(name) > 1})
    if twice:
        shared = "; ".join(
            f"`{name}` in columns {', '.join(str(i) for i, n in enumerate(lower, 1) if n == name)}"
            for name in twice
        )
        raise SourceError(
            f"`{source.name}`, line {line}, has several columns with the same name: {shared}."
            " It is unclear which is meant: rename or remove all but one."
        )
