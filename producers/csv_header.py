"""The header of a customer file: which columns there are, and whether they can be told apart."""

from __future__ import annotations

from dataclasses import dataclass

from producers.csv_rows import DELIMITERS, Row, RowReader, Tell, lines
from producers.csv_source import CsvSource, SourceError
from schemas.contract import WHITE_SPACE, load_contract


@dataclass(frozen=True)
class Header:
    """Column names as the file has them, trimmed, and where the rows begin."""

    names: tuple[str, ...]
    delimiter: str
    position: int
    line: int


def read_header(source: CsvSource, tell: Tell) -> Header:
    """Read the first row; the delimiter is the one that finds most of the contract's columns.

    Raises:
        SourceError: the file is empty, has no header, or two columns of one name.
    """
    known = [field.name for field in load_contract("customer").fields]

    first_page = next(source.pages(0), b"")

    def first_row(delimiter: str) -> Row | None:
        content = lines([first_page], 1)
        reader = RowReader(content, position=0, line=1, delimiter=delimiter, tell=_to_nobody)
        return next(iter(reader), None)

    rows = {delimiter: first_row(delimiter) for delimiter in DELIMITERS}
    if not any(rows.values()):
        raise SourceError(f"`{source.name}` is empty: it has neither a header nor rows.")
    found = {d: _known(row, known) for d, row in rows.items()}
    delimiter = max(found, key=lambda d: found[d])
    row = rows[delimiter]
    if row is None or row.fields is None or not found[delimiter]:
        raise SourceError(
            f"`{source.name}` has no header: line {row.line if row else 1} names none of the"
            f" columns {', '.join(known)}. Put a line with their names before the rows."
        )
    names = tuple(name.strip(WHITE_SPACE) for name in row.fields)
    _refuse_same_names(source, row.line, names)
    for name in (n for n in known if n not in {x.lower() for x in names}):
        tell(row.line, f"no column `{name}`")
    for number, name in enumerate(names, 1):
        if not name:
            tell(row.line, f"column {number} has no name and is not sent")
    return Header(names, delimiter, row.next_position, row.next_line)


def _to_nobody(line: int, what: str) -> None:
    """The header is read once for each delimiter: what is said of it is said later."""


def _known(row: Row | None, known: list[str]) -> int:
    names = row.fields if row and row.fields else []
    return len({name.strip(WHITE_SPACE).lower() for name in names} & {*known})


def _refuse_same_names(source: CsvSource, line: int, names: tuple[str, ...]) -> None:
    lower = [name.lower() for name in names]
    twice = sorted({name for name in lower if name and lower.count(name) > 1})
    if twice:
        told = "; ".join(
            f"`{name}` in columns {', '.join(str(i) for i, n in enumerate(lower, 1) if n == name)}"
            for name in twice
        )
        raise SourceError(
            f"`{source.name}`, line {line}, has several columns of one name: {told}."
            " Nobody can tell which is meant: rename or remove all but one."
        )
