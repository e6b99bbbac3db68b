"""Files that are no CSV, or a damaged one: refused by what they are."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import random
import tarfile
import zipfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from producers import csv_text
from producers.csv_rows import LONGEST_ROW_BYTES
from producers.csv_source import SourceError
from producers.csv_text import open_text
from producers.customer_progress import ProgressFile
from producers.customer_rows import CustomerFile
from settings import Settings
from tests.support.csv_files import BOM, HEADER, PLAIN, Send, row


def xlsx() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("[Content_Types].xml", "<Types/>")
        archive.writestr("xl/workbook.xml", "<workbook/>")
    return file.getvalue()


def zip_of_csv() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("customers.csv", PLAIN)
    return file.getvalue()


def tar_gz() -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as archive:
        entry = tarfile.TarInfo("customers.csv")
        entry.size = len(PLAIN.encode())
        archive.addfile(entry, io.BytesIO(PLAIN.encode()))
    return file.getvalue()


def parquet() -> bytes:
    file = io.BytesIO()
    pq.write_table(pa.table({"customer_id": ["1"]}), file)
    return file.getvalue()


def arrow() -> bytes:
    file = io.BytesIO()
    table = pa.table({"customer_id": ["1"]})
    with pa.ipc.new_file(file, table.schema) as writer:
        writer.write_table(table)
    return file.getvalue()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (xlsx(), r"is an Excel workbook \(\.xlsx\), but a CSV is expected\. Convert it to CSV"),
        (zip_of_csv(), "is a ZIP archive"),
        (bytes.fromhex("d0cf11e0a1b11ae1") + bytes(504), r"is an old Excel workbook \(\.xls\)"),
        (tar_gz(), "holds in its gzip data a tar archive"),
        (gzip.compress(gzip.compress(b"x")), "holds in its gzip data a gzip file inside another"),
        (bz2.compress(PLAIN.encode()), "is a bzip2 file"),
        (lzma.compress(PLAIN.encode()), "is an xz file"),
        (bytes.fromhex("28b52ffd") + bytes(20), "is a Zstandard file"),
        (parquet(), "is a Parquet file"),
        (arrow(), "is an Arrow or Feather file"),
        (b"Obj\x01\x04\x16avro.schema", "is an Avro file"),
        (b"SQLite format 3\0\x10", "is an SQLite database"),
        (b"%PDF-1.7\n", "is a PDF document"),
        (PLAIN.encode("utf-16-le"), "is UTF-16 text without a byte order mark"),
        (PLAIN.encode("utf-16-be"), "is UTF-16 text without a byte order mark"),
        (PLAIN.encode("utf-32-le"), "is UTF-32 text without a byte order mark"),
        (b"\n<!DOCTYPE html>\n<html><body>Log in", "is an HTML page"),
        ((BOM + "<html><table>").encode("utf-16-le"), "is an HTML page"),
        (b'\xef\xbb\xbf<?xml version="1.0"?><Workbook>', "is an XML document"),
        (b'[{"customer_id": "1"}]', "is JSON"),
        (b'{"customer_id": "1", "email": "a@example.com"}\n', "is JSON"),
        (gzip.compress(PLAIN.encode())[:-9], r"gzip data of .* end too early.*`gzip -t`"),
        (gzip.compress(PLAIN.encode())[:-8] + bytes(8), r"gzip data of .* are damaged"),
        (b"\x1f\x8b\x08\x00garbage, not deflated at all", r"gzip data of .* (are damaged|end too)"),
        (gzip.compress(PLAIN.encode()) + b"more", r"gzip data of .* are damaged"),
        (gzip.compress(b""), "is empty"),
        (b"\xff\xfe", "is empty"),
        (b"sep=;\n", "is empty"),
        (f"{','* 10}\n\n".encode(), "is empty"),
        (f"sep=;\n{PLAIN}".encode(), "says that `;` separates .* is separated by `,`"),
        (b"customer_id,first_name;last_name,email;city\n", "separated by `,` or `;`. Put a line"),
        (b"Customers of 2024\n" + PLAIN.encode(), "has no header: line 1 names none"),
        (b"x" * (LONGEST_ROW_BYTES + 9), "has no header: line 1 is too long, or has an open quote"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_file_that_is_no_csv_is_refused_by_its_kind(send: Send, content: bytes, words: str) -> None:
    with pytest.raises(SourceError, match=words):
        send(content)


def test_rows_before_damage_in_a_gzip_are_sent_and_the_damage_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(csv_text, "TEXT_PAGE_BYTES", 1024)
    rng = random.Random(1)
    rows = [row(f"{rng.random()}", f"C{number}") for number in range(2000)]
    path = tmp_path / "c.csv.gz"
    path.write_bytes(gzip.compress("\n".join([HEADER, *rows]).encode())[:-2000])
    source = open_text(Settings(), str(path))
    progress = ProgressFile(tmp_path, source, "customers-raw", "id-1")
    file = CustomerFile(source, progress, progress.read(from_start=False))

    messages = []
    with pytest.raises(SourceError, match="end too early"):
        messages.extend(iter(file.messages(0)))

    del messages
    read = file.read
    assert 1000 < read < 2000
    file.close()
