"""Files of records, each record as the value of one Kafka message: `send`, `try` and `new` read it.

JSON Lines, a JSON array, JSON objects one after the other, CSV with a header, and Parquet, all but
Parquet also packed with gzip or from standard input. The content decides which it is, and the
ending of the name only where the content leaves it open. A file is never read as a whole.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from producers.sample_bytes import SampleError, kind_of, name_of, opened
from producers.sample_csv import csv_records
from producers.sample_json import json_records

__all__ = ["Records", "SampleError", "opened_records", "sample_records"]

Records = Iterator[tuple[str, bytes]]


def sample_records(path: Path | str, raw: io.RawIOBase | None = None) -> Records:
    """Yield each record's place (`line 7`, `record 7`, `row 7`) and the value of its message.

    JSON is passed on byte for byte, valid or not; the other formats become JSON objects.

    Args:
        path: The file, or `-` for standard input.
        raw: Its bytes, if it is open already.

    Raises:
        SampleError: The file cannot be read, or a record cannot be found in it; says where.
    """
    with opened_records(path, raw) as (_, records):
        yield from records


@contextmanager
def opened_records(
    path: Path | str, raw: io.RawIOBase | None = None
) -> Iterator[tuple[str, Records]]:
    """Give a file's kind (`json`, `csv`, `parquet` or `empty`) and its records; opens it once.

    Arguments and errors are those of `sample_records`.
    """
    with opened(path, raw) as (stream, head, line):
        name = name_of(path)
        kind = kind_of(name, head)
        yield kind, _records(stream, kind, name, line)


def _records(stream: io.BufferedReader, kind: str, name: str, line: int) -> Records:
    if kind == "parquet":
        # Arrow takes a while to import.
        from producers.sample_parquet import parquet_records

        yield from parquet_records(stream, name)
    elif kind == "json":
        yield from json_records(stream, name, line)
    elif kind == "csv":
        yield from csv_records(stream, name, line)
