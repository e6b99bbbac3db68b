"""Files of a set in which each row gets another value in the column that its `name` says."""

from __future__ import annotations

import csv
import json
import re
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from spark_jobs.sinks.files.csv_text import csv_lines

# Column -> its value, and its text in a file.
Tampered = Mapping[str, tuple[Any, str]]
# How `make verify` names a file at the end of a line.
NAMED_FILE: Final = re.compile(r" \(`[^`]*\.(?:parquet|json|csv)`\)$")


def in_parquet(path: Path, tampered: Tampered) -> None:
    table = pq.read_table(path, partitioning=None)
    rows = table.to_pylist()
    for row in rows:
        value, _ = tampered[row["name"]]
        is_list = isinstance(value, list)
        texts = [str(v) if isinstance(v, uuid.UUID) else v for v in (value if is_list else [value])]
        row[row["name"]] = texts if is_list else texts[0]
    pq.write_table(pa.Table.from_pylist(rows, schema=table.schema), path)


def in_json(path: Path, tampered: Tampered) -> None:
    lines = []
    for line in path.read_text(encoding="utf-8").splitlines():
        column = json.loads(line)["name"]
        start = line.index(f'"{column}":') + len(f'"{column}":')
        _, end = json.JSONDecoder().raw_decode(line, start)
        lines.append(f"{line[:start]}{tampered[column][1]}{line[end:]}\n")
    path.write_text("".join(lines), encoding="utf-8")


def in_csv(path: Path, tampered: Tampered) -> None:
    rows = read_csv(path)
    for row in rows:
        value, text = tampered[row["name"]]
        as_text = text if isinstance(value, list) or not text.startswith('"') else text[1:-1]
        row[row["name"]] = None if value is None else as_text
    write_csv(path, rows)


def read_csv(path: Path) -> list[dict[str, Any]]:
    """The rows of a file, each value as text, or null."""
    # Python's reader knows no null; Arrow's does.
    texts = pyarrow.csv.ConvertOptions(
        column_types=dict.fromkeys(_columns(path), pa.string()),
        null_values=[""],
        strings_can_be_null=True,
        quoted_strings_can_be_null=False,
    )
    lines = pyarrow.csv.ParseOptions(newlines_in_values=True)
    return pyarrow.csv.read_csv(path, parse_options=lines, convert_options=texts).to_pylist()


def write_csv(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Replace a file's rows."""
    columns = _columns(path)
    lines = csv_lines([columns, *([row[name] for name in columns] for row in rows)])
    path.write_text("".join(lines), encoding="utf-8")


def _columns(path: Path) -> list[str]:
    with path.open(newline="", encoding="utf-8") as file:
        return next(csv.reader(file))
