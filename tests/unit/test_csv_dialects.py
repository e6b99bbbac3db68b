"""Customer files as people have them: what is sent, and what is reported with its line."""

from __future__ import annotations

import gzip
import tracemalloc
from pathlib import Path

import pytest

from producers.csv_rows import LONGEST_ROW_BYTES
from producers.csv_text import open_text
from producers.customer_progress import ProgressFile
from producers.customer_rows import CustomerFile
from settings import Settings
from tests.support.csv_files import ANN, BOM, COLUMNS, HEADER, PLAIN, ZOE, A, Send, Z, row

pytestmark = pytest.mark.unit


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
    assert sent.report == []
    assert sent.account == "customer rows: 2 read, 2 sent, 0 skipped; whole file done"


def test_windows_1252_with_carriage_returns_is_read_and_reported(send: Send) -> None:
    sent = send(PLAIN.replace("\n", "\r").encode("cp1252"))

    assert sent.rows == [ANN, ZOE]
    assert sent.report == ["line 3: not UTF-8, read as Windows-1252"]


def test_a_row_with_any_surplus_field_is_skipped_with_its_line(send: Send) -> None:
    blank_surplus = "3,Bob,Lee,b@example.com,1,6 Oak Rd, Unit 2,Austin,TX,USA,,"
    surplus = "4,Cy,Lee,c@example.com,1,7 Oak Rd, Unit 3,Austin,TX,USA,73301,2024-05-01"

    sent = send(f"{HEADER}\n{A}\n{blank_surplus}\n{surplus}\n{Z}\n")

    assert sent.rows == [ANN, ZOE]
    assert sent.report == [
        "line 3: skipped, too many fields: 12 fields for 11 columns, the surplus blank; if every"
        " row ends with a separator, let the header end with one too",
        "line 4: skipped, too many fields: 12 fields for 11 columns",
    ]
    assert sent.account.startswith(
        "customer rows: 4 read, 2 sent, 2 skipped (too many fields: 2; see `"
    )


def test_trailing_separators_on_every_line_are_no_fields(send: Send) -> None:
    shifted = "3,Bob,Lee,b@example.com,1,6 Oak Rd, Unit 2,Austin,TX,USA,73301,2024-05-01,"

    sent = send(f"{HEADER},\n{A},\n{shifted}\n{shifted.rstrip(',')}\n{Z}\n")

    assert sent.rows == [ANN, ZOE]
    assert sent.report == [
        "line 1: column 12 has no name and is not sent",
        "line 3: skipped, too many fields: 13 fields for 11 columns",
        "line 4: skipped, too many fields: 12 fields for 11 columns",
    ]


def test_blank_rows_are_no_customers_and_reported_once(send: Send) -> None:
    blank = ["," * 10, " ,\t,\u00a0,,,,,,,,", '"","",,,,,,,,,', "   ", '""', "," * 20, "\0\0\0"]

    sent = send("\n".join(["," * 10, HEADER, A, *blank, "", Z, "\x1a"]))

    assert sent.rows == [ANN, ZOE]
    assert sent.report == ["line 4: skipped, blank: this is the first row with separators only"]
    assert "10 read, 2 sent, 8 skipped (blank: 8; see `" in sent.account


def test_any_number_of_blank_rows_needs_no_memory(tmp_path: Path) -> None:
    path = tmp_path / "c.csv"
    path.write_text(f"{PLAIN}{',' * 10}\n" + f"{',' * 10}\n" * 19_999)
    source = open_text(Settings(), str(path))
    progress = ProgressFile(tmp_path, source, "customers-raw", "id-1")
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


def test_concatenated_files_are_read_as_one(send: Send) -> None:
    parts = "".join(f"{BOM}sep=;\n{HEADER}\n{row}\n".replace(",", ";") for row in (A, Z))

    sent = send(parts)

    assert sent.rows == [ANN, ZOE]
    assert sent.report == [
        "line 4: skipped, a line `sep=`",
        "line 5: skipped, the header again",
    ]


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
    assert sent.report == []


@pytest.mark.parametrize(
    ("written", "reason"),
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
    send: Send, written: str, reason: str
) -> None:
    sent = send(f"{HEADER}\n{A}\n{row(written)}\n{Z}\n")

    assert sent.rows == [ANN, ZOE]
    assert [line.partition(", the surplus blank;")[0] for line in sent.report] == [
        f"line 3: {reason}"
    ]


def test_rows_with_another_separator_than_the_header_are_skipped(send: Send) -> None:
    sent = send(f"{HEADER}\n{A.replace(',', ';')}\n{Z}\n")

    assert sent.rows == [ZOE]
    assert sent.report == ["line 2: skipped, another separator than the header's"]


def test_a_character_that_utf_16_cannot_hold_is_reported(send: Send) -> None:
    content = (BOM + PLAIN).encode("utf-16-le")

    sent = send(content.replace("ü".encode("utf-16-le"), b"\x00\xd8"))

    assert sent.rows[1][2] == "M\ufffdller"
    assert sent.report == ["line 3: an unreadable character, read as U+FFFD"]


def test_nul_characters_inside_a_text_are_kept(send: Send) -> None:
    address = "5 Oak\0Rd"

    assert send(f"{HEADER}\n{row(address)}\n").rows[0][5] == address


def test_a_header_without_rows_is_a_file_without_customers(send: Send) -> None:
    assert send(HEADER).account == "customer rows: 0 read, 0 sent, 0 skipped; whole file done"
