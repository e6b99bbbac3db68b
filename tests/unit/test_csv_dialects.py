"""Customer files as people have them: what is sent, and what is told with its line."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import json
import lzma
import random
import tarfile
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

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

pytestmark = pytest.mark.unit

COLUMNS = (
    "customer_id", "first_name", "last_name", "email", "phone", "address", "city", "state",
    "country", "postal_code", "created_at",
)  # fmt: skip
ANN = ("1", "Ann", "Lee", "ann@example.com", "", "5 Oak Rd", "Austin", "TX", "USA", "73301", "")
ZOE = ("2", "Zoë", "Müller", "zoe@example.com", "", "6 Oak Rd", "Austin", "TX", "USA", "73301", "")
HEADER, A, Z = (",".join(fields) for fields in (COLUMNS, ANN, ZOE))
PLAIN = f"{HEADER}\n{A}\n{Z}\n"


class Sent:
    """What a file gives: rows in the order of the columns, lines of the report, the account."""

    def __init__(self, path: Path, home: Path, stop_after: int = 0) -> None:
        source = open_text(Settings(), str(path))
        progress = ProgressFile(home, source, "customers-raw")
        file = CustomerFile(source, progress, progress.read(from_start=False))
        try:
            messages = list(file.messages(stop_after))
        except SourceError:
            file.close()
            raise
        for number in range(1, len(messages) + 1):
            file.confirmed(number)
        self.account = file.close()[-1]
        self.records: list[dict[str, Any]] = [json.loads(message.value) for message in messages]
        self.rows = [tuple(record.get(name) for name in COLUMNS) for record in self.records]
        report = file.report.path
        self.told = report.read_text().splitlines() if file.report.kinds else []


@pytest.fixture
def send(tmp_path: Path) -> Callable[[bytes | str], Sent]:
    def send(content: bytes | str) -> Sent:
        path = tmp_path / "customers.csv"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return Sent(path, tmp_path)

    return send


Send = Callable[[bytes | str], Sent]
BOM = "\ufeff"


@pytest.mark.parametrize(
    "content",
    [
        PLAIN.encode(),
        (BOM + PLAIN).encode(),
        (BOM + BOM + PLAIN).encode(),
        (BOM + PLAIN).encode("utf-16-le"),
        (BOM + PLAIN).encode("utf-16-be"),
        (BOM + BOM + PLAIN).encode("utf-16-be"),
        (BOM + PLAIN).encode("utf-32-le"),
        (BOM + PLAIN).encode("utf-32-be"),
        gzip.compress(PLAIN.encode()),
        gzip.compress((BOM + PLAIN).encode("utf-16-le")),
        b"".join(gzip.compress(line.encode()) for line in PLAIN.splitlines(keepends=True)),
        gzip.compress(PLAIN.encode()) + bytes(512),
        PLAIN.replace("\n", "\r\n").encode(),
        PLAIN.replace("\n", "\r").encode(),
        PLAIN.replace("\n", "\r\r\n").encode(),
        f"{HEADER}\r{A}\r\n{Z}\n".encode(),
        f"{HEADER}\n{A}\n{Z}".encode(),
        PLAIN.replace(",", ";").encode(),
        PLAIN.replace(",", "\t").encode(),
        PLAIN.replace(",", "|").encode(),
        f"sep=;\r\n{PLAIN}".replace(",", ";").encode(),
        f"{BOM}sep=;\n{PLAIN}".replace(",", ";").encode(),
        f'"sep=;"\n{PLAIN}'.replace(",", ";").encode(),
        f"SEP=;;;;;;\n{PLAIN}".replace(",", ";").encode(),
        f"sep=\t\n{PLAIN}".replace(",", "\t").encode(),
        f"sep=\\t\n{PLAIN}".replace(",", "\t").encode(),
        f"sep=|\r{PLAIN}".replace(",", "|").encode(),
        f"sep=,\n{PLAIN}".encode(),
        f"sep=^\n{PLAIN}".replace(",", "^").encode(),
        f"sep=\x01\n{PLAIN}".replace(",", "\x01").encode(),
        (BOM + f"sep=;\r\n{PLAIN}".replace(",", ";")).encode("utf-16-le"),
        gzip.compress(f"sep=;\r\n{PLAIN}".replace(",", ";").encode()),
        f'"{PLAIN}'.replace(",", '","').replace("\n", '"\n"').rstrip('"').encode(),
        f'"{PLAIN}'.replace(",", '", "').replace("\n", '"\n"').rstrip('"').encode(),
        f'"{PLAIN}'.replace(",", '" ,"').replace("\n", '"\n"').rstrip('"').encode(),
        PLAIN.replace(HEADER, f' {HEADER.upper().replace(",", " , ")} ').encode(),
    ],
    ids=[
        "UTF-8", "BOM", "BOM twice", "UTF-16LE", "UTF-16BE", "UTF-16BE, BOM twice", "UTF-32LE",
        "UTF-32BE", "gzip", "gzip of UTF-16", "gzip in parts", "gzip padded with zeros", "CRLF",
        "CR", "CR CR LF", "mixed line ends", "no last line end", "semicolons", "tabs", "pipes",
        "sep=;", "BOM, sep=;", "quoted sep=;", "sep=; padded", "sep=tab", "sep=\\t", "sep=|, CR",
        "sep=,", "sep=^", "sep=ctrl-A", "UTF-16, sep=;", "gzip, sep=;", "all quoted",
        "blanks before quotes", "blanks after quotes", "header in another case",
    ],
)  # fmt: skip
def test_forms_of_one_file_give_the_same_rows(send: Send, content: bytes) -> None:
    sent = send(content)

    values = [tuple((value or "").strip() for value in record.values()) for record in sent.records]
    assert values == [ANN, ZOE]
    assert {name.lower() for record in sent.records for name in record} == {*COLUMNS}
    assert sent.told == []
    assert sent.account == "customer rows: 2 read, 2 sent, 0 skipped; whole file done"


def test_windows_1252_with_carriage_returns_is_read_and_told(send: Send) -> None:
    sent = send(PLAIN.replace("\n", "\r").encode("cp1252"))

    assert sent.rows == [ANN, ZOE]
    assert sent.told == ["line 3: not UTF-8, read as Windows-1252"]


def test_a_row_with_any_surplus_field_is_skipped_with_its_line(send: Send) -> None:
    blank_surplus = "3,Bob,Lee,b@example.com,1,6 Oak Rd, Unit 2,Austin,TX,USA,,"
    surplus = "4,Cy,Lee,c@example.com,1,7 Oak Rd, Unit 3,Austin,TX,USA,73301,2024-05-01"

    sent = send(f"{HEADER}\n{A}\n{blank_surplus}\n{surplus}\n{Z}\n")

    assert sent.rows == [ANN, ZOE]
    assert sent.told == [
        "line 3: skipped, too many fields: 12 fields for 11 columns, the surplus blank; if every"
        " row ends with a separator, let the header end with one too",
        "line 4: skipped, too many fields: 12 fields for 11 columns",
    ]
    assert sent.account.startswith(
        "customer rows: 4 read, 2 sent, 2 skipped (too many fields: 2; see `"
    )


def test_separators_at_the_end_of_every_line_are_no_fields(send: Send) -> None:
    shifted = "3,Bob,Lee,b@example.com,1,6 Oak Rd, Unit 2,Austin,TX,USA,73301,2024-05-01,"

    sent = send(f"{HEADER},\n{A},\n{shifted}\n{shifted.rstrip(',')}\n{Z}\n")

    assert sent.rows == [ANN, ZOE]
    assert sent.told == [
        "line 1: column 12 has no name and is not sent",
        "line 3: skipped, too many fields: 13 fields for 11 columns",
        "line 4: skipped, too many fields: 12 fields for 11 columns",
    ]


def test_blank_rows_are_no_customers_and_told_once(send: Send) -> None:
    blank = ["," * 10, " ,\t,\u00a0,,,,,,,,", '"","",,,,,,,,,', "   ", '""', "," * 20, "\0\0\0"]

    sent = send("\n".join(["," * 10, HEADER, A, *blank, "", Z, "\x1a"]))

    assert sent.rows == [ANN, ZOE]
    assert sent.told == ["line 4: skipped, blank: this is the first row with separators only"]
    assert "10 read, 2 sent, 8 skipped (blank: 8; see `" in sent.account


def test_any_number_of_blank_rows_need_no_memory(tmp_path: Path) -> None:
    path = tmp_path / "c.csv"
    path.write_text(f"{PLAIN}{',' * 10}\n" + f"{',' * 10}\n" * 19_999)
    source = open_text(Settings(), str(path))
    progress = ProgressFile(tmp_path, source, "customers-raw")
    file = CustomerFile(source, progress, progress.read(from_start=False))
    tracemalloc.start()
    try:
        messages = list(file.messages(0))
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    for number in (1, 2):
        file.confirmed(number)

    assert len(messages) == 2
    assert after < 500_000
    assert "20002 read, 2 sent, 20000 skipped (blank: 20000;" in file.close()[-1]
    place = progress.read(from_start=False)
    assert (place.delivered, place.skipped, place.complete) == (2, 20_000, True)


def test_files_put_one_behind_the_other_are_read_as_one(send: Send) -> None:
    parts = "".join(f"{BOM}sep=;\n{HEADER}\n{row}\n".replace(",", ";") for row in (A, Z))

    sent = send(parts)

    assert sent.rows == [ANN, ZOE]
    assert sent.told == [
        "line 4: skipped, a line `sep=`",
        "line 5: skipped, the header again",
    ]


def row(address: str, ident: str = "1") -> str:
    """A row in which the address stands as it is written."""
    return f"{ident},Ann,Lee,ann@example.com,,{address},Austin,TX,USA,73301,"


@pytest.mark.parametrize(
    ("written", "read"),
    [
        (r'"5 Oak \"B\" Rd"', '5 Oak "B" Rd'),
        (r'"5 \"B, C\" Rd"', '5 "B, C" Rd'),
        (r'"\"B\""', '"B"'),
        (r'"5 Oak\", Unit 2"', '5 Oak", Unit 2'),
        (r'"C:\\ \"B\""', 'C:\\ "B"'),
        (r'"5 \"B\"' + '\\\nUnit\\n 2"', '5 "B"\nUnit\\n 2'),
        (r"5 Oak Rd\, Unit 2", "5 Oak Rd, Unit 2"),
        (r"5 Oak\Elm \N", r"5 Oak\Elm \N"),
        ('"C:\\"', "C:\\"),
        ('"C:\\dir\\new"', "C:\\dir\\new"),
        ('"5 ""B, C"" Rd"', '5 "B, C" Rd'),
        ('5" pipe', '5" pipe'),
        (r"\N", None),
        (r'"\N"', None),
    ],
)
def test_quotes_and_backslashes_of_all_dialects_keep_the_columns(
    send: Send, written: str, read: str | None
) -> None:
    sent = send(f"{HEADER}\n{row(written)}\n{Z}\n")

    assert sent.rows == [tuple(read if name == "5 Oak Rd" else name for name in ANN), ZOE]
    assert sent.told == []


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ('"5 Oak "B" Rd"', "skipped, a quote not closed or not doubled"),
        ('"5 Oak "B, C" Rd"', "skipped, a quote not closed or not doubled"),
        ('"5 Oak Rd', "skipped, a quote not closed or not doubled"),
        ('5 Oak, "B"', "skipped, too many fields: 12 fields for 11 columns"),
        ("x" * LONGEST_ROW_BYTES, "skipped, longer than 128 KiB"),
    ],
    ids=["stray quotes", "stray quotes and comma", "open quote", "comma", "huge"],
)
def test_a_row_whose_columns_are_not_certain_is_skipped_alone(
    send: Send, written: str, told: str
) -> None:
    sent = send(f"{HEADER}\n{A}\n{row(written)}\n{Z}\n")

    assert sent.rows == [ANN, ZOE]
    assert [line.partition(", the surplus blank;")[0] for line in sent.told] == [f"line 3: {told}"]


def test_rows_with_another_separator_than_the_header_are_skipped(send: Send) -> None:
    sent = send(f"{HEADER}\n{A.replace(',', ';')}\n{Z}\n")

    assert sent.rows == [ZOE]
    assert sent.told == ["line 2: skipped, another separator than the header's"]


def test_a_character_that_utf_16_cannot_hold_is_told(send: Send) -> None:
    content = (BOM + PLAIN).encode("utf-16-le")

    sent = send(content.replace("ü".encode("utf-16-le"), b"\x00\xd8"))

    assert sent.rows[1][2] == "M\ufffdller"
    assert sent.told == ["line 3: an unreadable character, read as U+FFFD"]


def test_nul_characters_inside_a_text_are_kept(send: Send) -> None:
    address = "5 Oak\0Rd"

    assert send(f"{HEADER}\n{row(address)}\n").rows[0][5] == address


def test_a_header_without_rows_is_a_file_without_customers(send: Send) -> None:
    assert send(HEADER).account == "customer rows: 0 read, 0 sent, 0 skipped; whole file done"


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
        (xlsx(), r"is an Excel workbook \(\.xlsx\), where a CSV is expected\. Make it CSV"),
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
def test_what_is_no_csv_is_refused_by_its_name(send: Send, content: bytes, words: str) -> None:
    with pytest.raises(SourceError, match=words):
        send(content)


def test_rows_before_damage_in_a_gzip_are_sent_and_the_damage_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(csv_text, "TEXT_PAGE_BYTES", 1024)
    rng = random.Random(1)
    rows = [row(f"{rng.random()}", f"C{number}") for number in range(2000)]
    path = tmp_path / "c.csv.gz"
    path.write_bytes(gzip.compress("\n".join([HEADER, *rows]).encode())[:-2000])
    source = open_text(Settings(), str(path))
    progress = ProgressFile(tmp_path, source, "customers-raw")
    file = CustomerFile(source, progress, progress.read(from_start=False))

    messages = []
    with pytest.raises(SourceError, match="end too early"):
        messages.extend(iter(file.messages(0)))

    del messages
    read = file.read
    assert 1000 < read < 2000
    file.close()


def hard_rows() -> str:
    """Rows with everything that may stand in a field, and rows that are skipped."""
    rng = random.Random(7)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for number in range(300):
        address = "".join(rng.choices('aé😀,;"\n \\', k=rng.randrange(12)))
        writer.writerow([str(number), *ANN[1:5], address, *ANN[6:]])
        if number % 10 == 0:
            text.write(rng.choice(("\n", f"{',' * 10}\n", f"{row('a, b')}\n", f"{HEADER}\n")))
    return text.getvalue()


@pytest.mark.parametrize(
    "form",
    [
        lambda text: text.encode(),
        lambda text: (BOM + text).encode("utf-16-be"),
        lambda text: gzip.compress(text.encode()),
        lambda text: gzip.compress((BOM + text).encode("utf-32-le")),
        lambda text: f"sep=,\n{text}".encode(),
    ],
    ids=["plain", "UTF-16", "gzip", "gzip of UTF-32", "sep="],
)
def test_every_form_goes_on_where_it_was_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: Callable[[str], bytes]
) -> None:
    monkeypatch.setattr(csv_text, "TEXT_PAGE_BYTES", 1000)
    path = tmp_path / "customers"
    path.write_bytes(form(hard_rows()))
    whole = Sent(path, tmp_path / "whole")
    assert len(whole.rows) == 300

    parts = [Sent(path, tmp_path / "parts", stop_after=37) for _ in range(9)]

    assert [row for part in parts for row in part.rows] == whole.rows
    assert parts[-1].account.endswith("whole file done")
    assert parts[0].account.partition("; goes on at line ")[2].isdigit()
