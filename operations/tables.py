"""Tables on the terminal that fit its width, the same vertically, as CSV or as JSON lines."""

from __future__ import annotations

import json
import re
import shlex
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any

from bson.datetime_ms import DatetimeMS
from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.table import Table
from rich.text import Text

from errors import MillraceError
from runtime import remedies
from runtime.output import in_one_line, plain
from spark_jobs.sinks.files.csv_text import csv_lines

FORMATS = ("table", "vertical", "csv", "json")
ALL_COLUMNS = "all"
# Files and pipes have no width of their own.
WIDTH_OF_FILES = 160
# A table's width is that of its cells plus a line per column, one at the end, and padding.
LINES, PADDING = 1, 2
# Text wrapped into a narrower column is unreadable.
NARROWEST_TEXT = 20
# Columns that few people look for, left out first: lineage, key ids, update times.
RARELY_WANTED = re.compile(r"kafka_|hash_key_id$|batch_id$|updated_at$")
UUID = re.compile(
    r"([0-9a-f]{8})-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\Z", re.IGNORECASE
)
DIGEST = re.compile(r"([0-9a-f]{8})[0-9a-f]{56}\Z")
# What spreadsheets take for a formula if a cell begins with it, in full width too.
FORMULA_SIGNS = tuple("=+-@\t\r\n＝＋－＠")

Record = Mapping[str, Any]


