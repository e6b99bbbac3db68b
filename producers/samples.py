"""Files of records, each record as the value of one Kafka message: `send`, `try` and `new` read it.

JSON Lines, a JSON array, JSON objects one after the other, CSV with a header, and Parquet, all but
Parquet also packed with gzip or from standard input. The content decides which it is, and the
ending of the name only where the content leaves it open. A file is never read as a whole.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

from producers.sample_bytes import SampleError, kind_of, name_of, opened
from producers.sample_csv import csv_records
from producers.sample_json import json_records

__all__ = ["SampleError", "sample_records"]


def sample_records(
    path: Path | str, standard_input: io.RawIOBase | None = None
) -> Iterator[tuple[str, bytes]]:
    """Yield each record's place (`line 7`, `record 7`, `row 7`) and the value of its message.

    JSON is passed on byte for byte, valid or not; the other formats become JSON objects.

    Args:
        path: The file, or `-` for standard input.
        standard_input: What stands for it; by default the process's own.

    Raises:
        SampleError: The file cannot be read, or a record cannot be found in it; says where.
    """
    with opened(path, standard_input) as (stream, head):
        name = name_of(path)
        kind = kind_of(name, head)
        if kind == "parquet":
            # Arrow takes a while to import.
            from producers.sample_parquet import parquet_records

            yield from parquet_records(stream, name)
        elif kind == "json":
            yield from json_records(stream, name)
        elif kind == "csv":
            yield from csv_records(stream, name)
