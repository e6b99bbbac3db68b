"""Records of a Parquet file: each row is a JSON object, null and NaN are absent fields.

integers, floats, booleans, texts   themselves
decimal                             its digits as text, so that none is lost
timestamp                           `2026-11-22T10:11:12.345678Z`, one without zone taken as UTC
date, time                          `2026-11-22`, `10:11:12`
list, struct                        array, object
dictionary                          its values
binary, map, duration, union        refused
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any, BinaryIO, Final

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from producers.sample_bytes import SampleError

ROWS_AT_ONCE: Final = 1_000


def parquet_records(stream: BinaryIO, name: str) -> Iterator[tuple[str, bytes]]:
    """Yield each row's place, `row 7`, and its JSON object.

    Raises:
        SampleError: The file is damaged, cannot be read out of order, or has a type without JSON.
    """
    if not stream.seekable():
        raise SampleError(
            f"`{name}` is Parquet, which is not read from its beginning to its end. Save it as a"
            " file, and give that."
        )
    number = 0
    try:
        file = pq.ParquetFile(stream)
        schema = _plain_schema(file.schema_arrow, name)
        for batch in file.iter_batches(ROWS_AT_ONCE):
            for row in pa.Table.from_batches([batch]).cast(schema, safe=False).to_pylist():
                number += 1
                record = {key: _plain(value) for key, value in row.items()}
                filled = {key: value for key, value in record.items() if value is not None}
                yield f"row {number}", orjson.dumps(filled)
    except (pa.ArrowException, OSError, OverflowError, ValueError) as error:
        cause = str(error).splitlines()[:1] or [type(error).__name__]
        raise SampleError(
            f"Cannot read `{name}` after row {number}: {cause[0][:200].rstrip('.')}. Write the"
            " Parquet file again."
        ) from error


def _plain_schema(schema: pa.Schema, name: str) -> pa.Schema:
    faults: list[str] = []
    fields = [field.with_type(_plain_type(field.type, field.name, faults)) for field in schema]
    if twice := sorted({field.name for field in fields if schema.names.count(field.name) > 1}):
        faults += [f"`{each}`: several columns have this name" for each in twice]
    if faults:
        lines = "\n".join(f"  - {fault}" for fault in faults)
        raise SampleError(
            f"`{name}` has columns that cannot be JSON:\n{lines}\nWrite the file without them, or"
            " with them as text (binary as Base64 or hexadecimal)."
        )
    return pa.schema(fields)


def _plain_type(kind: pa.DataType, name: str, faults: list[str]) -> pa.DataType:
    """The type whose values Python and JSON have; adds to `faults` if there is none."""
    if pa.types.is_dictionary(kind):
        return _plain_type(kind.value_type, name, faults)
    if pa.types.is_timestamp(kind):
        return pa.timestamp("us", "UTC" if kind.tz else None)
    if pa.types.is_time(kind):
        return pa.time64("us")
    if pa.types.is_date(kind):
        return pa.date32()
    if pa.types.is_struct(kind):
        fields = [kind.field(number) for number in range(kind.num_fields)]
        return pa.struct(
            [f.with_type(_plain_type(f.type, f"{name}.{f.name}", faults)) for f in fields]
        )
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        return pa.list_(_plain_type(kind.value_type, name, faults))
    is_known = (
        pa.types.is_integer(kind)
        or pa.types.is_floating(kind)
        or pa.types.is_boolean(kind)
        or pa.types.is_string(kind)
        or pa.types.is_large_string(kind)
        or pa.types.is_decimal(kind)
        or pa.types.is_null(kind)
    )
    if not is_known:
        faults.append(f"`{name}`: {str(kind).partition('<')[0]}")
    return kind


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        plain = {key: _plain(each) for key, each in value.items()}
        return {key: each for key, each in plain.items() if each is not None}
    if isinstance(value, list):
        return [_plain(each) for each in value]
    if isinstance(value, float):
        # Infinity is no number of JSON: as text, it is judged as the wrong type that it is.
        return value if math.isfinite(value) else None if math.isnan(value) else str(value)
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, datetime):
        return (
            value.astimezone(UTC).isoformat().replace("+00:00", "Z")
            if value.tzinfo
            else (f"{value.isoformat()}Z")
        )
    return value.isoformat() if isinstance(value, date | time) else value
