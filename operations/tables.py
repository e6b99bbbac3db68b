"""Tables on the terminal, as CSV or as JSON lines."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Any

from bson.datetime_ms import DatetimeMS
from rich.console import Console
from rich.table import Table
from rich.text import Text

from spark_jobs.sinks.csv_text import csv_lines

FORMATS = ("table", "csv", "json")
# Where the output is not a terminal there is no width to ask for.
WIDTH_OF_FILES = 160
UNBOUNDED = 100_000

Record = Mapping[str, Any]


def say(text: str) -> None:
    """Print a line at once, also where the output is not a terminal."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def console() -> Console:
    """The console of standard output; wide enough for tables in files and pipes."""
    return Console(width=None if sys.stdout.isatty() else WIDTH_OF_FILES, highlight=False)


def print_records(records: Iterable[Record], form: str, title: str = "") -> None:
    """Print records in one of `FORMATS`; columns in the order in which they first appear."""
    rows = [dict(record) for record in records]
    columns = list(dict.fromkeys(name for row in rows for name in row))
    if form == "json":
        for row in rows:
            sys.stdout.write(json.dumps(row, default=_plain, ensure_ascii=False) + "\n")
    elif form == "csv":
        cells = ([_cell_of_csv(row.get(name)) for name in columns] for row in rows)
        sys.stdout.writelines(csv_lines([columns, *cells]))
    else:
        print_table(title, columns, [[row.get(name) for name in columns] for row in rows])


def print_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Print a table; numbers to the right. Texts stand as they are, markup in them too.

    Where the terminal is too narrow for it, the blanks go first; a single row is then turned.
    """
    lines = [list(row) for row in rows]
    out = console()
    table = _table(columns, lines)
    if _is_wider(table, out):
        table = _table(columns, lines, padding=0)
        if len(lines) == 1 and _is_wider(table, out):
            table = _table(("field", "value"), list(zip(columns, lines[0], strict=True)))
    # Apart from the table, in whose width a long title would be broken.
    if title:
        out.print(Text(title, style="italic"))
    out.print(table)


def _is_wider(table: Table, out: Console) -> bool:
    unbounded = out.options.update(max_width=UNBOUNDED)
    return out.measure(table, options=unbounded).maximum > out.width


def _table(columns: Sequence[str], lines: Sequence[Sequence[Any]], padding: int = 1) -> Table:
    table = Table(padding=(0, padding))
    for position, name in enumerate(columns):
        numeric = bool(lines) and all(
            isinstance(line[position], int | float | None) for line in lines
        )
        table.add_column(Text(name), justify="right" if numeric else "left", overflow="fold")
    for line in lines:
        table.add_row(*(Text(_cell(value)) for value in line))
    return table


def _cell_of_csv(value: Any) -> str | None:
    return None if value is None else _cell(value)


def _cell(value: Any) -> str:
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


def _plain(value: Any) -> Any:
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, bytes):
        return f"<{len(value)} bytes>"
    # A time of MongoDB that no `datetime` can be.
    return f"{int(value)}" if isinstance(value, DatetimeMS) else str(value)
