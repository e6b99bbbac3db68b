"""Parquet, JSON and CSV: writes sets and snapshots so that all readers see the same values.

Timestamps: in Parquet UTC in microseconds; in JSON and CSV `2026-11-22T10:11:12.345Z`.
Nulls: in JSON the field is `null`; in CSV there is nothing between the commas, while empty text
    is `""`.
CSV: RFC 4180 with a header; a quote in a value is doubled, line breaks stay inside quotes; lists
    of codes, which hold no comma, are joined by commas.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from typing import Any, Final

import pyarrow as pa
import pyarrow.csv
import pyarrow.dataset as ds
import pyarrow.json
import pyarrow.parquet as pq
from pyspark.sql import DataFrame, DataFrameReader, DataFrameWriter
from pyspark.sql import functions as F
from pyspark.sql.types import ArrayType, StringType, StructField, StructType

from spark_jobs.sinks.files.csv_text import csv_lines

TIMESTAMP: Final = "yyyy-MM-dd'T'HH:mm:ss.SSSXXX"
COMMON: Final = {"mapreduce.fileoutputcommitter.marksuccessfuljobs": "false"}
# Measured: docs/decisions/007-files.md.
PARQUET_CODEC: Final = "zstd"
ROW_GROUP_BYTES: Final = 32 * 1024 * 1024
CSV_OPTIONS: Final = {"header": "true", "quote": '"', "escape": '"', "timestampFormat": TIMESTAMP}
WRITE_OPTIONS: Final[dict[str, dict[str, str]]] = {
    "parquet": {"compression": PARQUET_CODEC, "parquet.block.size": str(ROW_GROUP_BYTES)},
    "json": {"timestampFormat": TIMESTAMP, "ignoreNullFields": "false", "compression": "none"},
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
    "json": {"timestampFormat": TIMESTAMP},
    "csv": {
        **CSV_OPTIONS,
        # Otherwise U+0000 before a quote would escape it.
        "charToEscapeQuoteEscaping": '"',
        "multiLine": "true",
        "mode": "FAILFAST",
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
        rows = rows.select(*(_flat(field) for field in rows.schema))
    return rows.write.format(form).options(**COMMON, **WRITE_OPTIONS[form])


def _flat(field: StructField) -> Any:
    if isinstance(field.dataType, ArrayType):
        return F.array_join(field.name, ",").alias(field.name)
    return F.col(field.name)


def reader(read: DataFrameReader, form: str, schema: StructType) -> DataFrameReader:
    """A reader for files of a format with these columns; CSV gives lists as text."""
    options = dict(READ_OPTIONS[form])
    if form == "csv":
        # Spark reads its null value as null even within quotes, so it is one that no file holds.
        options["nullValue"] = uuid.uuid4().hex
    # Brackets, braces and asterisks in a folder's name are literal.
    options["__globPaths__"] = "false"
    return read.format(form).schema(as_kept(schema, form)).options(**options)


def as_kept(schema: StructType, form: str) -> StructType:
    """A set's columns in a format: CSV keeps lists as text."""
    if form != "csv":
        return schema
    return StructType(
        [
            StructField(f.name, StringType()) if isinstance(f.dataType, ArrayType) else f
            for f in schema
        ]
    )


def unflattened(rows: DataFrame, schema: StructType) -> DataFrame:
    """Rows read from CSV, with their lists as arrays again."""
    empty = F.array().cast("array<string>")
    columns = {
        field.name: F.when(F.col(field.name) == "", empty).otherwise(F.split(field.name, ","))
        for field in schema
        if isinstance(field.dataType, ArrayType)
    }
    return rows.withColumns(columns) if columns else rows


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