def say(text: str) -> None:
    """Print a line and flush, so that pipes get it at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def console() -> Console:
    """The console of standard output; wide enough for tables in files and pipes."""
    width = None if sys.stdout.isatty() else WIDTH_OF_FILES
    return Console(file=plain(sys.stdout), width=width, highlight=False)


def print_csv(rows: Iterable[Iterable[Any]]) -> None:
    """Print rows as CSV: whole in a file or pipe, with controls as escapes on a terminal."""
    output = sys.stdout if sys.stdout.isatty() else plain(sys.stdout)
    output.writelines(csv_lines(rows))


def print_records(
    records: Iterable[Record],
    form: str,
    title: str = "",
    columns: Sequence[str] = (),
    *,
    whole: bool = False,
    excel_safe: bool = False,
) -> None:
    """Print records in one of `FORMATS`; columns in the order in which they first appear.

    A table that is wider than the terminal shows the columns that fit and names the others. The
    given `columns` (or `all`) are always shown, vertically if they do not fit; so are all columns
    of a `whole` table, but there without those that a record lacks. With `excel_safe`, texts in CSV
    that spreadsheets take for formulas begin with `'`.

    Raises:
        MillraceError: `columns` names one that no record has.
    """
    rows = [dict(record) for record in records]
    names = list(dict.fromkeys(name for row in rows for name in row))
    shown = _chosen(columns, names) if rows else names
    lines: list[list[Any]] = [[row.get(name) for name in shown] for row in rows]
    if form == "json":
        for row in rows:
            kept = {name: row[name] for name in shown if name in row}
            sys.stdout.write(json.dumps(kept, default=_plain, ensure_ascii=False) + "\n")
    elif form == "csv":
        print_csv([_cell_of_csv(value, excel_safe) for value in line] for line in [shown, *lines])
    elif form == "vertical":
        _print_vertically(title, shown, lines)
    elif columns or _fits(shown, [[_cell(value) for value in line] for line in lines]):
        print_table(title, shown, lines)
    elif whole:
        _print_vertically(title, shown, lines, sparse=True)
    else:
        _print_what_fits(title, shown, lines)


def print_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Print a table with numbers right-aligned; text is printed as it is, including markup.

    No word is broken: a wide table is printed without padding, or else vertically.
    """
    columns, values = [*map(_cell, columns)], [list(row) for row in rows]
    cells = [[_cell(value) for value in line] for line in values]
    for padding in (PADDING, 0):
        if widths := _widths_that_fit(columns, cells, padding):
            break
    else:
        _print_vertically(title, columns, values)
        return
    table = Table(padding=(0, padding // 2))
    for position, name in enumerate(columns):
        of_column = [line[position] for line in values]
        numeric = bool(values) and all(isinstance(each, int | float | None) for each in of_column)
        table.add_column(
            Text(name),
            justify="right" if numeric else "left",
            overflow="fold",
            width=widths[position],
        )
    for line in cells:
        table.add_row(*map(Text, line))
    _print_title(title)
    console().print(table)


def _chosen(asked: Sequence[str], names: Sequence[str]) -> list[str]:
    if not asked or list(asked) == [ALL_COLUMNS]:
        return list(names)
    for name in asked:
        if name not in names:
            raise MillraceError(
                f"COLUMNS=: there is no column `{name}`.{remedies.nearest(name, names)}"
                f" There are: {', '.join(names)};"
                f" `COLUMNS={ALL_COLUMNS}` shows all of them."
            )
    return list(asked)


def _widths(columns: Sequence[str], cells: Sequence[Sequence[str]]) -> list[int]:
    return [
        max(cell_len(line) for text in (name, *of_column) for line in text.split("\n"))
        for name, *of_column in zip(columns, *cells, strict=True)
    ]


def _needed(widths: Sequence[int], padding: int) -> int:
    return sum(widths) + len(widths) * (LINES + padding) + LINES


def _fits(columns: Sequence[str], cells: Sequence[Sequence[str]]) -> bool:
    return _needed(_widths(columns, cells), PADDING) <= console().width


def _widths_that_fit(
    columns: Sequence[str], cells: Sequence[Sequence[str]], padding: int
) -> list[int] | None:
    """The width of each column, with text wrapped between words, never into a narrow column.

    None if that is wider than the terminal.
    """

    def narrowest(name: str, texts: Sequence[str]) -> int:
        words = [word for text in (name, *texts) for word in text.split()]
        longest = max(map(cell_len, words), default=0)
        text = max(map(cell_len, texts), default=0)
        return max(longest, min(text, NARROWEST_TEXT))

    widths = [narrowest(name, texts) for name, *texts in zip(columns, *cells, strict=True)]
    spare = console().width - _needed(widths, padding)
    if spare < 0:
        return None
    for position, wished in enumerate(_widths(columns, cells)):
        more = min(spare, wished - widths[position])
        widths[position] += more
        spare -= more
    return widths


def _print_what_fits(title: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Print the columns that fit, ids and times shortened, and name the others.

    The first column that does not fit is cut to the space that is left, if that is readable.
    """
    cells = [[_short(value) for value in line] for line in rows]
    widths = dict(zip(columns, _widths(columns, cells), strict=True))
    wanted = sorted(columns, key=lambda name: bool(RARELY_WANTED.match(name)))
    kept: list[str] = []
    for name in wanted:
        if _needed([widths[each] for each in (*kept, name)], PADDING) <= console().width:
            kept.append(name)
    left_out = [name for name in columns if name not in kept]
    space = console().width - _needed([widths[each] for each in kept], PADDING) - LINES - PADDING
    main = next((name for name in left_out if not RARELY_WANTED.match(name)), None)
    if main and kept and space >= max(NARROWEST_TEXT, cell_len(main)):
        kept.append(main)
        for line in cells:
            line[columns.index(main)] = _cut(line[columns.index(main)], space)
    if columns[0] not in kept:
        _print_vertically(title, columns, rows)
        return
    chosen = [position for position, name in enumerate(columns) if name in kept]
    print_table(title, [columns[p] for p in chosen], [[line[p] for p in chosen] for line in cells])
    hint = (
        f"Not shown in full: {', '.join(left_out)}. FORMAT=vertical or"
        f" COLUMNS={shlex.quote(left_out[0])} shows more."
    )
    console().print(Text(_cell(hint)))


def _cut(text: str, width: int) -> str:
    return text if cell_len(text) <= width else f"{set_cell_size(text, width - 1).rstrip()}…"


def _print_vertically(
    title: str, columns: Sequence[str], rows: Sequence[Sequence[Any]], *, sparse: bool = False
) -> None:
    """Print a heading for each record and a line for each value, or each that is there."""
    _print_title(title)
    widest = max(map(cell_len, columns), default=0)
    target = console()
    for number, row in enumerate(rows, start=1):
        head = f"─[ {number} ]"
        target.print(Text(head + "─" * max(0, min(target.width, 80) - cell_len(head))))
        grid = Table.grid(padding=(0, 2))
        grid.add_column(min_width=widest, no_wrap=True)
        grid.add_column(overflow="fold")
        for name, value in zip(columns, row, strict=True):
            if value is not None or not sparse:
                grid.add_row(Text(_cell(name)), Text(_cell(value)))
        target.print(grid)


def _print_title(title: str) -> None:
    # Not as part of the table, which would break a title that is wider.
    if title:
        console().print(Text(_cell(title), style="italic"))


def _cell_of_csv(value: Any, excel_safe: bool) -> str | None:
    if excel_safe and isinstance(value, str) and value.startswith(FORMULA_SIGNS):
        return f"'{value}"
    if isinstance(value, float):
        return repr(value)
    return None if value is None else _whole(value)


def _cell(value: Any) -> str:
    """A value for a table: controls and line ends are escapes."""
    return in_one_line(_whole(value))


def _whole(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool | str):
        return str(value)
    if isinstance(value, int):
        return f"{value}"
    if isinstance(value, float):
        return f"{value:.2f}"
    if isinstance(value, bytes):
        return f"<{len(value)} bytes>"
    if isinstance(value, DatetimeMS):
        return f"{int(value)}"
    if isinstance(value, datetime):
        return value.isoformat(sep=" ", timespec="milliseconds")
    if isinstance(value, Mapping | list | tuple):
        return json.dumps(value, default=_plain, ensure_ascii=False)
    return str(value)


def _short(value: Any) -> str:
    """A cell, with times to the second and only the first digits of UUIDs and digests."""
    if isinstance(value, datetime):
        # Times without a zone are UTC.
        moment = value if value.tzinfo is None else value.astimezone(UTC)
        return moment.strftime("%Y-%m-%d %H:%M:%SZ")
    text = _cell(value)
    found = UUID.match(text) or DIGEST.match(text)
    return f"{found[1]}…" if found else text


def _plain(value: Any) -> Any:
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, bytes):
        return f"<{len(value)} bytes>"
    # MongoDB can hold times beyond `datetime`.
    return f"{int(value)}" if isinstance(value, DatetimeMS) else str(value)
