"""Parquet, JSON and CSV: writes sets and snapshots so that all readers see the same values.

Timestamps: in Parquet UTC in microseconds; in JSON and CSV `2026-11-22T10:11:12.345Z`.
Nulls: in JSON the field is `null`; in CSV there is nothing between the commas, while empty text
    is `""`.
CSV: RFC 4180 with a header; a quote in a value is doubled, line breaks stay inside quotes. A list
    is a JSON array, but for reason codes, which hold no comma: they are joined by commas.
"""

from __future__ import annotations

import io
import json
import uuid
from collections.abc import Sequence
from typing import Any, Final

import pyarrow as pa
import pyarrow.csv
import pyarrow.dataset as ds
import pyarrow.json
import pyarrow.parquet as pq
from pyspark.sql import Column, DataFrame, DataFrameReader, DataFrameWriter
from pyspark.sql import functions as F
from pyspark.sql.pandas.types import to_arrow_schema, to_arrow_type
from pyspark.sql.types import ArrayType, DataType, DateType, StringType, StructField, StructType

from spark_jobs.sinks.files.csv_text import csv_lines

TIMESTAMP: Final = "yyyy-MM-dd'T'HH:mm:ss.SSSXXX"
JSON_TEXT: Final = {"timestampFormat": TIMESTAMP}
# The column that CSV holds as `missing_email,invalid_country`.
CODES: Final = "reasons"
COMMON: Final = {"mapreduce.fileoutputcommitter.marksuccessfuljobs": "false"}
# Measured: docs/decisions/007-files.md.
PARQUET_CODEC: Final = "zstd"
ROW_GROUP_BYTES: Final = 32 * 1024 * 1024
CSV_OPTIONS: Final = {"header": "true", "quote": '"', "escape": '"', "timestampFormat": TIMESTAMP}
WRITE_OPTIONS: Final[dict[str, dict[str, str]]] = {
    "parquet": {"compression": PARQUET_CODEC, "parquet.block.size": str(ROW_GROUP_BYTES)},
    "json": {**JSON_TEXT, "ignoreNullFields": "false", "compression": "none"},
    "csv": {
        **CSV_OPTIONS,
        "compression": "none",
        # Without these Spark trims values.
        "ignoreLeadingWhiteSpace": "false",
        "ignoreTrailingWhiteSpace": "false",
    },
}
READ_OPTIONS: Final[dict[str, dict[str, str]]] = {
    "parquet": {},
    "json": JSON_TEXT,
    "csv": {
        **CSV_OPTIONS,
        # Otherwise U+0000 before a quote would escape it.
        "charToEscapeQuoteEscaping": '"',
        "multiLine": "true",
        "mode": "FAILFAST",
        # A header must name the columns, in order.
        "enforceSchema": "false",
    },
}
# Arrow reads a file in blocks, each of which must hold a whole row.
LONGEST_ROW: Final = 64 * 1024 * 1024
ARROW_FORMATS: Final[dict[str, ds.FileFormat]] = {
    "parquet": ds.ParquetFileFormat(),
    "json": ds.JsonFileFormat(read_options=pyarrow.json.ReadOptions(block_size=LONGEST_ROW)),
    "csv": ds.CsvFileFormat(
        parse_options=pyarrow.csv.ParseOptions(newlines_in_values=True),
        convert_options=pyarrow.csv.ConvertOptions(
            null_values=[""], strings_can_be_null=True, quoted_strings_can_be_null=False
        ),
        read_options=pyarrow.csv.ReadOptions(block_size=LONGEST_ROW),
    ),
}
# A snapshot's Parquet file is padded to a multiple of this: Spark may list it, and open it after it
# was replaced; it finds the footer if the length is the same.
PADDED_BYTES: Final = 4096


def writer(rows: DataFrame, form: str) -> DataFrameWriter:
    """A writer for rows with the options of a format."""
    if form == "csv":
        rows = rows.select(*(_as_text(field) for field in rows.schema))
    return rows.write.format(form).options(**COMMON, **WRITE_OPTIONS[form])


def _as_text(field: StructField) -> Column:
    if not isinstance(field.dataType, ArrayType):
        return F.col(field.name)
    if field.name == CODES:
        return F.array_join(field.name, ",").alias(field.name)
    return F.to_json(field.name, JSON_TEXT).alias(field.name)


def reader(read: DataFrameReader, form: str, schema: StructType) -> DataFrameReader:
    """A reader for files of a format with these columns; CSV gives lists as text."""
    options = dict(READ_OPTIONS[form])
    if form == "csv":
        # Spark reads its null value as null even within quotes, so it is one that no file holds.
        options["nullValue"] = uuid.uuid4().hex
    # Brackets, braces and asterisks in a folder's name are literal.
    options["__globPaths__"] = "false"
    kept = StructType([StructField(f.name, _kept(f.dataType, form)) for f in schema])
    return read.format(form).schema(kept).options(**options)


def _kept(kind: DataType, form: str) -> DataType:
    """The type with which Spark reads a column: CSV keeps lists as text."""
    return StringType() if form == "csv" and isinstance(kind, ArrayType) else kind


def with_lists(rows: DataFrame, schema: StructType) -> DataFrame:
    """Rows that Spark read from CSV, with their lists as arrays again.

    Nulls: a list that is null, or a text that is no JSON array.
    """
    lists = [field for field in schema if isinstance(field.dataType, ArrayType)]
    return rows.withColumns({field.name: _list(field) for field in lists}) if lists else rows


def _list(field: StructField) -> Column:
    text = F.col(field.name)
    if field.name == CODES:
        empty = F.array().cast("array<string>")
        return F.when(text == "", empty).otherwise(F.split(text, ","))
    # What follows an array is not read, and would be lost unseen.
    parsed = F.from_json(text, field.dataType, {**JSON_TEXT, "mode": "FAILFAST"})  # type: ignore[arg-type]
    return F.when(text.endswith("]"), parsed)


def arrow_schema(schema: StructType, form: str) -> pa.Schema:
    """The columns with the types that Arrow can read from a format; `as_stored` gives the rest."""
    return pa.schema([(f.name, _readable(f.dataType, form)) for f in schema])


def _readable(kind: DataType, form: str) -> pa.DataType:
    kind = _kept(kind, form)
    if form == "json" and isinstance(kind, ArrayType):
        return pa.list_(_readable(kind.elementType, form))
    # Of dates in JSON, Arrow reads only numbers.
    return pa.string() if form == "json" and isinstance(kind, DateType) else to_arrow_type(kind)


def as_stored(table: pa.Table, schema: StructType, form: str) -> pa.Table:
    """Rows that Arrow read from a format, with the columns' own types.

    Raises:
        pa.ArrowException: a text is not what the platform writes.
    """
    for place, field in enumerate(schema):
        if form == "csv" and isinstance(field.dataType, ArrayType) and len(table):
            listed = _lists(table[field.name].to_pylist(), field)
            table = table.set_column(place, field.name, listed)
    return table.cast(to_arrow_schema(schema))


def _lists(texts: Sequence[str | None], field: StructField) -> pa.Array | pa.ChunkedArray:
    if field.name == CODES:
        return pa.array([t if t is None else t.split(",") if t else [] for t in texts])
    lines = "".join(f'{{"list":{"null" if text is None else text}}}\n' for text in texts)
    kind = pa.schema([("list", _readable(field.dataType, "json"))])
    return pyarrow.json.read_json(
        io.BytesIO(lines.encode()),
        pyarrow.json.ReadOptions(block_size=LONGEST_ROW),
        pyarrow.json.ParseOptions(explicit_schema=kind),
    )["list"]


def small_file(columns: Sequence[str], rows: Sequence[dict[str, Any]], form: str) -> bytes:
    """A snapshot's whole file, with text and integers in these columns."""
    if form == "json":
        lines = [json.dumps({c: row[c] for c in columns}, ensure_ascii=False) for row in rows]
        return "".join(f"{line}\n" for line in lines).encode()
    if form == "csv":
        return "".join(csv_lines([columns, *([row[c] for c in columns] for row in rows)])).encode()
    return _small_parquet(columns, rows)


def _small_parquet(columns: Sequence[str], rows: Sequence[dict[str, Any]]) -> bytes:
    table = pa.Table.from_pylist([{c: row[c] for c in columns} for row in rows])

    def content(padding: int) -> bytes:
        out = pa.BufferOutputStream()
        with pq.ParquetWriter(out, table.schema, compression="NONE") as file:
            file.write_table(table)
            file.add_key_value_metadata({"padding": " " * padding})
        return bytes(out.getvalue())

    bare = len(content(1000))
    return content(1000 + (-bare) % PADDED_BYTES)
